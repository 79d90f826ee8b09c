/** Comparisons of strings and of sets of characters (Intel SDM vol. 1 §12.11.2, vol. 2B §4.1). */
import { RFLAGS } from "../bits.ts";
import { STATE } from "../state.ts";
import { type I32, i32, i64, select, type V128 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import { i8x16, i16x8, i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { type Encoding, immediate, LEGACY, onlyNarrow, VEX } from "./encoding.ts";
import { signExtend } from "./flag-emitter.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { MASK_SHIFT, STRING_CONTROL, UP_TO_ZERO } from "./string-comparison.ts";

const RAX = 0;
const RCX = 1;
const RDX = 2;
const MOST_ELEMENTS = 16;

/** What becomes of the mask. */
type Output = (e: Emitter, mask: Local<"i32">, control: Local<"i32">, encoding: Encoding) => void;

const has = (control: I32, field: "WORDS" | "LAST_OR_WIDE"): I32 =>
  i32.and(control, i32.const(STRING_CONTROL[field]));

/** PCMPESTRI, PCMPISTRI: the first or last index into ECX, or how many elements there are. */
const writeIndex: Output = (e, mask, control) => {
  const ofSize = (words: number, bytes: number): I32 =>
    select(has(control, "WORDS"), i32.const(words), i32.const(bytes));
  const first = i32.ctz(i32.or(mask, ofSize(1 << 8, 1 << 16)));
  const last = select(mask, i32.sub(i32.const(31), i32.clz(mask)), ofSize(8, 16));
  e.setRegister(RCX, 32, i64.extendU(select(has(control, "LAST_OR_WIDE"), last, first)));
};

/** PCMPESTRM, PCMPISTRM: a mask of bits, or of elements, into XMM0. */
const writeMask: Output = (e, mask, control, encoding) => {
  const wide = select(has(control, "WORDS"), wordsOf(mask), bytesOf(mask));
  const bits = i32x4.replaceLane(i64x2.const(0), 0, mask);
  e.setVector(0, select(has(control, "LAST_OR_WIDE"), wide, bits));
  if (encoding !== VEX) return;
  for (const at of [0, 8]) e.setField(STATE.YMM_UPPER + at, i64.const(0));
};

const BIT_OF_EACH = [1, 2, 4, 8, 16, 32, 64, 128];

/** All ones where the mask has a one. */
const wordsOf = (mask: I32): V128 => {
  const bits = (): V128 => i16x8.const(...BIT_OF_EACH);
  return i16x8.eq(v128.and(i16x8.splat(mask), bits()), bits());
};

const bytesOf = (mask: I32): V128 => {
  const bits = (): V128 => i8x16.const(...BIT_OF_EACH);
  const halves = i8x16.const(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  const eights = i8x16.swizzle(i16x8.splat(mask), halves);
  return i8x16.eq(v128.and(eights, bits()), bits());
};

/** The magnitude of a register, as far as there are elements. */
function lengthIn(e: Emitter, register: number): I32 {
  const width = e.bits === 64 ? 64 : 32;
  const value = e.let(signExtend(e.getRegister(register, width), width));
  const isNegative = i64.ltS(value, i64.const(0));
  const magnitude = e.let(select(isNegative, i64.sub(i64.const(0), value), value));
  const isLonger = i64.gtU(magnitude, i64.const(MOST_ELEMENTS));
  return select(isLonger, i32.const(MOST_ELEMENTS), i32.wrap(magnitude));
}

const comparing = (
  encoding: Encoding,
  name: string,
  opcode: string,
  hasLengths: boolean,
  output: Output,
): Instruction => ({
  name,
  forms: onlyNarrow(encoding, `66 0F 3A ${opcode} Vx,Wx,Ib${hasLengths ? " v" : ""}`),
  flags: { written: "OSZAPC" },
  late: true,
  meaning(e, set: Operand, text: Operand, operand: Operand) {
    const second = e.readVector(text, "unaligned");
    const first = e.readVector(set);
    const control = immediate(e, operand);
    const length = (register: number): I32 =>
      hasLengths ? lengthIn(e, register) : i32.const(UP_TO_ZERO);
    const result = e.compareStrings(control, first, second, length(RAX), length(RDX));
    output(e, e.let(i32.shrU(result, i32.const(MASK_SHIFT))), control, encoding);
    const is = (flag: number): I32 => i32.ne(i32.and(result, i32.const(flag)), i32.const(0));
    e.flags.compared(is(RFLAGS.ZF), is(RFLAGS.SF), is(RFLAGS.OF), is(RFLAGS.CF));
  },
});

const stringComparisons = (encoding: Encoding): Family =>
  [
    comparing(encoding, "PCMPESTRM", "60", true, writeMask),
    comparing(encoding, "PCMPESTRI", "61", true, writeIndex),
    comparing(encoding, "PCMPISTRM", "62", false, writeMask),
    comparing(encoding, "PCMPISTRI", "63", false, writeIndex),
  ].map(encoding.instruction);

export const sseStrings: Family = [LEGACY, VEX].flatMap(stringComparisons);
