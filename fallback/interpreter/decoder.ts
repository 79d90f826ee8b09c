import type { MemoryBits } from "../isa/emitter.ts";
import type { Form } from "../isa/form.ts";
import { isInterpreted } from "../isa/instruction.ts";
import { NO_VEX, type OpcodeMap, opcodeNumber } from "../isa/opcode-map.ts";
import type { OperandSpec } from "../isa/operand.ts";
import { operandBits } from "../isa/variant.ts";
import { SEGMENT_INDEX } from "../state.ts";
import { MAX_INSTRUCTION_LENGTH, REX, SHORT_VEX, VEX_2, VEX_3 } from "./decoding.ts";

/** The address that ModRM and SIB name. Registers are numbers, or -1 for none. */
export interface Address {
  readonly base: number;
  readonly index: number;
  /** Shift of the index register, 0 to 3. */
  readonly scale: number;
  readonly displacement: bigint;
  /** Relative to the next instruction. */
  readonly ripRelative: boolean;
}

export interface DecodedInstruction {
  readonly form: Form;
  /** Bytes. */
  readonly length: number;
  readonly operandSize: MemoryBits;
  readonly addressSize: 16 | 32 | 64;
  readonly lock: boolean;
  /** F3, F2, or none: a repeat prefix. */
  readonly repeat: 0xf3 | 0xf2 | undefined;
  /** The byte, or what a VEX prefix says instead; 0 without either. */
  readonly rex: number;
  /** Of a VEX prefix, as the number of a register; 0 without one. */
  readonly vvvv: number;
  /** -1 without one. */
  readonly modRm: number;
  readonly address: Address | undefined;
  /** Index of the segment register of memory operands, overridden or not. */
  readonly segment: number;
  /** Immediates, sign-extended; a far pointer is offset and selector. */
  readonly immediates: readonly bigint[];
}

/**
 * The byte source ran out: what the CPU makes of it (a fault, or the next page) is its business. No
 * `Error`: every page of code ends like this, and a trace of the stack takes longer than a page.
 */
export class NeedMoreBytes {}
/** No instruction: #UD. */
export class InvalidOpcode extends Error {}
/** Over fifteen bytes: #GP(0). */
export class InstructionTooLong extends Error {}

/** The segment that a prefix names, if it is one that does. */
function segmentPrefix(byte: number): number | undefined {
  switch (byte) {
    case 0x26:
      return SEGMENT_INDEX.es;
    case 0x2e:
      return SEGMENT_INDEX.cs;
    case 0x36:
      return SEGMENT_INDEX.ss;
    case 0x3e:
      return SEGMENT_INDEX.ds;
    case 0x64:
      return SEGMENT_INDEX.fs;
    case 0x65:
      return SEGMENT_INDEX.gs;
    default:
      return undefined;
  }
}

const NO_IMMEDIATES: readonly bigint[] = [];
const ONE: readonly bigint[] = [1n];
const NO_MODRM = -1;
const OTHER_ADDRESS_SIZE = { 16: 32, 32: 16, 64: 32 } as const;
const PREFIX_INDEX = { none: 0, 66: 1, f3: 2, f2: 3 } as const;

const [BX, BP, SI, DI] = [3, 5, 6, 7];
/** Base and index by ModRM.rm, where addresses have 16 bits. */
const ADDRESS_16 = [
  ...[
    [BX, SI],
    [BX, DI],
    [BP, SI],
    [BP, DI],
  ],
  ...[
    [SI, -1],
    [DI, -1],
    [BP, -1],
    [BX, -1],
  ],
] as const;

/** Decodes one instruction from bytes. What is found on the way is in fields: nothing is allocated. */
export class Decoder {
  readonly #map: OpcodeMap;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Where the instruction may not reach. */
  #limit = 0;
  #code64 = false;
  #narrowOperand = false;
  #otherAddress = false;
  #lock = false;
  #repeat: 0xf3 | 0xf2 | undefined;
  #segment: number | undefined;
  #rex = 0;
  #vex = NO_VEX;
  /** Of the VEX prefix, as an index into MANDATORY_PREFIXES. */
  #vexPrefix: number | undefined;

