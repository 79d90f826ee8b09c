/** FYL2X and FYL2XP1. Intel SDM vol. 1 §8.3.9, vol. 2 under each (tables of special operands). */
import { bitLength } from "../bits.ts";
import { type FloatContext, PRECISION, ZERO_DIVIDE } from "../context.ts";
import {
  type Encoded,
  EXTENDED,
  INFINITY,
  INTEGER_BIT,
  infinity,
  isNan,
  type Operand,
  ZERO,
  zero,
} from "../format.ts";
import { invalid, noteDenormals, propagate } from "../nan.ts";
import { encoded } from "../x87.ts";
import {
  arctangentRatio,
  FRACTION,
  FRACTION_BITS,
  LOG2_E,
  multiply,
  ONE,
  roundInexact,
  shifted,
} from "./fixed-point.ts";

/** FYL2X: `y`, of ST(1), times the binary logarithm of `x`, of ST(0). */
export function yLog2X(ctx: FloatContext, x: Operand, y: Operand): Encoded {
  if (isNan(x) || isNan(y)) return propagate(ctx, EXTENDED, x, y);
  if (x.kind === ZERO) return logarithmOfZero(ctx, y);
  if (x.sign) return invalid(ctx, EXTENDED);
  const isOne = x.kind !== INFINITY && x.exponent === 0 && x.significand === INTEGER_BIT;
  if ((x.kind === INFINITY && y.kind === ZERO) || (y.kind === INFINITY && isOne)) {
    return invalid(ctx, EXTENDED);
  }
  noteDenormals(ctx, x, y);
  const logarithmSign = x.kind !== INFINITY && x.exponent < 0 ? 1 : 0;
  const sign = y.sign ^ logarithmSign;
  if (x.kind === INFINITY || y.kind === INFINITY) return infinity(EXTENDED, sign);
  if (y.kind === ZERO || isOne) return zero(sign);
  return timesLogarithm(ctx, x.significand, x.exponent - 63, y);
}

function logarithmOfZero(ctx: FloatContext, y: Operand): Encoded {
  if (y.kind === ZERO) return invalid(ctx, EXTENDED);
  if (y.kind !== INFINITY) ctx.flags |= ZERO_DIVIDE;
  return infinity(EXTENDED, y.sign ^ 1);
}

/** FYL2XP1: `y`, of ST(1), times the binary logarithm of one more than `x`, of ST(0). */
export function yLog2XPlusOne(ctx: FloatContext, x: Operand, y: Operand): Encoded {
  if (isNan(x) || isNan(y)) return propagate(ctx, EXTENDED, x, y);
  const sign = x.sign ^ y.sign;
  if (x.kind === INFINITY && (x.sign || y.kind === ZERO)) return invalid(ctx, EXTENDED);
  if (x.kind === ZERO && y.kind === INFINITY) return invalid(ctx, EXTENDED);
  noteDenormals(ctx, x, y);
  if (x.kind === INFINITY || y.kind === INFINITY) return infinity(EXTENDED, sign);
  if (x.kind === ZERO || y.kind === ZERO) return zero(sign);
  if (x.sign && x.exponent >= 0) {
    ctx.flags |= PRECISION;
    return encoded(x);
  }
  if (x.exponent < -2) return timesSmallLogarithm(ctx, x, y);
  const shift = Math.max(0, 63 - x.exponent);
  const one = 1n << BigInt(shift);
  const magnitude = shifted(x.significand, x.exponent - 63 + shift);
  return timesLogarithm(ctx, x.sign ? one - magnitude : one + magnitude, -shift, y);
}

/** With ln(1 + x) = 2 atanh(x / (2 + x)). */
function timesSmallLogarithm(ctx: FloatContext, x: Operand, y: Operand): Encoded {
  const magnitude = shifted(x.significand, FRACTION + x.exponent - 63);
  const denominator = 2n * ONE + (x.sign ? -magnitude : magnitude);
  const reciprocal = (ONE << FRACTION_BITS) / denominator;
  const quotient = multiply(magnitude, reciprocal);
  const ratio = multiply(arctangentRatio(multiply(quotient, quotient)), LOG2_E);
  const product = x.significand * multiply(reciprocal, ratio) * y.significand;
  return roundInexact(ctx, x.sign ^ y.sign, product, x.exponent + y.exponent - 125 - FRACTION);
}

/** `y` times log2 of `significand * 2 ** scale`, which is neither zero nor one. */
function timesLogarithm(
  ctx: FloatContext,
  significand: bigint,
  scale: number,
  y: Operand,
): Encoded {
  const length = bitLength(significand);
  let exponent = scale + length - 1;
  let unit = 1n << BigInt(length - 1);
  if (significand === unit) return timesInteger(ctx, exponent, y);
  if (significand * significand > 2n * unit * unit) {
    exponent++;
    unit <<= 1n;
  }
  const numerator = significand - unit;
  const shift = length - bitLength(numerator < 0n ? -numerator : numerator);
  const quotient = (numerator << BigInt(FRACTION + shift)) / (significand + unit);
  const square = shifted(quotient * quotient, -FRACTION - 2 * shift);
  const ratio = multiply(arctangentRatio(square), LOG2_E);
  const mantissaLogarithm = 2n * multiply(quotient, ratio);
  const logarithm = (BigInt(exponent) << BigInt(FRACTION + shift)) + mantissaLogarithm;
  const sign = y.sign ^ (logarithm < 0n ? 1 : 0);
  const product = (logarithm < 0n ? -logarithm : logarithm) * y.significand;
  return roundInexact(ctx, sign, product, y.exponent - 63 - FRACTION - shift);
}

/** Negative logarithms of powers of two come out of processors a trifle too small. */
function timesInteger(ctx: FloatContext, logarithm: number, y: Operand): Encoded {
  if (logarithm > 0) {
    return roundInexact(ctx, y.sign, BigInt(logarithm) * y.significand, y.exponent - 63, true);
  }
  const product = ((BigInt(-logarithm) * y.significand) << FRACTION_BITS) - 1n;
  return roundInexact(ctx, y.sign ^ 1, product, y.exponent - 63 - FRACTION);
}
