/** Conversions between single precision and halves of it (Intel SDM vol. 1 §14.4). */
import { convertFromHalf, convertToHalf } from "../float/sse.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { i32, type V128 } from "../wasm/expression.ts";
import { f32x4, i16x8, i32x4, i64x2, v128 } from "../wasm/simd.ts";
import { immediate, inAll, VEX } from "./encoding.ts";
import { PS } from "./float-kind.ts";
import type { Family } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { elements, exactly, joined, unlessOrdinary } from "./sse-exact.ts";
import { atBits, lanes, type Meaning, type Vector } from "./vector.ts";

const HALF_BITS = 16;
const MAGNITUDE = 0x7fff;
const INFINITE_HALF = 0x7c00;
/** How many more bits a single's fraction has. */
const MORE_BITS = 13;
/** 2 ** 112: what the same exponent means more in a half. */
const REBIASING = 0x7780_0000;

const widen: Meaning = (e, destination: Operand, source: Operand) => {
  const [value] = e.readHalves(source);
  if (value === undefined) return;
  const sources = destination.bits === 256 ? [value, e.let(lanes(value, value, 8, [1]))] : [value];
  const halves = sources.map((half) => e.let(i32x4.extendLowU(half)));
  const magnitudes = halves.map((half) => e.let(v128.and(half, i32x4.const(MAGNITUDE))));
  const isNumber = (magnitude: Vector) => i32x4.gtS(i32x4.const(INFINITE_HALF), magnitude);
  e.fallbackUnless(i32x4.allTrue(inAll(magnitudes.map(isNumber))));
  const results = halves.map((half, n): V128 => {
    const shifted = i32x4.shl(magnitudes[n] ?? half, i32.const(MORE_BITS));
    // Right for what is denormal as well.
    const absolute = f32x4.mul(shifted, i32x4.const(REBIASING));
    const sign = i32x4.shl(i32x4.shrU(half, i32.const(15)), i32.const(31));
    return v128.or(absolute, sign);
  });
  e.writeHalves(destination, results);
};

function widenExactly(context: ProcedureContext): void {
  const { form } = context.instruction;
  const source = elements(context.read(1), HALF_BITS, form.vexL === 1 ? 8 : 4);
  const results = exactly(context, (ctx) => source.map((bits) => convertFromHalf(ctx, bits)));
  VEX.exact.write(context, results, 32);
}

const ABSOLUTE = 0x7fff_ffff;
/** 2 ** -14, from which on halves are normal, and 65520, which is rounded to infinity. */
const LEAST_NORMAL = 0x3880_0000;
const TOO_LARGE = 0x477f_f000;
const DROPPED = 0x1fff;
/** Bits of the immediate: to nearest or another way; MXCSR's. */
const MODE = 3;
const USE_MXCSR = 4;

const narrow: Meaning = (e, destination: Operand, source: Operand, control: Operand) => {
  const values = e.readHalves(source);
  const which = immediate(e, control);
  // The quick path is for MXCSR's usual mode only, which is to the nearest.
  const isNearest = i32.eqz(i32.and(which, i32.const(MODE)));
  e.fallbackUnless(i32.or(isNearest, i32.and(which, i32.const(USE_MXCSR))));
  const results = values.map((value) => {
    const absolute = e.let(v128.and(value, i32x4.const(ABSOLUTE)));
    const isOdd = v128.and(i32x4.shrU(absolute, i32.const(MORE_BITS)), i32x4.const(1));
    const half = i32x4.add(absolute, i32x4.const(DROPPED >> 1));
    return { value, absolute, rounded: e.let(i32x4.add(half, isOdd)) };
  });
  const isZero = (absolute: Vector) => i32x4.eq(absolute, i32x4.const(0));
  const isNormal = (absolute: Vector): V128 =>
    v128.and(
      i32x4.gtS(absolute, i32x4.const(LEAST_NORMAL - 1)),
      i32x4.gtS(i32x4.const(TOO_LARGE), absolute),
    );
  unlessOrdinary(
    e,
    PS,
    () => inAll(results.map(({ absolute }) => v128.or(isNormal(absolute), isZero(absolute)))),
    () => inAll(results.map(({ value }) => isZero(e.let(v128.and(value, i32x4.const(DROPPED)))))),
  );
  const [low, high] = results.map(({ value, absolute, rounded }) => {
    const biased = i32x4.sub(rounded, i32x4.const(112 << 23));
    const magnitude = v128.andnot(i32x4.shrU(biased, i32.const(MORE_BITS)), isZero(absolute));
    const sign = i32x4.shl(i32x4.shrU(value, i32.const(31)), i32.const(15));
    return v128.or(magnitude, sign);
  });
  if (low === undefined) return;
  const packed = i16x8.narrowU(low, high ?? i64x2.const(0));
  if (destination.kind === "memory") e.writeVector(destination, packed, "unaligned");
  else e.writeHalves(atBits(destination, 128), [packed]);
};

function narrowExactly(context: ProcedureContext): void {
  const { form } = context.instruction;
  const count = form.vexL === 1 ? 8 : 4;
  const bytes = (count * HALF_BITS) / 8;
  if (context.inMemory) context.check(context.address(), bytes, "write");
  const control = Number(context.immediate());
  const source = elements(context.read(1), 32, count);
  const results = exactly(context, (ctx) =>
    source.map((bits) => convertToHalf(ctx, bits, control)),
  );
  const value = joined(results, HALF_BITS);
  if (context.inMemory) context.write(0, value);
  else context.writeWhole(0, value);
}

export const f16c: Family = [
  {
    name: "VCVTPH2PS",
    forms: ["VEX.0 66 0F 38 13 Vx,Wq noW", "VEX.1 66 0F 38 13 Vx,Wdq noW"],
    late: true,
    meaning: widen,
    procedure: widenExactly,
  },
  {
    name: "VCVTPS2PH",
    forms: ["VEX.0 66 0F 3A 1D Wq,Vx,Ib noW", "VEX.1 66 0F 3A 1D Wdq,Vx,Ib noW"],
    late: true,
    meaning: narrow,
    procedure: narrowExactly,
  },
];
