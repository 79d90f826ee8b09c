/** The guest's code, as backtraces and reports look at it. */

import { createDisassembler } from "../../fallback/index.ts";
import type { DecodedInstruction } from "../../fallback/interpreter/decoder.ts";
import { viewOf } from "../boot/data-view.ts";
import type { Registers } from "../core/cpu.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa, PAGE_SIZE } from "../core/units.ts";
import { readLinear } from "./linear-memory.ts";
import { translate } from "./page-walk.ts";

const EFER_LMA = 1n << 10n;
const CR0_PE = 1n;
/** Of a code segment's attributes: 64-bit code; 32-bit code. */
const ATTRIBUTE_LONG = 1 << 13;
const ATTRIBUTE_DEFAULT = 1 << 14;

const OFFSET_MASK = BigInt(PAGE_SIZE - 1);
const NOTHING = new Uint8Array(0);

/** Longest instruction (Intel SDM vol. 2A §2.3.11). */
const MAX_INSTRUCTION_LENGTH = 15;
/** Whatever a stack looks like, a report is there soon: instructions that are decoded, and followed. */
const MAX_DECODED = 20_000;
const MAX_FOLLOWED = 100_000;
/** From the shortest CALL to the longest. */
const CALL_LENGTHS = [2, 3, 4, 5, 6, 7, 8] as const;

export type CodeSize = 16 | 32 | 64;

export function codeSizeOf({ cr0, efer, cs }: Registers): CodeSize {
  if ((cr0 & CR0_PE) === 0n) return 16;
  if ((efer & EFER_LMA) !== 0n && (cs.attributes & ATTRIBUTE_LONG) !== 0) return 64;
  return (cs.attributes & ATTRIBUTE_DEFAULT) !== 0 ? 32 : 16;
}

export interface CodeLine {
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** A guest that stands still: its memory by linear address, in the mode that it is in. */
export class GuestCode {
  readonly size: CodeSize;
  readonly registers: Registers;
  readonly #memory: GuestMemory;
  readonly #disassembler: ReturnType<typeof createDisassembler>;
  readonly #pages = new Map<bigint, Uint8Array>();
  readonly #decoded = new Map<bigint, DecodedInstruction | undefined>();

  /** @param disassembler one that is there already: making it takes a moment */
  constructor(registers: Registers, memory: GuestMemory, disassembler = createDisassembler()) {
    this.#disassembler = disassembler;
    this.registers = registers;
    this.size = codeSizeOf(registers);
    this.#memory = memory;
  }

  /** Linear address of the instruction at RIP. */
  get position(): bigint {
    const { rip, cs } = this.registers;
    return this.size === 64 ? rip : BigInt.asUintN(32, rip + cs.base);
  }

  /** Bytes of a return address. */
  get wordSize(): number {
    return this.size / 8;
  }

  read(address: bigint, length: number): Uint8Array {
    const offset = Number(address & OFFSET_MASK);
    if (offset + length > PAGE_SIZE) {
      return readLinear(this.registers, this.#memory, address, length);
    }
    return this.#page(address - BigInt(offset)).subarray(offset, offset + length);
  }

  /** @returns nothing where no RAM is mapped */
  #page(address: bigint): Uint8Array {
    const known = this.#pages.get(address);
    if (known !== undefined) return known;
    const at = Number(translate(this.registers, this.#memory, address) ?? -1);
    const page = this.#memory.contains(at, PAGE_SIZE)
      ? this.#memory.slice(gpa(at), PAGE_SIZE)
      : NOTHING;
    this.#pages.set(address, page);
    return page;
  }

  /** A word of the stack; undefined where nothing is mapped. */
  word(address: bigint): bigint | undefined {
    const bytes = this.read(address, this.wordSize);
    if (bytes.length < this.wordSize) return undefined;
    const view = viewOf(bytes);
    if (this.size === 64) return view.getBigUint64(0, true);
    return BigInt(this.size === 32 ? view.getUint32(0, true) : view.getUint16(0, true));
  }

  /** @returns undefined where there is no instruction, or so many have been looked at before */
  decode(address: bigint): DecodedInstruction | undefined {
    const known = this.#decoded.get(address);
    if (known !== undefined || this.#decoded.has(address)) return known;
    if (this.#decoded.size >= MAX_DECODED) return undefined;
    const bytes = this.read(address, MAX_INSTRUCTION_LENGTH);
    const instruction = this.#disassembler.decode(bytes, this.size);
    this.#decoded.set(address, instruction);
    return instruction;
  }

  line(address: bigint, symbolAt: (address: bigint) => string | undefined): CodeLine {
    const bytes = this.read(address, MAX_INSTRUCTION_LENGTH);
    const { text, length } = this.#disassembler.line(bytes, {
      address,
      codeSize: this.size,
      symbolAt,
    });
    return { bytes: bytes.subarray(0, length), text };
  }

  /** Counts an instruction that is followed. @returns whether it may be */
  follow(): boolean {
    return this.#followed++ < MAX_FOLLOWED;
  }
  #followed = 0;

  /** The CALL that ends right before an address. @returns where it is; undefined if there is none */
  callBefore(address: bigint): Call | undefined {
    for (const length of CALL_LENGTHS) {
      const at = address - BigInt(length);
      const instruction = at < 0n ? undefined : this.decode(at);
      if (instruction?.form.instruction.name !== "CALL" || instruction.length !== length) continue;
      return { at, target: relativeTarget(instruction, address, this.size) };
    }
    return undefined;
  }
}

export interface Call {
  readonly at: bigint;
  /** Undefined for one by a register or memory. */
  readonly target: bigint | undefined;
}

/** Where a relative branch goes. @param next address of the instruction after it */
export function relativeTarget(
  { form, immediates, operandSize }: DecodedInstruction,
  next: bigint,
  codeSize: CodeSize,
): bigint | undefined {
  if (form.operands[0]?.place !== "relative") return undefined;
  return BigInt.asUintN(codeSize === 64 ? 64 : operandSize, next + (immediates[0] ?? 0n));
}
