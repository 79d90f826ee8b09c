/** MOVS and STOS with a repeat prefix, as far as functions in WebAssembly do them (`emission/string-runs.ts`). */

import { negatedWhere, type StringRuns, whereDown } from "../emission/string-runs.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import { SEGMENT_INDEX } from "../state.ts";
import { type I32, i64 } from "../wasm/expression.ts";
import type { RepetitionEmitter } from "./emitter.ts";
import { RAX, RCX, RDI, RSI } from "./string-operation.ts";

/** Where the functions of `StringRuns` find what they take, and what moves on. */
const OPERANDS = {
  move: { source: RSI, pointers: [RDI, RSI] },
  fill: { source: RAX, pointers: [RDI] },
} as const;

/** By which function a string instruction is done that is repeated, if it is by any. */
export function repeatedBy(
  { form, repeat, addressSize, segment }: DecodedInstruction,
  codeSize: 16 | 32 | 64,
): keyof StringRuns | undefined {
  const isPlain = codeSize === 64 && addressSize === 64 && segment < SEGMENT_INDEX.fs;
  return repeat !== undefined && isPlain ? form.instruction.repetition : undefined;
}

/** Of an element's size: the number of bytes is two to the power of it. */
export const elementShift = ({ form, operandSize }: DecodedInstruction): number =>
  (form.opcode & 1) === 0 ? 0 : Math.log2(operandSize / 8);

/** Does what a function of `StringRuns` can. Returns whether there is anything left to be done. */
export function emitRepetition(e: RepetitionEmitter, name: keyof StringRuns, shift: I32): I32 {
  const { source, pointers } = OPERANDS[name];
  const done = e.run(name, e.getRegister(source, 64), shift);
  const bytes = i64.shl(done, i64.extendU(shift));
  const distance = e.let(negatedWhere(e.let(whereDown()), bytes));
  for (const pointer of pointers) {
    e.setRegister(pointer, 64, i64.add(e.getRegister(pointer, 64), distance));
  }
  e.setRegister(RCX, 64, i64.sub(e.getRegister(RCX, 64), done));
  e.spend(done);
  return i64.ne(e.getRegister(RCX, 64), i64.const(0));
}
