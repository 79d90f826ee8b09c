/**
 * The operations of both units that IEEE 754 defines. Intel SDM vol. 1 §4.9.1.1 (what is invalid), vol.
 * 2 under FADD, FSUB, FMUL, FDIV, FSQRT and ADDSS, SUBSS, MULSS, DIVSS, SQRTSS.
 *
 * Operands may be of any format; the result is of `format`, EXTENDED being rounded to x87's precision
 * control and following x87's rules for NaNs.
 */
import { integerSquareRoot } from "./bits.ts";
import { DOWN, type FloatContext, ZERO_DIVIDE } from "./context.ts";
import {
  type Encoded,
  EXTENDED,
  type Format,
  INFINITY,
  infinity,
  isNan,
  type Operand,
  ZERO,
  zero,
} from "./format.ts";
import { invalid, noteDenormals, propagate, propagateOfThree, propagateOne } from "./nan.ts";
import { round } from "./round.ts";

/** With exponents further apart, the smaller operand only tells on which side of the larger we are. */
const FAR = 130;

const precisionOf = (ctx: FloatContext, format: Format): number =>
  format === EXTENDED ? ctx.precision : format.precision;

export const add = (ctx: FloatContext, format: Format, a: Operand, b: Operand): Encoded =>
  addSigned(ctx, format, a, b, b.sign);

/** `a - b` */
export const subtract = (ctx: FloatContext, format: Format, a: Operand, b: Operand): Encoded =>
  addSigned(ctx, format, a, b, b.sign ^ 1);

function addSigned(
  ctx: FloatContext,
  format: Format,
  a: Operand,
  b: Operand,
  signB: number,
): Encoded {
  if (isNan(a) || isNan(b)) return propagate(ctx, format, a, b);
  if (a.kind === INFINITY && b.kind === INFINITY && a.sign !== signB) return invalid(ctx, format);
  noteDenormals(ctx, a, b);
  if (a.kind === INFINITY) return infinity(format, a.sign);
  if (b.kind === INFINITY) return infinity(format, signB);
  if (b.kind === ZERO) {
    if (a.kind !== ZERO) return roundOperand(ctx, format, a, a.sign);
    return zero(a.sign === signB ? signB : signOfZeroSum(ctx));
  }
  if (a.kind === ZERO) return roundOperand(ctx, format, b, signB);
  return a.exponent < b.exponent
    ? addMagnitudes(ctx, format, b, signB, a, a.sign)
    : addMagnitudes(ctx, format, a, a.sign, b, signB);
}

/** @param large has no smaller exponent than `small` */
function addMagnitudes(
  ctx: FloatContext,
  format: Format,
  large: Operand,
  largeSign: number,
  small: Operand,
  smallSign: number,
): Encoded {
  const distance = large.exponent - small.exponent;
  const shift = Math.min(distance, FAR);
  const addend = distance > FAR ? 1n : small.significand;
  const aligned = large.significand << BigInt(shift);
  const sum = largeSign === smallSign ? aligned + addend : aligned - addend;
  if (sum === 0n) return zero(signOfZeroSum(ctx));
  const sign = sum < 0n ? smallSign : largeSign;
  const scale = large.exponent - 63 - shift;
  return round(ctx, format, sign, sum < 0n ? -sum : sum, scale, precisionOf(ctx, format));
}

/** x + (-x) */
const signOfZeroSum = (ctx: FloatContext): number => (ctx.rounding === DOWN ? 1 : 0);

const roundOperand = (ctx: FloatContext, format: Format, a: Operand, sign: number): Encoded =>
  round(ctx, format, sign, a.significand, a.exponent - 63, precisionOf(ctx, format));

export function multiply(ctx: FloatContext, format: Format, a: Operand, b: Operand): Encoded {
  if (isNan(a) || isNan(b)) return propagate(ctx, format, a, b);
  const sign = a.sign ^ b.sign;
  if (a.kind === INFINITY || b.kind === INFINITY) {
    if (a.kind === ZERO || b.kind === ZERO) return invalid(ctx, format);
    noteDenormals(ctx, a, b);
    return infinity(format, sign);
  }
  noteDenormals(ctx, a, b);
  if (a.kind === ZERO || b.kind === ZERO) return zero(sign);
  const scale = a.exponent + b.exponent - 126;
  const product = a.significand * b.significand;
  return round(ctx, format, sign, product, scale, precisionOf(ctx, format));
}

