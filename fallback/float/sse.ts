/**
 * SSE's scalar operations on encodings, that is elements of packed ones too: 32 or 64 bits in, 32 or
 * 64 bits out, by the modes of MXCSR. Intel SDM vol. 1 §10.2.3, §11.5, vol. 2 under each instruction.
 */
import * as arithmetic from "./arithmetic.ts";
import { compare, GREATER, LESS, type Order, UNORDERED } from "./compare.ts";
import { type FloatContext, PRECISION, type Rounding } from "./context.ts";
import {
  BINARY16,
  BINARY32,
  DENORMAL,
  type Encoded,
  type Format,
  INFINITY,
  infinity,
  isNan,
  type Operand,
  pack,
  unpack,
  ZERO,
  zero,
} from "./format.ts";
import {
  fromInteger,
  roundToIntegral,
  toInteger,
  truncateToInteger,
  withRounding,
} from "./integer.ts";
import { noteDenormals, propagateOne } from "./nan.ts";
import { round } from "./round.ts";

/** Takes an element apart, obeying "denormals are zeros" (SDM vol. 1 §10.2.3.4). */
function element(ctx: FloatContext, format: Format, bits: bigint): Operand {
  const operand = unpack(format, bits);
  if (operand.kind !== DENORMAL || !ctx.denormalsAreZeros) return operand;
  return { kind: ZERO, sign: operand.sign, exponent: 0, significand: 0n };
}

type Operation = (ctx: FloatContext, format: Format, a: Operand, b: Operand) => Encoded;

/** @param a the destination operand @param b the source operand */
export type BinaryOperation = (ctx: FloatContext, format: Format, a: bigint, b: bigint) => bigint;

const onElements =
  (operation: Operation): BinaryOperation =>
  (ctx, format, a, b) =>
    pack(format, operation(ctx, format, element(ctx, format, a), element(ctx, format, b)));

export const add = onElements(arithmetic.add);
export const subtract = onElements(arithmetic.subtract);
export const multiply = onElements(arithmetic.multiply);
export const divide = onElements(arithmetic.divide);

export const squareRoot = (ctx: FloatContext, format: Format, a: bigint): bigint =>
  pack(format, arithmetic.squareRoot(ctx, format, element(ctx, format, a)));

/** `a * b + c` of FMA. @param negatesProduct, negatesAddend 1 if so */
export function fusedMultiplyAdd(
  ctx: FloatContext,
  format: Format,
  [a, b, c]: readonly [bigint, bigint, bigint],
  negatesProduct: number,
  negatesAddend: number,
): bigint {
  const [x, y, z] = [element(ctx, format, a), element(ctx, format, b), element(ctx, format, c)];
  const signOfProduct = x.sign ^ y.sign ^ negatesProduct;
  const sum = arithmetic.fusedMultiplyAdd(
    ...([ctx, format, x, y, z] as const),
    ...([signOfProduct, z.sign ^ negatesAddend] as const),
  );
  return pack(format, sum);
}

/** MINSS and its like: the source operand unless the destination operand is less. */
export const minimum: BinaryOperation = (ctx, format, a, b) => choose(ctx, format, a, b, LESS);
/** MAXSS and its like: the source operand unless the destination operand is greater. */
export const maximum: BinaryOperation = (ctx, format, a, b) => choose(ctx, format, a, b, GREATER);

function choose(ctx: FloatContext, format: Format, a: bigint, b: bigint, wanted: Order): bigint {
  const first = element(ctx, format, a);
  const second = element(ctx, format, b);
  const isFirst = compare(ctx, first, second, false) === wanted;
  const chosen = isFirst ? first : second;
  if (chosen.kind === ZERO) return pack(format, zero(chosen.sign));
  return isFirst ? a : b;
}

/** COMISS and its like. */
export const compareOrdered = (ctx: FloatContext, format: Format, a: bigint, b: bigint): Order =>
  compare(ctx, element(ctx, format, a), element(ctx, format, b), false);

/** UCOMISS and its like. */
export const compareUnordered = (ctx: FloatContext, format: Format, a: bigint, b: bigint): Order =>
  compare(ctx, element(ctx, format, a), element(ctx, format, b), true);

