/** What the families of vector instructions share. */
import type { I32, I64, V128 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import { f32x4, f64x2, i8x16 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import type { Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";

export type Vector = Local<"v128">;
export type Meaning = (e: Emitter, ...operands: Operand[]) => void;

/** With a VEX prefix, of 128 and of 256 bits. @param text of a form, without what VEX.L is */
export const ofBothLengths = (text: string): string[] => [`VEX.0 ${text}`, `VEX.1 ${text}`];

/** An instruction that few guests have: see `Instruction.late`. */
export const late = (name: string, forms: readonly string[], meaning: Meaning): Instruction => ({
  ...{ name, forms, meaning },
  late: true,
});

/** An operand at another width. */
export const atBits = (operand: Operand, bits: number): Operand => ({ ...operand, bits });

/** Lanes of `bytes` each, by number: of `a`, then (from `16 / bytes` on) of `b`. */
export const lanes = (a: V128, b: V128, bytes: number, numbers: readonly number[]): V128 => {
  const count = 16 / bytes;
  const all = Array.from({ length: count }, (_, at) => numbers[at] ?? 0);
  const indices = all.flatMap((lane) => Array.from({ length: bytes }, (_, i) => lane * bytes + i));
  return i8x16.shuffle(a, b, indices);
};

/** The numbers of the first `count` lanes from `first` on, `step` apart. */
export const range = (first: number, count: number, step = 1): number[] =>
  Array.from({ length: count }, (_, at) => first + at * step);

/** A vector with the lowest bits of another: 32, 64 or all. */
export function withLowest(into: V128, value: V128, bits: number): V128 {
  if (bits === 128) return value;
  if (bits === 64) return f64x2.replaceLane(into, 0, f64x2.extractLane(value, 0));
  return f32x4.replaceLane(into, 0, f32x4.extractLane(value, 0));
}

/** The lowest byte of what is known while code is made, as immediates are in regions. */
export const knownByte = ({ constant }: I32 | I64): number | undefined =>
  constant === undefined ? undefined : Number(BigInt(constant) & 0xffn);
