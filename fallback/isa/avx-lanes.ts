/**
 * What moves lanes of 128 bits and elements between them, or fills registers with one (Intel SDM vol. 1
 * §14.1.1, §14.6): of floating point and of integers, which are the same bits.
 */
import { type I32, i32, select, type V128 } from "../wasm/expression.ts";
import { i8x16, i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { immediate } from "./encoding.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { knownByte, lanes, late, type Meaning, ofBothLengths, type Vector } from "./vector.ts";

const bit = (which: I32, number: number): I32 => i32.and(which, i32.const(1 << number));

/** Both halves of an operand of 256 bits. */
function bothHalves(e: Emitter, operand: Operand): readonly [Vector, Vector] {
  const [low, high] = e.readHalves(operand);
  if (low === undefined || high === undefined) throw new Error("no operand of 256 bits");
  return [low, high];
}

const insert: Meaning = (
  e,
  destination: Operand,
  first: Operand,
  second: Operand,
  control: Operand,
) => {
  const [value] = e.readHalves(second);
  const [low, high] = bothHalves(e, first);
  const isHigh = e.let(bit(immediate(e, control), 0));
  if (value === undefined) return;
  e.writeHalves(destination, [select(isHigh, low, value), select(isHigh, value, high)]);
};

const extract: Meaning = (e, destination: Operand, source: Operand, control: Operand) => {
  const [low, high] = bothHalves(e, source);
  e.writeHalves(destination, [select(bit(immediate(e, control), 0), high, low)]);
};

/** Each half is one of four, or zero. */
const permuteHalves: Meaning = (
  e,
  destination: Operand,
  first: Operand,
  second: Operand,
  control: Operand,
) => {
  const b = bothHalves(e, second);
  const a = bothHalves(e, first);
  const which = immediate(e, control);
  const half = (shift: number): V128 => {
    const of = ([low, high]: readonly [Vector, Vector]) => select(bit(which, shift), high, low);
    const chosen = select(bit(which, shift + 1), of(b), of(a));
    return select(bit(which, shift + 3), i64x2.const(0), chosen);
  };
  e.writeHalves(destination, [half(0), half(4)]);
};

/** Four elements of 64 bits, each of which is any of the source. */
const permuteQuadwords: Meaning = (e, destination: Operand, source: Operand, control: Operand) => {
  const [low, high] = bothHalves(e, source);
  const which = immediate(e, control);
  const known = knownByte(which);
  if (known !== undefined) {
    const half = (shift: number): V128 =>
      lanes(low, high, 8, [(known >> shift) & 3, (known >> (shift + 2)) & 3]);
    e.writeHalves(destination, [half(0), half(4)]);
    return;
  }
  const element = (shift: number) => {
    const of = (vector: Vector) =>
      select(bit(which, shift), i64x2.extractLane(vector, 1), i64x2.extractLane(vector, 0));
    return select(bit(which, shift + 1), of(high), of(low));
  };
  const half = (shift: number): V128 =>
    i64x2.replaceLane(i64x2.splat(element(shift)), 1, element(shift + 2));
  e.writeHalves(destination, [half(0), half(4)]);
};

/** Eight elements of 32 bits, each of which the first source says of the second. */
const permuteDoublewords: Meaning = (e, destination: Operand, first: Operand, second: Operand) => {
  const [low, high] = bothHalves(e, second);
  const results = bothHalves(e, first).map((numbers) => {
    const bytes = i32x4.mul(v128.and(numbers, i32x4.const(7)), i32x4.const(0x0404_0404));
    const indices = e.let(i32x4.add(bytes, i32x4.const(0x0302_0100)));
    // Indices over 15 give zero.
    const ofHigh = i8x16.swizzle(high, i8x16.sub(indices, i8x16.const(16)));
    return v128.or(i8x16.swizzle(low, indices), ofHigh);
  });
  e.writeHalves(destination, results);
};

/** The lowest `bytes` everywhere. */
const broadcast =
  (bytes: 4 | 8 | 16): Meaning =>
  (e, destination: Operand, source: Operand) => {
    const [value] = e.readHalves(source);
    if (value === undefined) return;
    const all = bytes === 16 ? value : e.let(lanes(value, value, bytes, [0, 0, 0, 0]));
    e.writeHalves(destination, destination.bits === 256 ? [all, all] : [all]);
  };

/** The same under two names. */
const twins = (
  names: readonly [string, string],
  heads: readonly [string, string],
  operands: string,
  meaning: Meaning,
): Instruction[] =>
  names.map((name, at) => late(name, [`VEX.1 66 ${heads[at]} ${operands}`], meaning));

export const avxLanes: Family = [
  ...twins(["VINSERTF128", "VINSERTI128"], ["0F 3A 18", "0F 3A 38"], "Vqq,Hqq,Wdq,Ib noW", insert),
  ...twins(["VEXTRACTF128", "VEXTRACTI128"], ["0F 3A 19", "0F 3A 39"], "Wdq,Vqq,Ib noW", extract),
  ...twins(
    ["VPERM2F128", "VPERM2I128"],
    ["0F 3A 06", "0F 3A 46"],
    "Vqq,Hqq,Wqq,Ib noW",
    permuteHalves,
  ),
  ...twins(["VPERMPD", "VPERMQ"], ["0F 3A 01", "0F 3A 00"], "Vqq,Wqq,Ib W", permuteQuadwords),
  ...twins(["VPERMPS", "VPERMD"], ["0F 38 16", "0F 38 36"], "Vqq,Hqq,Wqq noW", permuteDoublewords),
  ...twins(
    ["VBROADCASTF128", "VBROADCASTI128"],
    ["0F 38 1A", "0F 38 5A"],
    "Vqq,Mdq noW",
    broadcast(16),
  ),
  late("VBROADCASTSS", ofBothLengths("66 0F 38 18 Vx,Wd noW"), broadcast(4)),
  late("VBROADCASTSD", ["VEX.1 66 0F 38 19 Vqq,Wq noW"], broadcast(8)),
];