  constructor(map: OpcodeMap) {
    this.#map = map;
  }

  /**
   * @param codeSize of the code segment: 16, 32 or 64
   * @param start index of the instruction's first byte
   * @throws NeedMoreBytes, InvalidOpcode, InstructionTooLong
   */
  decode(bytes: Uint8Array, codeSize: 16 | 32 | 64, start = 0): DecodedInstruction {
    this.#bytes = bytes;
    this.#at = start;
    this.#limit = start + MAX_INSTRUCTION_LENGTH;
    const code64 = codeSize === 64;
    this.#code64 = code64;
    this.#prefixes();
    const opcode = this.#opcode(codeSize);
    const rex = this.#rex;
    const modRm = this.#map.hasModRm(opcode) ? this.#peek() : NO_MODRM;
    const form = this.#map.find(
      ...([opcode, this.#mandatoryPrefix(), code64, rex, modRm, this.#vex] as const),
    );
    if (form === undefined) throw new InvalidOpcode();
    if (form.hasModRm) this.#at++;
    const operandSize = this.#operandSize(form, codeSize);
    const addressSize = this.#otherAddress ? OTHER_ADDRESS_SIZE[codeSize] : codeSize;
    const address = this.#address(form, modRm, rex, addressSize);
    const immediates = this.#immediates(form, operandSize);
    if (this.#at > this.#limit) throw new InstructionTooLong();
    checkLock(form, this.#lock, modRm);
    return {
      form,
      length: this.#at - start,
      operandSize,
      addressSize,
      lock: this.#lock,
      repeat: this.#repeat,
      rex,
      vvvv: this.#vex.vvvv & (code64 ? 0xf : 7),
      modRm,
      address,
      segment: segmentOf(this.#segment, address),
      immediates,
    };
  }

  #next(): number {
    if (this.#at >= this.#limit) throw new InstructionTooLong();
    const byte = this.#peek();
    this.#at++;
    return byte;
  }

  #peek(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new NeedMoreBytes();
    return byte;
  }

  /** Legacy prefixes in any order; REX counts only right before the opcode. */
  #prefixes(): void {
    this.#narrowOperand = false;
    this.#otherAddress = false;
    this.#lock = false;
    this.#repeat = undefined;
    this.#segment = undefined;
    this.#rex = 0;
    this.#vex = NO_VEX;
    this.#vexPrefix = undefined;
    for (;;) {
      const byte = this.#peek();
      if (this.#code64 && byte >= 0x40 && byte <= 0x4f) {
        this.#rex = byte;
        this.#next();
        continue;
      }
      if (byte === 0x66) this.#narrowOperand = true;
      else if (byte === 0x67) this.#otherAddress = true;
      else if (byte === 0xf0) this.#lock = true;
      else if (byte === 0xf3 || byte === 0xf2) this.#repeat = byte;
      else {
        const segment = segmentPrefix(byte);
        if (segment === undefined) return;
        // In 64-bit mode only FS and GS have a base to choose.
        if (!this.#code64 || segment >= SEGMENT_INDEX.fs) this.#segment = segment;
      }
      this.#rex = 0;
      this.#next();
    }
  }

  /** As {@link OpcodeMap} numbers them. */
  #opcode(codeSize: number): number {
    const first = this.#next();
    if ((first === VEX_2 || first === VEX_3) && this.#isVex(codeSize))
      return this.#vexOpcode(first);
    if (first !== 0x0f) return first;
    const second = this.#next();
    if (second === 0x38) return opcodeNumber(2, this.#next());
    if (second === 0x3a) return opcodeNumber(3, this.#next());
    return opcodeNumber(1, second);
  }

  /**
   * Whether C4 or C5 is a prefix: outside 64-bit mode, only where LES and LDS would have a register for
   * their memory. 16-bit code is real mode's or virtual-8086 mode's, which have none; that of 16-bit
   * protected mode, which has, nobody writes.
   */
  #isVex(codeSize: number): boolean {
    return codeSize === 64 || (codeSize === 32 && this.#peek() >= 0xc0);
  }

  /** Behind C4 or C5 (Intel SDM vol. 2A §2.3.5). @returns as {@link OpcodeMap} numbers them */
  #vexOpcode(first: number): number {
    if (this.#rex !== 0 || this.#narrowOperand || this.#lock || this.#repeat !== undefined) {
      throw new InvalidOpcode();
    }
    const second = this.#next();
    const third = first === VEX_3 ? this.#next() : second & 0x7f;
    const inverted = first === VEX_3 ? second : (second & 0x80) | SHORT_VEX;
    const map = inverted & 0x1f;
    if (map < 1 || map > 3) throw new InvalidOpcode();
    const rxb = this.#code64 ? (~inverted >> 5) & 7 : 0;
    this.#rex = REX | ((third >> 7) << 3) | rxb;
    this.#vex = { l: (third & 4) === 0 ? 0 : 1, vvvv: (~third >> 3) & 0xf };
    this.#vexPrefix = third & 3;
    return opcodeNumber((map + 3) as 4 | 5 | 6, this.#next());
  }

  /** One that may be part of the opcode. */
  #mandatoryPrefix(): number {
    if (this.#vexPrefix !== undefined) return this.#vexPrefix;
    if (this.#repeat === 0xf3) return PREFIX_INDEX.f3;
    if (this.#repeat === 0xf2) return PREFIX_INDEX.f2;
    return this.#narrowOperand ? PREFIX_INDEX[66] : PREFIX_INDEX.none;
  }

  #operandSize(form: Form, codeSize: number): MemoryBits {
    const narrow = this.#narrowOperand && form.prefix !== "66";
    const { sizes } = form;
    if (codeSize === 64) {
      if (form.always64) return 64;
      if ((this.#rex & 8) !== 0) return sizes.includes(64) ? 64 : 32;
      if (form.default64) return narrow ? 16 : 64;
      return narrow && sizes.includes(16) ? 16 : 32;
    }
    const size = (codeSize === 16) === narrow ? 32 : 16;
    return sizes.includes(size) ? size : 32;
  }

  #address(form: Form, modRm: number, rex: number, addressSize: 16 | 32 | 64): Address | undefined {
    if (form.hasOffset) {
      const displacement = this.#unsigned(addressSize / 8);
      return { base: -1, index: -1, scale: 0, displacement, ripRelative: false };
    }
    if (!form.hasAddress || modRm >= 0xc0) return undefined;
    return addressSize === 16 ? this.#address16(modRm) : this.#address32(modRm, rex);
  }

  /** Table 2-1 of Intel SDM vol. 2A. */
  #address16(modRm: number): Address {
    const mod = modRm >> 6;
    const rm = modRm & 7;
    const [base, index] = ADDRESS_16[rm] as readonly [number, number];
    if (mod === 0 && rm === 6) {
      return { base: -1, index: -1, scale: 0, displacement: this.#signed(2), ripRelative: false };
    }
    const displacement = mod === 0 ? 0n : this.#signed(mod === 1 ? 1 : 2);
    return { base, index, scale: 0, displacement, ripRelative: false };
  }

  /** Tables 2-2 and 2-3, with REX.X and REX.B (§2.2.1.2). */
  #address32(modRm: number, rex: number): Address {
    const mod = modRm >> 6;
    const rm = modRm & 7;
    let base = rm | ((rex & 1) << 3);
    let index = -1;
    let scale = 0;
    let noBase = mod === 0 && rm === 5;
    if (rm === 4) {
      const sib = this.#next();
      scale = sib >> 6;
      index = ((sib >> 3) & 7) | ((rex & 2) << 2);
      if (index === 4) index = -1;
      base = (sib & 7) | ((rex & 1) << 3);
      noBase = mod === 0 && (sib & 7) === 5;
    }
    const displacement = noBase || mod === 2 ? this.#signed(4) : mod === 1 ? this.#signed(1) : 0n;
    const ripRelative = mod === 0 && rm === 5 && this.#code64;
    return { base: noBase ? -1 : base, index, scale, displacement, ripRelative };
  }

  #immediates(form: Form, operandSize: MemoryBits): readonly bigint[] {
    const [spec, second] = form.immediates;
    if (spec === undefined) return NO_IMMEDIATES;
    if (spec.place === "one") return ONE;
    if (spec.place === "far-pointer") {
      return [this.#unsigned(operandSize / 8), this.#unsigned(2)];
    }
    const first = this.#immediate(spec, operandSize);
    return second === undefined ? [first] : [first, this.#immediate(second, operandSize)];
  }

  #immediate(spec: OperandSpec, operandSize: MemoryBits): bigint {
    if (spec.place === "xmm-immediate") return this.#unsigned(1) & (this.#code64 ? 0xffn : 0x7fn);
    const bits = operandBits(spec, operandSize);
    // Only MOV to a register takes eight bytes of immediate (v); others sign-extend four.
    return this.#signed(spec.width === "z" && bits === 64 ? 4 : bits / 8);
  }

  #signed(bytes: number): bigint {
    if (bytes > 4) return BigInt.asIntN(64, this.#unsigned(bytes));
    const unused = 32 - 8 * bytes;
    return BigInt((this.#word(bytes) << unused) >> unused);
  }

  #unsigned(bytes: number): bigint {
    if (bytes <= 4) return BigInt(this.#word(bytes) >>> 0);
    const low = this.#unsigned(4);
    return low | (this.#unsigned(bytes - 4) << 32n);
  }

  /** Up to four bytes as an integer of 32 bits. */
  #word(bytes: number): number {
    let value = 0;
    for (let i = 0; i < bytes; i++) value |= this.#next() << (8 * i);
    return value;
  }
}

/** The segment that an address is in: SS with a base of BP or SP, unless overridden. */
function segmentOf(override: number | undefined, address: Address | undefined): number {
  if (override !== undefined) return override;
  const RSP = 4;
  const RBP = 5;
  const onStack = address !== undefined && (address.base === RSP || address.base === RBP);
  return onStack ? SEGMENT_INDEX.ss : SEGMENT_INDEX.ds;
}

/** LOCK is for some instructions with a memory destination only (Intel SDM vol. 2A, LOCK). */
function checkLock(form: Form, lock: boolean, modRm: number): void {
  if (!lock) return;
  const destination = form.operands[0]?.place;
  const memory = destination === "memory" || (destination === "rm" && modRm < 0xc0);
  if (form.instruction.lock === undefined || !memory) throw new InvalidOpcode();
}

/** Whether its meaning is for another width of rCX. */
export const countsOtherwise = ({ form, addressSize, operandSize }: DecodedInstruction): boolean =>
  form.instruction.counter === true && addressSize !== operandSize;

/** Whether an instruction has no meaning that is for its mode and its addresses. */
export const isWithout = (
  { form: { instruction }, addressSize, repeat, segment }: DecodedInstruction,
  codeSize: 16 | 32 | 64,
): boolean =>
  !isInterpreted(instruction) ||
  (instruction.repeat === true && (repeat !== undefined || segment >= SEGMENT_INDEX.fs)) ||
  (instruction.only64 === true && (codeSize !== 64 || addressSize !== 64));

export const isRelative = ({ form }: DecodedInstruction): boolean => form.relative;

/** Where a relative branch goes; 0 if it is none. */
export function branchTarget(
  instruction: DecodedInstruction,
  codeSize: 16 | 32 | 64,
  next: bigint,
): bigint {
  if (!isRelative(instruction)) return 0n;
  const width = codeSize === 64 ? 64 : instruction.operandSize;
  return BigInt.asUintN(width, next + (instruction.immediates[0] ?? 0n));
}
