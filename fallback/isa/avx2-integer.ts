/** What AVX2 has of integers besides what SSE has (Intel SDM vol. 1 §14.6). */
import { type I64, i32, i64, select, type V128 } from "../wasm/expression.ts";
import { i8x16, i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { type Combine, controlling, pairwise, VEX } from "./encoding.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { splatLane } from "./sse-elements.ts";
import { blending } from "./sse-shuffle.ts";
import { lanes, late, type Meaning, ofBothLengths, range, type Vector } from "./vector.ts";

/** One element in all places. */
const broadcast: Meaning = (e, destination: Operand, source: Operand) => {
  const value = e.let(splatLane(e.read(source), source.bits as 8 | 16 | 32 | 64));
  e.writeHalves(destination, destination.bits === 256 ? [value, value] : [value]);
};

/** Of two lanes, which are shifted one by one; counts that are too large leave nothing. */
const shiftQuadwords =
  (shift: (value: I64, count: I64) => I64): Combine =>
  (a, b, e) => {
    const lane = (at: number): I64 => {
      const count = e.let(i64x2.extractLane(b, at));
      const shifted = shift(i64x2.extractLane(a, at), count);
      return select(i64.ltU(count, i64.const(64)), shifted, i64.const(0));
    };
    return i64x2.replaceLane(i64x2.splat(lane(0)), 1, lane(1));
  };

/** Two to the power of each lane, or zero from 32 on. @param value at most 255 */
function powersOfTwo(e: Emitter, value: V128): V128 {
  const counts = e.let(value);
  const bytes = [0, 4, 8, 12].flatMap((lane) => [lane, lane, lane, lane]);
  const bits = i8x16.sub(i8x16.shuffle(counts, counts, bytes), i8x16.const(0, 8, 16, 24));
  // Indices that are out of range give zero.
  return i8x16.swizzle(i8x16.const(...range(0, 8).map((bit) => 1 << bit), ...ZEROS), bits);
}
const ZEROS = range(0, 8).map(() => 0);

const cut = (counts: Vector): V128 => i32x4.minU(counts, i32x4.const(32));

const shiftLeft: Combine = (a, b, e) => i32x4.mul(a, powersOfTwo(e, cut(b)));

/** The upper halves of products by two to the power of what is missing to 32. */
const shiftRight: Combine = (a, b, e) => {
  const factors = e.let(powersOfTwo(e, i32x4.sub(i32x4.const(32), cut(b))));
  const products = [i64x2.extmulLowU(a, factors), i64x2.extmulHighU(a, factors)] as const;
  const shifted = lanes(...products, 4, [1, 3, 5, 7]);
  return v128.bitselect(a, shifted, i32x4.eq(b, i32x4.const(0)));
};

/** Of negative numbers, what is inverted moves. */
const shiftArithmetically: Combine = (a, b, e, bits) => {
  const sign = e.let(i32x4.shrS(a, i32.const(31)));
  const positive = e.let(v128.xor(a, sign));
  return v128.xor(shiftRight(positive, b, e, bits), sign);
};

const shifting = (name: string, opcode: string, trait: string, shift: Combine): Instruction =>
  late(name, ofBothLengths(`66 0F 38 ${opcode} Vx,Hx,Wx ${trait}`), pairwise(VEX, shift));

const broadcasts = (["b", "w", "d", "q"] as const).map((type, at) => {
  const opcode = ["78", "79", "58", "59"][at];
  const forms = ofBothLengths(`66 0F 38 ${opcode} Vx,W${type} noW`);
  return late(`VPBROADCAST${type.toUpperCase()}`, forms, broadcast);
});

export const avx2Integer: Family = [
  ...broadcasts,
  late("VPBLENDD", ofBothLengths("66 0F 3A 02 Vx,Hx,Wx,Ib noW"), controlling(VEX, blending(32, 4))),
  shifting("VPSLLVD", "47", "noW", shiftLeft),
  shifting("VPSLLVQ", "47", "W", shiftQuadwords(i64.shl)),
  shifting("VPSRLVD", "45", "noW", shiftRight),
  shifting("VPSRLVQ", "45", "W", shiftQuadwords(i64.shrU)),
  shifting("VPSRAVD", "46", "noW", shiftArithmetically),
];