/**
 * CMPSS and its like.
 * @param predicate 0 to 7: EQ, LT, LE, UNORD, NEQ, NLT, NLE, ORD; 8 more: what is unordered the other
 *   way; 16 more: complaining of quiet NaNs the other way (VCMPSS)
 */
export function compareBy(
  ctx: FloatContext,
  format: Format,
  a: bigint,
  b: bigint,
  predicate: number,
): boolean {
  const relation = predicate & 3;
  const isQuiet = (relation === 0 || relation === 3) !== (predicate & 16) > 0;
  const order = compare(ctx, element(ctx, format, a), element(ctx, format, b), isQuiet);
  const inverting = order === UNORDERED ? (predicate >> 2) ^ (predicate >> 3) : predicate >> 2;
  return holds(order, relation) !== (inverting & 1) > 0;
}

function holds(order: Order, relation: number): boolean {
  switch (relation) {
    case 0:
      return order === 0;
    case 1:
      return order === LESS;
    case 2:
      return order === LESS || order === 0;
    default:
      return order === UNORDERED;
  }
}

/** CVTSS2SD, CVTSD2SS and their packed forms. */
export function convert(ctx: FloatContext, from: Format, to: Format, bits: bigint): bigint {
  const a = element(ctx, from, bits);
  if (isNan(a)) return pack(to, propagateOne(ctx, to, a));
  noteDenormals(ctx, a);
  if (a.kind === INFINITY) return pack(to, infinity(to, a.sign));
  if (a.kind === ZERO) return pack(to, zero(a.sign));
  return pack(to, round(ctx, to, a.sign, a.significand, a.exponent - 63));
}

/** VCVTPH2PS: "denormals are zeros" is not for halves, and nobody hears of them. */
export function convertFromHalf(ctx: FloatContext, bits: bigint): bigint {
  const a = unpack(BINARY16, bits);
  if (isNan(a)) return pack(BINARY32, propagateOne(ctx, BINARY32, a));
  if (a.kind === INFINITY) return pack(BINARY32, infinity(BINARY32, a.sign));
  if (a.kind === ZERO) return pack(BINARY32, zero(a.sign));
  return pack(BINARY32, round(ctx, BINARY32, a.sign, a.significand, a.exponent - 63));
}

/**
 * VCVTPS2PH: never flushed to zero.
 * @param control the immediate byte: bits 0 and 1 are a rounding mode, bit 2 prefers MXCSR's
 */
export function convertToHalf(ctx: FloatContext, bits: bigint, control: number): bigint {
  const mode = control & 4 ? ctx.rounding : ((control & 3) as Rounding);
  const { flushToZero } = ctx;
  ctx.flushToZero = false;
  const half = withRounding(ctx, mode, () => convert(ctx, BINARY32, BINARY16, bits));
  ctx.flushToZero = flushToZero;
  return half;
}

/** CVTSI2SS and its like. */
export const convertFromInteger = (ctx: FloatContext, format: Format, integer: bigint): bigint =>
  pack(format, fromInteger(ctx, format, integer));

/** CVTSS2SI and its like. @param width 32 or 64 @returns signed */
export const convertToInteger = (
  ctx: FloatContext,
  format: Format,
  bits: bigint,
  width: number,
): bigint => toInteger(ctx, element(ctx, format, bits), width);

/** CVTTSS2SI and its like. @param width 32 or 64 @returns signed */
export const truncate = (ctx: FloatContext, format: Format, bits: bigint, width: number): bigint =>
  truncateToInteger(ctx, element(ctx, format, bits), width);

/**
 * ROUNDSS and its like.
 * @param control the immediate byte: bits 0 and 1 are a rounding mode, bit 2 prefers MXCSR's, bit 3
 *   keeps quiet about lost fractions
 */
export function roundElement(
  ctx: FloatContext,
  format: Format,
  bits: bigint,
  control: number,
): bigint {
  const before = ctx.flags;
  const a = element(ctx, format, bits);
  const mode = control & 4 ? ctx.rounding : ((control & 3) as Rounding);
  const result = withRounding(ctx, mode, () => roundToIntegral(ctx, format, a));
  if (control & 8) ctx.flags &= before | ~PRECISION;
  return pack(format, result);
}
