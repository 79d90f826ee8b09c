/**
 * Real numbers in fixed point, and the power series of the elementary functions. Twice as many bits
 * as results have, and some to spare, so that rounding errs only where the true value lies within
 * 2^-90 of a rounding boundary.
 */
import { type FloatContext, PRECISION, UNDERFLOW } from "../context.ts";
import { type Encoded, EXTENDED } from "../format.ts";
import { round } from "../round.ts";

/** Bits of fraction. */
export const FRACTION = 160;
export const FRACTION_BITS = BigInt(FRACTION);
export const ONE = 1n << FRACTION_BITS;

/** π and log2(e), of 192 bits. */
export const PI = 0xc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74n >> (190n - FRACTION_BITS);
export const LOG2_E = 0xb8aa3b295c17f0bbbe87fed0691d3e88eb577aa8dd695a58n >> (191n - FRACTION_BITS);
export const LN_2 = 0xb17217f7d1cf79abc9e3b39803f2f6af40f343267298b62dn >> (192n - FRACTION_BITS);

export const multiply = (a: bigint, b: bigint): bigint => (a * b) >> FRACTION_BITS;

/** `value * 2 ** shift`, rounded down. */
export const shifted = (value: bigint, shift: number): bigint =>
  shift < 0 ? value >> BigInt(-shift) : value << BigInt(shift);

/**
 * Sums 1 + x/d1 + x²/(d1 d2) + … until terms vanish.
 * @param divisor gives d1, d2, …
 */
function factorialSeries(x: bigint, divisor: (index: number) => number): bigint {
  let sum = ONE;
  let term = ONE;
  for (let index = 1; ; index++) {
    term = multiply(term, x) / BigInt(divisor(index));
    if (term === 0n) return sum;
    sum += term;
  }
}

/** sin(r) / r of r². */
export const sineRatio = (square: bigint): bigint =>
  factorialSeries(-square, (index) => 2 * index * (2 * index + 1));

/** cos(r) of r². */
export const cosineSeries = (square: bigint): bigint =>
  factorialSeries(-square, (index) => (2 * index - 1) * 2 * index);

/** (e^x - 1) / x */
export const exponentialRatio = (x: bigint): bigint => factorialSeries(x, (index) => index + 1);

/** 1 + x/3 + x²/5 + …: atanh(z) / z of x = z², and atan(z) / z of x = -z². */
export function arctangentRatio(x: bigint): bigint {
  let sum = ONE;
  let power = ONE;
  for (let divisor = 3n; ; divisor += 2n) {
    power = multiply(power, x);
    const term = power / divisor;
    if (term === 0n) return sum;
    sum += term;
  }
}

/**
 * Rounds what processors always call inexact.
 * @param significand not zero; of more than 66 bits unless `isExact`
 */
export function roundInexact(
  ctx: FloatContext,
  sign: number,
  significand: bigint,
  scale: number,
  isExact = false,
): Encoded {
  const result = round(ctx, EXTENDED, sign, isExact ? significand : significand | 1n, scale);
  ctx.flags |= result.exponent === 0 ? UNDERFLOW | PRECISION : PRECISION;
  return result;
}
