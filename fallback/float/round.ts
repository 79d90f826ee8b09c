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
export function roundsUp(
  ctx: FloatContext,
  sign: number,
  magnitude: bigint,
  count: number,
): boolean {
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
  const length = bitLength(significand);
  const rounded = dropBits(ctx, sign, significand, length - precision);
  const carries = rounded.value >> BigInt(precision) !== 0n;
  const value = carries ? rounded.value >> 1n : rounded.value;
  const exponent = scale + length - 1 + (carries ? 1 : 0);
  if (exponent < minExponent(format)) {
    return underflow(
      ctx,
      format,
      sign,
      significand,
      scale,
      precision,
      { ...rounded, value },
      exponent,
    );
  }
  if (exponent > format.bias)
    return overflow(ctx, format, sign, { ...rounded, value }, exponent, precision);
  return finish(ctx, format, sign, rounded, value, exponent, precision);
}

/** A normal result. */
function finish(
  ctx: FloatContext,
  format: Format,
  sign: number,
  { exact, up }: Rounded,
  value: bigint,
  exponent: number,
  precision: number,
): Encoded {
  if (!exact) ctx.flags |= PRECISION;
  ctx.roundedUp = up;
  return { sign, exponent: exponent + format.bias, significand: value << BigInt(64 - precision) };
}

function overflow(
  ctx: FloatContext,
  format: Format,
  sign: number,
  rounded: Rounded,
  exponent: number,
  precision: number,
): Encoded {
  ctx.flags |= OVERFLOW;
  const isMasked = (ctx.masks & OVERFLOW) !== 0;
  const adjusted = exponent - EXPONENT_ADJUSTMENT;
  if (!isMasked && (format !== EXTENDED || adjusted <= format.bias)) {
    return finish(ctx, format, sign, rounded, rounded.value, adjusted, precision);
  }
  ctx.flags |= PRECISION;
  const toInfinity =
    !isMasked ||
    ctx.rounding === NEAREST_EVEN ||
    (ctx.rounding === UP && !sign) ||
    (ctx.rounding === DOWN && sign);
  ctx.roundedUp = Boolean(toInfinity);
  if (toInfinity) return infinity(format, sign);
  const ones = (1n << BigInt(precision)) - 1n;
  return {
    sign,
    exponent: specialExponent(format) - 1,
    significand: ones << BigInt(64 - precision),
  };
}

/** Tiny after rounding as if exponents had no limit. */
function underflow(
  ctx: FloatContext,
  format: Format,
  sign: number,
  significand: bigint,
  scale: number,
  precision: number,
  rounded: Rounded,
  exponent: number,
): Encoded {
  const isMasked = (ctx.masks & UNDERFLOW) !== 0;
  const adjusted = exponent + EXPONENT_ADJUSTMENT;
  if (!isMasked && (format !== EXTENDED || adjusted >= minExponent(format))) {
    ctx.flags |= UNDERFLOW;
    return finish(ctx, format, sign, rounded, rounded.value, adjusted, precision);
  }
  if (!isMasked || ctx.flushToZero) {
    ctx.flags |= UNDERFLOW | PRECISION;
    return zero(sign);
  }
  const lowest = minExponent(format) - (precision - 1);
  const denormal = dropBits(ctx, sign, significand, lowest - scale);
  if (!denormal.exact) ctx.flags |= UNDERFLOW | PRECISION;
  ctx.roundedUp = denormal.up;
  const isNormal = denormal.value >> BigInt(precision - 1) !== 0n;
  return {
    sign,
    exponent: isNormal ? 1 : 0,
    significand: denormal.value << BigInt(64 - precision),
  };
}
