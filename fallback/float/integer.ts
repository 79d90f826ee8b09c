/** Between floating point and integers. Intel SDM vol. 1 §4.8.4.2 and §4.9.1.1, vol. 2 under FIST, FRNDINT, CVTSS2SI, ROUNDSS. */
import { bitLength } from "./bits.ts";
import { type FloatContext, INVALID, PRECISION, type Rounding, TOWARD_ZERO } from "./context.ts";
import {
  type Encoded,
  type Format,
  INFINITY,
  infinity,
  isNan,
  NORMAL,
  type Operand,
  ZERO,
  zero,
} from "./format.ts";
import { propagateOne } from "./nan.ts";
import { dropBits, round } from "./round.ts";

/** An operand's magnitude without fraction, and whether that is all of it. */
function integralMagnitude(ctx: FloatContext, a: Operand): { value: bigint; exact: boolean } {
  const rounded = dropBits(ctx, a.sign, a.significand, 63 - a.exponent);
  ctx.roundedUp = rounded.up;
  return rounded;
}

/**
 * To an integer in the current rounding mode.
 * @returns undefined, and "invalid" is flagged, where that is not within `least` and `most`
 */
export function toIntegerWithin(
  ctx: FloatContext,
  a: Operand,
  least: bigint,
  most: bigint,
): bigint | undefined {
  if (a.kind === ZERO) return 0n;
  if (a.kind < INFINITY && a.exponent < 64) {
    const { value, exact } = integralMagnitude(ctx, a);
    const integer = a.sign ? -value : value;
    if (integer >= least && integer <= most) {
      if (!exact) ctx.flags |= PRECISION;
      return integer;
    }
  }
  ctx.roundedUp = false;
  ctx.flags |= INVALID;
  return undefined;
}

/**
 * To a two's complement integer, in the current rounding mode.
 * @param width bits of the integer
 * @returns the integer, or for what does not fit the most negative one ("integer indefinite")
 */
export function toInteger(ctx: FloatContext, a: Operand, width: number): bigint {
  const least = -(1n << BigInt(width - 1));
  return toIntegerWithin(ctx, a, least, -least - 1n) ?? least;
}

/** As {@link toInteger}, whatever the rounding mode. */
export function truncateToInteger(ctx: FloatContext, a: Operand, width: number): bigint {
  return withRounding(ctx, TOWARD_ZERO, () => toInteger(ctx, a, width));
}

export function withRounding<Result>(
  ctx: FloatContext,
  rounding: Rounding,
  operation: () => Result,
): Result {
  const usual = ctx.rounding;
  ctx.rounding = rounding;
  const result = operation();
  ctx.rounding = usual;
  return result;
}

export function fromInteger(ctx: FloatContext, format: Format, integer: bigint): Encoded {
  if (integer === 0n) return zero(0);
  const sign = integer < 0n ? 1 : 0;
  return round(ctx, format, sign, sign ? -integer : integer, 0);
}

/** An integer as an x87 operand: exact. @param integer of at most 64 bits, or a decimal of 18 digits */
export function integerOperand(integer: bigint): Operand {
  if (integer === 0n) return { kind: ZERO, sign: 0, exponent: 0, significand: 0n };
  const sign = integer < 0n ? 1 : 0;
  const magnitude = sign ? -integer : integer;
  const length = bitLength(magnitude);
  return {
    kind: NORMAL,
    sign,
    exponent: length - 1,
    significand: magnitude << BigInt(64 - length),
  };
}

/** To a whole number in the same format, in the current rounding mode; keeps the sign of zero. */
export function roundToIntegral(ctx: FloatContext, format: Format, a: Operand): Encoded {
  if (isNan(a)) return propagateOne(ctx, format, a);
  if (a.kind === INFINITY) return infinity(format, a.sign);
  if (a.kind === ZERO) return zero(a.sign);
  if (a.exponent >= 63)
    return { sign: a.sign, exponent: a.exponent + format.bias, significand: a.significand };
  const { value, exact } = integralMagnitude(ctx, a);
  if (!exact) ctx.flags |= PRECISION;
  if (value === 0n) return zero(a.sign);
  const length = bitLength(value);
  return {
    sign: a.sign,
    exponent: length - 1 + format.bias,
    significand: value << BigInt(64 - length),
  };
}
