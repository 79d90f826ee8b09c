/** The four forms of SSE's floating point: packed and scalar, single and double precision. */
import { BINARY32, BINARY64, type Format } from "../float/format.ts";
import { type I32, i32, i64, type V128 } from "../wasm/expression.ts";
import { type FloatLanes, f32x4, f64x2, i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Vector } from "./vector.ts";

export interface FloatKind {
  /** What ends an instruction's name. */
  readonly suffix: "PS" | "PD" | "SS" | "SD";
  readonly prefix: "NP" | "66" | "F3" | "F2";
  /** Operand type. */
  readonly type: "ps" | "pd" | "ss" | "sd";
  readonly scalar: boolean;
  readonly format: Format;
  readonly bits: 32 | 64;
  readonly lanes: FloatLanes;
}

const SINGLE = { format: BINARY32, bits: 32, lanes: f32x4 } as const;
const DOUBLE = { format: BINARY64, bits: 64, lanes: f64x2 } as const;

export const PS: FloatKind = { suffix: "PS", prefix: "NP", type: "ps", scalar: false, ...SINGLE };
export const PD: FloatKind = { suffix: "PD", prefix: "66", type: "pd", scalar: false, ...DOUBLE };
export const SS: FloatKind = { suffix: "SS", prefix: "F3", type: "ss", scalar: true, ...SINGLE };
export const SD: FloatKind = { suffix: "SD", prefix: "F2", type: "sd", scalar: true, ...DOUBLE };
export const FLOAT_KINDS: readonly FloatKind[] = [PS, PD, SS, SD];

/** Numbers by the format's bits: the same in all lanes. */
const constant = ({ bits }: FloatKind, single: number, double: bigint): V128 =>
  bits === 32 ? i32x4.const(single) : i64x2.const(double);

/** The smallest normal number. */
const minNormal = (kind: FloatKind) => constant(kind, 0x0080_0000, 0x0010_0000_0000_0000n);
const infinity = (kind: FloatKind) => constant(kind, 0x7f80_0000, 0x7ff0_0000_0000_0000n);
/** 2 ** 31 */
export const twoTo31 = (kind: FloatKind) => constant(kind, 0x4f00_0000, 0x41e0_0000_0000_0000n);
/** 2 ** 12 + 1, 2 ** 27 + 1: multiplied by it, a number falls into two halves. */
const splitter = (kind: FloatKind) => constant(kind, 0x4580_0800, 0x41a0_0000_0200_0000n);
/** 2 ** 100, 2 ** 990: no overflow when split. */
const large = (kind: FloatKind) => constant(kind, 0x7180_0000, 0x7dd0_0000_0000_0000n);
/** 2 ** -96, 2 ** -960: no underflow in the low half of a product. */
const small = (kind: FloatKind) => constant(kind, 0x0f80_0000, 0x03f0_0000_0000_0000n);

export const isZero = ({ lanes }: FloatKind, a: Vector): V128 => lanes.eq(a, i64x2.const(0));

/** Lanes that are zero, normal or infinite: operands that raise no exception by themselves. */
export const isPlain = (kind: FloatKind, a: Vector): V128 =>
  v128.or(kind.lanes.ge(kind.lanes.abs(a), minNormal(kind)), isZero(kind, a));

export const bothPlain = (kind: FloatKind, a: Vector, b: Vector): V128 =>
  v128.and(isPlain(kind, a), isPlain(kind, b));

/** Lanes where none is zero or denormal; of NaNs and infinities this may say anything. */
export const areLarge = (kind: FloatKind, values: readonly Vector[]): V128 => {
  const { abs, ge, pmin } = kind.lanes;
  return ge(values.map((value) => abs(value)).reduce(pmin), minNormal(kind));
};

/**
 * Lanes that neither overflowed nor underflowed. The smallest normal number may have been rounded
 * up from below it, which is an underflow.
 */
export const isInRange = (kind: FloatKind, result: Vector): V128 => {
  const { gt, lt, abs } = kind.lanes;
  return v128.and(gt(abs(result), minNormal(kind)), lt(abs(result), infinity(kind)));
};

/**
 * Whether the lowest lane's exponent is neither among the smallest, zero included, nor the largest:
 * with one added it has a bit beside the `ignored` low ones.
 */
function hasExponent({ bits }: FloatKind, value: Vector, ignored: number): I32 {
  const [exponent, fraction] = bits === 32 ? [0xff, 23] : [0x7ff, 20];
  const mask = (exponent >> ignored) << (fraction + ignored);
  const next = i32.add(highWord(bits, value), i32.const(1 << fraction));
  return i32.ne(i32.and(next, i32.const(mask)), i32.const(0));
}

/** The upper 32 bits of the lowest lane. */
function highWord(bits: 32 | 64, value: Vector): I32 {
  if (bits === 32) return i32x4.extractLane(value, 0);
  const whole = i64.reinterpretF64(f64x2.extractLane(value, 0));
  return i32.wrap(i64.shrU(whole, i64.const(32)));
}

/** Whether the lowest lane is a normal number: neither zero nor denormal, infinite or NaN. */
export const isNormal = (kind: FloatKind, value: Vector): I32 => hasExponent(kind, value, 1);

/** Whether it is a normal number, and none of the very smallest ones. */
export const isInMiddle = (kind: FloatKind, value: Vector): I32 => hasExponent(kind, value, 2);

/** Lanes of which, as a product, no bits are below what a double can have. */
export const isSafe = (value: Vector): V128 => f64x2.gt(f64x2.abs(value), small(PD));

type Let = (value: V128) => Vector;

/** Lanes where `sum` is what `a + b` is exactly (Knuth's TwoSum). */
export const isExactSum = (
  kind: FloatKind,
  define: Let,
  a: Vector,
  b: Vector,
  sum: Vector,
): V128 => {
  const { add, sub, eq } = kind.lanes;
  const virtual = define(sub(sum, a));
  const error = add(sub(a, sub(sum, virtual)), sub(b, virtual));
  return eq(error, i64x2.const(0));
};

/**
 * Lanes where `product` is what `a * b` is exactly (Dekker's product); those with exponents where
 * this cannot be told are left out.
 */
export const isExactProduct = (
  kind: FloatKind,
  define: Let,
  a: Vector,
  b: Vector,
  product: Vector,
): V128 => {
  const { add, sub, mul, eq, lt, gt, abs } = kind.lanes;
  const split = (x: Vector): [Vector, Vector] => {
    const scaled = define(mul(x, splitter(kind)));
    const high = define(sub(scaled, sub(scaled, x)));
    return [high, define(sub(x, high))];
  };
  const [highA, lowA] = split(a);
  const [highB, lowB] = split(b);
  const highest = sub(mul(highA, highB), product);
  const middle = add(add(highest, mul(highA, lowB)), mul(lowA, highB));
  const error = add(middle, mul(lowA, lowB));
  const fits = v128.and(lt(abs(a), large(kind)), lt(abs(b), large(kind)));
  const keeps = v128.or(gt(abs(product), small(kind)), isZero(kind, product));
  return v128.and(v128.and(fits, keeps), eq(error, i64x2.const(0)));
};
