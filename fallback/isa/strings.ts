/** String instructions (Intel SDM vol. 1 §7.3.9): RSI, RDI and RCX, as wide as the address size. */

import { RFLAGS } from "../bits.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";
import { preparePortAccess } from "../system/io-permission.ts";
import { i32, i64 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import type { MemoryBits, TranslationEmitter } from "./emitter.ts";
import type { Family, FlagUse, Instruction, OfVariant } from "./instruction.ts";
import { RAX, RDI, RDX, RSI, restart, StringOperation } from "./string-operation.ts";
import { moveBulk, moveQuickly, repeating, storeBulk, storeQuickly } from "./string-runs.ts";

const COMPARE_FLAGS: FlagUse = { written: "OSZAPC" };

/** Flags of a comparison, as CMP sets them. */
function compare(operation: StringOperation, a: bigint, b: bigint): boolean {
  operation.context.setCompareFlags(a, b, 8 * operation.bytes);
  return a === b;
}

/** One element of a string instruction, as a region of the JIT and the interpreter have it. */
class StringElement {
  readonly bits: MemoryBits;
  readonly #e: TranslationEmitter;
  readonly #instruction: OfVariant;

  constructor(e: TranslationEmitter, instruction: OfVariant) {
    this.#e = e;
    this.#instruction = instruction;
    this.bits = (instruction.form.opcode & 1) === 0 ? 8 : instruction.operandSize;
  }

  /** In DS or an override. */
  source(): Local<"i64"> {
    return this.#e.pointedTo(RSI, this.#instruction.segment, this.bits / 8, false);
  }

  destination(write: boolean): Local<"i64"> {
    return this.#e.pointedTo(RDI, SEGMENT_INDEX.es, this.bits / 8, write);
  }

  /** Moves a pointer to the next element: down if DF says so. */
  advance(register: number): void {
    const { addressSize } = this.#instruction;
    const bytes = this.bits / 8;
    const down = i32.and(i32.load(i32.const(0), STATE.RFLAGS), i32.const(RFLAGS.DF));
    const twice = i32.shrU(down, i32.const(Math.log2(RFLAGS.DF / (2 * bytes))));
    const step = i64.extendS(i32.sub(i32.const(bytes), twice));
    const moved = i64.add(this.#e.getRegister(register, addressSize), step);
    this.#e.setRegister(register, addressSize, moved);
  }

  compare(a: Local<"i64">, b: Local<"i64">): void {
    this.#e.flags.subtract(a, b, this.#e.let(i64.sub(a, b)), this.bits);
  }
}

function string(
  name: string,
  opcodes: readonly [string, string],
  procedure: (context: ProcedureContext) => void,
  translation?: (e: TranslationEmitter, element: StringElement) => void,
  { flags = {}, repetition }: Pick<Instruction, "flags" | "repetition"> = {},
): Instruction {
  const byVariant: Instruction["byVariant"] =
    translation && ((e, instruction) => translation(e, new StringElement(e, instruction)));
  return {
    name,
    forms: [opcodes[0], `${opcodes[1]} v`],
    flags,
    repeat: true,
    ends: true,
    procedure,
    ...(repetition === undefined ? {} : { repetition }),
    ...(byVariant && { resumes: true, translation: byVariant, byVariant, only64: true }),
  };
}

export const strings: Family = [
  string(
    "MOVS",
    ["A4", "A5"],
    (context) =>
      repeating(
        context,
        (operation) => {
          operation.write(operation.destination, operation.read(operation.source));
          operation.advance(RSI);
          operation.advance(RDI);
          return undefined;
        },
        moveBulk,
        moveQuickly,
      ),
    (e, element) => {
      const value = e.load(element.source(), element.bits);
      e.store(element.destination(true), element.bits, value);
      element.advance(RSI);
      element.advance(RDI);
    },
    { repetition: "move" },
  ),
  string(
    "STOS",
    ["AA", "AB"],
    (context) =>
      repeating(
        context,
        (operation) => {
          const value = context.getRegister(RAX, 8 * operation.bytes);
          operation.write(operation.destination, value);
          operation.advance(RDI);
          return undefined;
        },
        storeBulk,
        storeQuickly,
      ),
    (e, element) => {
      e.store(element.destination(true), element.bits, e.getRegister(RAX, element.bits));
      element.advance(RDI);
    },
    { repetition: "fill" },
  ),
  string(
    "LODS",
    ["AC", "AD"],
    (context) =>
      repeating(context, (operation) => {
        context.setRegister(RAX, 8 * operation.bytes, operation.read(operation.source));
        operation.advance(RSI);
        return undefined;
      }),
    (e, element) => {
      e.setRegister(RAX, element.bits, e.load(element.source(), element.bits));
      element.advance(RSI);
    },
  ),
  string(
    "SCAS",
    ["AE", "AF"],
    (context) =>
      repeating(context, (operation) => {
        const value = operation.read(operation.destination);
        operation.advance(RDI);
        return compare(operation, context.getRegister(RAX, 8 * operation.bytes), value);
      }),
    (e, element) => {
      const value = e.load(element.destination(false), element.bits);
      element.advance(RDI);
      element.compare(e.let(e.getRegister(RAX, element.bits)), value);
    },
    { flags: COMPARE_FLAGS },
  ),
  string(
    "CMPS",
    ["A6", "A7"],
    (context) =>
      repeating(context, (operation) => {
        // Where both fault, silicon tells of the second.
        const second = operation.read(operation.destination);
        const first = operation.read(operation.source);
        operation.advance(RSI);
        operation.advance(RDI);
        return compare(operation, first, second);
      }),
    (e, element) => {
      const second = e.load(element.destination(false), element.bits);
      const first = e.load(element.source(), element.bits);
      element.advance(RSI);
      element.advance(RDI);
      element.compare(first, second);
    },
    { flags: COMPARE_FLAGS },
  ),
  string("INS", ["6C", "6D"], (context) => {
    const operation = new StringOperation(context);
    const repeated = context.instruction.repeat !== undefined;
    const port = Number(context.getRegister(RDX, 16));
    preparePortAccess(context.processor, context.mmu, port, operation.bytes);
    if (repeated && operation.count === 0n) return;
    // The page must take the value before the port is asked for it.
    const { segment, offset } = operation.destination;
    context.check(offset, operation.bytes, "write", segment);
    context.outside.portIn(port, operation.bytes, (value) => {
      // First: memory that is no RAM leaves the processor once more, and then it is written again.
      operation.write(operation.destination, BigInt(value));
      operation.advance(RDI);
      if (repeated) operation.count -= 1n;
    });
    // The value comes later: the count is still the one before this element.
    if (repeated && operation.count > 1n) restart(context);
  }),
  string("OUTS", ["6E", "6F"], (context) => {
    const operation = new StringOperation(context);
    const repeated = context.instruction.repeat !== undefined;
    const port = Number(context.getRegister(RDX, 16));
    preparePortAccess(context.processor, context.mmu, port, operation.bytes);
    if (repeated && operation.count === 0n) return;
    const value = operation.read(operation.source);
    operation.advance(RSI);
    if (repeated) operation.count -= 1n;
    context.outside.portOut(port, operation.bytes, Number(value));
    if (repeated && operation.count > 0n) restart(context);
  }),
];
