/**
 * Where every result passes: rounding, overflow and underflow.
 * Intel SDM vol. 1 §4.8.4, §4.9.1.4 (overflow), §4.9.1.5 (underflow), §4.9.1.6 (inexact), §8.5.4 and
 * §8.5.5 (exponent adjustment on x87), §10.2.3.3 (flush to zero).
 */
import { bitLength } from "./bits.ts";
import {
  DOWN,
  type FloatContext,
  NEAREST_EVEN,
  OVERFLOW,
  PRECISION,
  TOWARD_ZERO,
  UNDERFLOW,
  UP,
} from "./context.ts";
import {
  type Encoded,
  EXTENDED,
  type Format,
  infinity,
  minExponent,
  specialExponent,
  zero,
} from "./format.ts";

/**
 * By which an unmasked overflow or underflow moves an x87 result into range. What FSCALE moves still
 * further becomes infinity or zero in all rounding modes.
 */
const EXPONENT_ADJUSTMENT = 24576;

/** Whether dropping `count` low bits of a magnitude, not all zero, increases what stays. */
function roundsUp(ctx: FloatContext, sign: number, magnitude: bigint, count: number): boolean {
  switch (ctx.rounding) {
    case NEAREST_EVEN: {
      const shift = BigInt(count);
      const dropped = BigInt.asUintN(count, magnitude);
      const half = 1n << (shift - 1n);
      return dropped > half || (dropped === half && ((magnitude >> shift) & 1n) === 1n);
    }
    case DOWN:
      return sign === 1;
    case UP:
      return sign === 0;
    case TOWARD_ZERO:
      return false;
  }
}

interface Rounded {
  readonly value: bigint;
  readonly exact: boolean;
  readonly up: boolean;
}

/** Drops low bits. @param count may be negative: then there is nothing to round */
export function dropBits(
  ctx: FloatContext,
  sign: number,
  magnitude: bigint,
  count: number,
): Rounded {
  if (count <= 0) return { value: magnitude << BigInt(-count), exact: true, up: false };
  const shift = BigInt(count);
  const value = magnitude >> shift;
  if (value << shift === magnitude) return { value, exact: true, up: false };
  const up = roundsUp(ctx, sign, magnitude, count);
  return { value: up ? value + 1n : value, exact: false, up };
}

/** Where a result goes. */
interface Target {
  readonly format: Format;
  readonly sign: number;
  readonly precision: number;
}

/**
 * Rounds `significand * 2 ** scale`, which is not zero, to a format. The lowest bit of a significand
 * of at least two more bits than the precision may stand for a remainder.
 * @param precision less than the format's under x87's precision control
 */
export function round(
  ctx: FloatContext,
  format: Format,
  sign: number,
  significand: bigint,
  scale: number,
  precision: number = format.precision,
): Encoded {
  const target = { format, sign, precision };
  const length = bitLength(significand);
  const rounded = dropBits(ctx, sign, significand, length - precision);
  const carries = bitLength(rounded.value) > precision;
  const exponent = scale + length - 1 + (carries ? 1 : 0);
  if (exponent > format.bias) return overflow(ctx, target, rounded, exponent);
  if (exponent >= minExponent(format)) return normal(ctx, target, rounded, exponent);
  return underflow(ctx, target, rounded, exponent, significand, scale);
}

function normal(
  ctx: FloatContext,
  { format, sign, precision }: Target,
  { value, exact, up }: Rounded,
  exponent: number,
): Encoded {
  if (!exact) ctx.flags |= PRECISION;
  ctx.roundedUp = up;
  const aligned = value << BigInt(64 - precision);
  const significand = aligned >> 64n === 0n ? aligned : aligned >> 1n;
  return { sign, exponent: exponent + format.bias, significand };
}

function overflow(ctx: FloatContext, target: Target, rounded: Rounded, exponent: number): Encoded {
  const { format, sign, precision } = target;
  const isMasked = (ctx.masks & OVERFLOW) !== 0;
  const adjusted = exponent - EXPONENT_ADJUSTMENT;
  ctx.flags |= OVERFLOW;
  if (!isMasked && (format !== EXTENDED || adjusted <= format.bias)) {
    return normal(ctx, target, rounded, adjusted);
  }
  ctx.flags |= PRECISION;
  const isAway = ctx.rounding === (sign ? DOWN : UP) || ctx.rounding === NEAREST_EVEN;
  ctx.roundedUp = isAway || !isMasked;
  if (ctx.roundedUp) return infinity(format, sign);
  const ones = (1n << BigInt(precision)) - 1n;
  const significand = ones << BigInt(64 - precision);
  return { sign, exponent: specialExponent(format) - 1, significand };
}

/**
 * Tiny, after rounding as if exponents had no limit.
 * @param significand not rounded, of a value `significand * 2 ** scale`
 */
function underflow(
  ctx: FloatContext,
  target: Target,
  rounded: Rounded,
  exponent: number,
  significand: bigint,
  scale: number,
): Encoded {
  const { format, sign, precision } = target;
  const isMasked = (ctx.masks & UNDERFLOW) !== 0;
  const adjusted = exponent + EXPONENT_ADJUSTMENT;
  if (!isMasked && (format !== EXTENDED || adjusted >= minExponent(format))) {
    ctx.flags |= UNDERFLOW;
    return normal(ctx, target, rounded, adjusted);
  }
  if (!isMasked || ctx.flushToZero) {
    ctx.flags |= UNDERFLOW | PRECISION;
    return zero(sign);
  }
  const lowest = minExponent(format) - (precision - 1);
  const { value, exact, up } = dropBits(ctx, sign, significand, lowest - scale);
  if (!exact) ctx.flags |= UNDERFLOW | PRECISION;
  ctx.roundedUp = up;
  const isNormal = bitLength(value) === precision;
  return { sign, exponent: isNormal ? 1 : 0, significand: value << BigInt(64 - precision) };
}
