/** Shuffles of floating point with VEX prefixes, within lanes of 128 bits (Intel SDM vol. 1 §14.1). */
import { i32, type V128 } from "../wasm/expression.ts";
import { i8x16, i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { type Controlled, pairwise, VEX } from "./encoding.ts";
import type { Family } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { floatElements } from "./sse-elements.ts";
import {
  blendingBySign,
  floatBlends,
  floatShuffles,
  floatUnpacking,
  shuffleDoubles,
  shuffleSingles,
} from "./sse-shuffle.ts";
import { lanes, late, type Meaning, ofBothLengths, type Vector } from "./vector.ts";

/** What SHUFPS and SHUFPD do, of one source. */
const permuting =
  (shuffle: Controlled): Meaning =>
  (e, destination: Operand, source: Operand, control: Operand) => {
    const values = e.readHalves(source);
    e.writeHalves(
      destination,
      values.map((value, half) => shuffle(e, value, value, control, half, 128)),
    );
  };

/** Elements of the first source, each by the two lowest bits of the second one's. */
const permuteSingles = (a: Vector, numbers: Vector): V128 => {
  const bytes = i32x4.mul(v128.and(numbers, i32x4.const(3)), i32x4.const(0x0404_0404));
  return i8x16.swizzle(a, i32x4.add(bytes, i32x4.const(0x0302_0100)));
};

/** The same in double precision: by bit 1. */
const permuteDoubles = (a: Vector, numbers: Vector): V128 => {
  const isHigh = i64x2.gtS(i64x2.const(0), i64x2.shl(numbers, i32.const(62)));
  return v128.bitselect(lanes(a, a, 8, [1, 1]), lanes(a, a, 8, [0, 0]), isHigh);
};

/** VTESTPS and VTESTPD: as PTEST, of the sign bits alone. */
const testing =
  (bitmask: typeof i32x4.bitmask): Meaning =>
  (e: Emitter, first: Operand, second: Operand) => {
    const b = e.readHalves(second);
    const a = e.readHalves(first);
    const isAny = (combine: (x: V128, y: V128) => V128) =>
      b.map((value, half) => bitmask(combine(value, a[half] ?? value))).reduce(i32.or);
    e.flags.zeroAndCarry(i32.eqz(isAny(v128.and)), i32.eqz(isAny(v128.andnot)));
  };

export const avxShuffle: Family = [
  ...[floatShuffles, floatUnpacking, floatBlends, floatElements].flatMap((made) =>
    made(VEX).map(VEX.instruction),
  ),
  late("VBLENDVPS", ofBothLengths("66 0F 3A 4A Vx,Hx,Wx,Lx noW"), blendingBySign(VEX, i32x4.gtS)),
  late("VBLENDVPD", ofBothLengths("66 0F 3A 4B Vx,Hx,Wx,Lx noW"), blendingBySign(VEX, i64x2.gtS)),
  late("VPERMILPS", ofBothLengths("66 0F 3A 04 Vx,Wx,Ib noW"), permuting(shuffleSingles)),
  late("VPERMILPD", ofBothLengths("66 0F 3A 05 Vx,Wx,Ib noW"), permuting(shuffleDoubles)),
  {
    ...late(
      "VPERMILPS by vector",
      ofBothLengths("66 0F 38 0C Vx,Hx,Wx noW"),
      pairwise(VEX, permuteSingles),
    ),
    mnemonic: "VPERMILPS",
  },
  {
    ...late(
      "VPERMILPD by vector",
      ofBothLengths("66 0F 38 0D Vx,Hx,Wx noW"),
      pairwise(VEX, permuteDoubles),
    ),
    mnemonic: "VPERMILPD",
  },
  {
    ...late("VTESTPS", ofBothLengths("66 0F 38 0E Vx,Wx noW"), testing(i32x4.bitmask)),
    flags: { written: "OSZAPC" },
  },
  {
    ...late("VTESTPD", ofBothLengths("66 0F 38 0F Vx,Wx noW"), testing(i64x2.bitmask)),
    flags: { written: "OSZAPC" },
  },
];