/**
 * `a * b + c`, rounded once (SDM vol. 1 §14.5). The signs of the product and of `c` are handed over, since
 * NaNs keep theirs.
 */
export function fusedMultiplyAdd(
  ctx: FloatContext,
  format: Format,
  a: Operand,
  b: Operand,
  c: Operand,
  signOfProduct: number,
  signC: number,
): Encoded {
  if (isNan(a) || isNan(b) || isNan(c)) return propagateOfThree(ctx, format, a, b, c);
  const isZero = a.kind === ZERO || b.kind === ZERO;
  const isInfinite = a.kind === INFINITY || b.kind === INFINITY;
  const isOpposed = c.kind === INFINITY && signOfProduct !== signC;
  if (isInfinite && (isZero || isOpposed)) return invalid(ctx, format);
  noteDenormals(ctx, a, b);
  noteDenormals(ctx, c);
  if (isInfinite) return infinity(format, signOfProduct);
  if (c.kind === INFINITY) return infinity(format, signC);
  if (isZero && c.kind === ZERO) {
    return zero(signOfProduct === signC ? signC : signOfZeroSum(ctx));
  }
  const scaleOfProduct = a.exponent + b.exponent - 126;
  const scaleC = c.exponent - 63;
  const scale = isZero
    ? scaleC
    : c.kind === ZERO
      ? scaleOfProduct
      : Math.min(scaleOfProduct, scaleC);
  const product = isZero ? 0n : (a.significand * b.significand) << BigInt(scaleOfProduct - scale);
  const addend = c.kind === ZERO ? 0n : c.significand << BigInt(scaleC - scale);
  const sum = (signOfProduct ? -product : product) + (signC ? -addend : addend);
  if (sum === 0n) return zero(signOfZeroSum(ctx));
  return round(ctx, format, sum < 0n ? 1 : 0, sum < 0n ? -sum : sum, scale);
}

/** `a / b` */
export function divide(ctx: FloatContext, format: Format, a: Operand, b: Operand): Encoded {
  if (isNan(a) || isNan(b)) return propagate(ctx, format, a, b);
  const sign = a.sign ^ b.sign;
  if (a.kind === INFINITY) {
    if (b.kind === INFINITY) return invalid(ctx, format);
    noteDenormals(ctx, b);
    return infinity(format, sign);
  }
  if (b.kind === ZERO) {
    if (a.kind === ZERO) return invalid(ctx, format);
    ctx.flags |= ZERO_DIVIDE;
    return infinity(format, sign);
  }
  noteDenormals(ctx, a, b);
  if (a.kind === ZERO || b.kind === INFINITY) return zero(sign);
  const dividend = a.significand << 67n;
  const quotient = dividend / b.significand;
  const sticky = quotient * b.significand === dividend ? quotient : quotient | 1n;
  return round(ctx, format, sign, sticky, a.exponent - b.exponent - 67, precisionOf(ctx, format));
}

export function squareRoot(ctx: FloatContext, format: Format, a: Operand): Encoded {
  if (isNan(a)) return propagateOne(ctx, format, a);
  if (a.kind === ZERO) return zero(a.sign);
  if (a.sign) return invalid(ctx, format);
  noteDenormals(ctx, a);
  if (a.kind === INFINITY) return infinity(format, 0);
  const odd = a.exponent & 1;
  const radicand = a.significand << BigInt(odd ? 70 : 69);
  const root = integerSquareRoot(radicand);
  const sticky = root * root === radicand ? root << 1n : (root << 1n) | 1n;
  const exponent = (a.exponent - odd) / 2;
  return round(ctx, format, 0, sticky, exponent - 67, precisionOf(ctx, format));
}
