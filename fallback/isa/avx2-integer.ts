/** What AVX2 has of integers besides what SSE has (Intel SDM vol. 1 §14.6). */
import { type I64, i32, i64, select, type V128 } from "../wasm/expression.ts";
import { i32x4, i64x2 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { controlling, pairwise, VEX } from "./encoding.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { splatLane } from "./sse-elements.ts";
import { blending } from "./sse-shuffle.ts";
import { type Meaning, ofBothLengths, range, type Vector } from "./vector.ts";

/** One element in all places. */
const broadcast: Meaning = (e, destination: Operand, source: Operand) => {
  const value = e.let(splatLane(e.read(source), source.bits as 8 | 16 | 32 | 64));
  e.writeHalves(destination, destination.bits === 256 ? [value, value] : [value]);
};

/** Each lane by a count of its own; those that are too large leave nothing, or the sign. */
const shifting =
  (bits: 32 | 64, shifted: (value: I64, count: I64) => I64) =>
  (a: Vector, b: Vector, e: Emitter): V128 => {
    const lane = (vector: Vector, at: number): I64 =>
      bits === 64 ? i64x2.extractLane(vector, at) : i64.extendU(i32x4.extractLane(vector, at));
    const result = e.variable(i64x2.const(0));
    for (const at of range(0, 128 / bits)) {
      const value = shifted(lane(a, at), e.let(lane(b, at)));
      e.set(
        result,
        bits === 64
          ? i64x2.replaceLane(result, at, value)
          : i32x4.replaceLane(result, at, i32.wrap(value)),
      );
    }
    return result;
  };

const orNothing =
  (bits: number, shift: (value: I64, count: I64) => I64) =>
  (value: I64, count: I64): I64 =>
    select(i64.ltU(count, i64.const(bits)), shift(value, count), i64.const(0));

const withSign = (value: I64, count: I64): I64 => {
  const last = i64.const(31);
  return i64.shrS(i64.extend32S(value), select(i64.ltU(count, last), count, last));
};

const late = (name: string, forms: readonly string[], meaning: Meaning): Instruction => ({
  ...{ name, forms, meaning },
  late: true,
});

const shifts = (name: string, opcode: string, shift: typeof i64.shl): Instruction[] =>
  ([32, 64] as const).map((bits) =>
    late(
      `${name}${bits === 32 ? "D" : "Q"}`,
      ofBothLengths(`66 0F 38 ${opcode} Vx,Hx,Wx ${bits === 32 ? "noW" : "W"}`),
      pairwise(VEX, shifting(bits, orNothing(bits, shift))),
    ),
  );

const broadcasts = (["b", "w", "d", "q"] as const).map((type, at) => {
  const opcode = ["78", "79", "58", "59"][at];
  const forms = ofBothLengths(`66 0F 38 ${opcode} Vx,W${type} noW`);
  return late(`VPBROADCAST${type.toUpperCase()}`, forms, broadcast);
});

export const avx2Integer: Family = [
  ...broadcasts,
  late("VPBLENDD", ofBothLengths("66 0F 3A 02 Vx,Hx,Wx,Ib noW"), controlling(VEX, blending(32, 4))),
  ...shifts("VPSLLV", "47", i64.shl),
  ...shifts("VPSRLV", "45", i64.shrU),
  late("VPSRAVD", ofBothLengths("66 0F 38 46 Vx,Hx,Wx noW"), pairwise(VEX, shifting(32, withSign))),
];
