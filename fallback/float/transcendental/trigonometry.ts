/**
 * FSIN, FCOS, FSINCOS and FPTAN. Intel SDM vol. 1 §8.3.8 (π of 66 bits), vol. 2 under each.
 * All return undefined for magnitudes of 2^63 and more: then C2 is set and the operand stays.
 */
import { bitLength } from "../bits.ts";
import type { FloatContext } from "../context.ts";
import {
  type Encoded,
  EXTENDED,
  INFINITY,
  INTEGER_BIT,
  isNan,
  type Operand,
  ZERO,
  zero,
} from "../format.ts";
import { invalid, noteDenormals, propagateOne } from "../nan.ts";
import {
  cosineSeries,
  FRACTION,
  FRACTION_BITS,
  roundInexact,
  shifted,
  sineRatio,
} from "./fixed-point.ts";

/** What goes to ST(0), and what was in ST(0) becomes. */
export interface Pair {
  readonly pushed: Encoded;
  readonly replaced: Encoded;
}

const LIMIT_EXPONENT = 63;
/** π/2 as the processors have it, times 2^67. */
const HALF_PI = 0xc90fdaa22168c234cn;
const HALF_PI_SCALE = -67;

const PLUS_ONE: Encoded = { sign: 0, exponent: EXTENDED.bias, significand: INTEGER_BIT };

/** An angle from -π/4 to π/4, and how many quarter turns were taken from it. */
interface Reduced {
  readonly sign: number;
  /** The angle's magnitude is `significand * 2 ** scale`. */
  readonly significand: bigint;
  readonly scale: number;
  readonly quarters: number;
}

function reduce(a: Operand): Reduced {
  if (a.exponent < -1) {
    return { sign: a.sign, significand: a.significand, scale: a.exponent - 63, quarters: 0 };
  }
  const angle = a.significand << BigInt(a.exponent - 63 - HALF_PI_SCALE);
  const turns = (2n * angle + HALF_PI) / (2n * HALF_PI);
  const rest = angle - turns * HALF_PI;
  const quarters = Number(turns & 3n);
  return {
    sign: a.sign ^ (rest < 0n ? 1 : 0),
    significand: rest < 0n ? -rest : rest,
    scale: HALF_PI_SCALE,
    quarters: a.sign ? (4 - quarters) & 3 : quarters,
  };
}

/** A magnitude not yet rounded. */
interface Real {
  readonly significand: bigint;
  readonly scale: number;
  readonly isExact: boolean;
}

/** Below 2^-68 processors take the operand for its sine and tangent, and one for its cosine. */
const LINEAR_EXPONENT = -69;
/** Between that and 2^-33 they take a trifle less than the operand for its tangent. */
const NEARLY_LINEAR_EXPONENT = -34;

const exponentOf = ({ significand, scale }: Reduced): number => bitLength(significand) - 1 + scale;

const squareOf = ({ significand, scale }: Reduced): bigint =>
  shifted(significand * significand, 2 * scale + FRACTION);

function sineOf(angle: Reduced): Real {
  const { significand, scale } = angle;
  if (exponentOf(angle) <= LINEAR_EXPONENT) return { significand, scale, isExact: true };
  const product = significand * sineRatio(squareOf(angle)) - 1n;
  return { significand: product, scale: scale - FRACTION, isExact: false };
}

function cosineOf(angle: Reduced): Real {
  if (exponentOf(angle) <= LINEAR_EXPONENT) return { significand: 1n, scale: 0, isExact: true };
  return { significand: cosineSeries(squareOf(angle)) - 1n, scale: -FRACTION, isExact: false };
}

function tangentOf(angle: Reduced): Real {
  const exponent = exponentOf(angle);
  const { significand, scale } = angle;
  if (exponent <= LINEAR_EXPONENT) return { significand, scale, isExact: true };
  if (exponent <= NEARLY_LINEAR_EXPONENT) {
    const less = (significand << FRACTION_BITS) - 1n;
    return { significand: less, scale: scale - FRACTION, isExact: false };
  }
  return quotientOf(sineOf(angle), cosineOf(angle));
}

const quotientOf = (a: Real, b: Real): Real => ({
  significand: (a.significand << FRACTION_BITS) / b.significand,
  scale: a.scale - b.scale - FRACTION,
  isExact: false,
});

const roundReal = (ctx: FloatContext, sign: number, real: Real): Encoded =>
  roundInexact(ctx, sign, real.significand, real.scale, real.isExact);

/** The sine of an angle some quarter turns further. */
function turnedSine(ctx: FloatContext, angle: Reduced, quarters: number): Encoded {
  const isSine = (quarters & 1) === 0;
  const real = isSine ? sineOf(angle) : cosineOf(angle);
  const sign = (isSine ? angle.sign : 0) ^ ((quarters >> 1) & 1);
  return roundReal(ctx, sign, real);
}

/** What needs no computing; undefined for a number within range. */
function special(ctx: FloatContext, a: Operand, ofZero: Encoded): Encoded | undefined {
  if (isNan(a)) return propagateOne(ctx, EXTENDED, a);
  if (a.kind === INFINITY) return invalid(ctx, EXTENDED);
  return a.kind === ZERO ? ofZero : undefined;
}

const isOutOfRange = (a: Operand): boolean => a.kind < INFINITY && a.exponent >= LIMIT_EXPONENT;

export function sine(ctx: FloatContext, a: Operand): Encoded | undefined {
  if (isOutOfRange(a)) return undefined;
  const known = special(ctx, a, zero(a.sign));
  if (known !== undefined) return known;
  noteDenormals(ctx, a);
  const angle = reduce(a);
  return turnedSine(ctx, angle, angle.quarters);
}

export function cosine(ctx: FloatContext, a: Operand): Encoded | undefined {
  if (isOutOfRange(a)) return undefined;
  const known = special(ctx, a, PLUS_ONE);
  if (known !== undefined) return known;
  noteDenormals(ctx, a);
  const angle = reduce(a);
  return turnedSine(ctx, angle, angle.quarters + 1);
}

/** FSINCOS: pushes the cosine. */
export function sineAndCosine(ctx: FloatContext, a: Operand): Pair | undefined {
  const replaced = sine(ctx, a);
  const pushed = cosine(ctx, a);
  return replaced && pushed && { pushed, replaced };
}

/** FPTAN: pushes one, or the NaN. */
export function tangent(ctx: FloatContext, a: Operand): Pair | undefined {
  if (isOutOfRange(a)) return undefined;
  const known = special(ctx, a, zero(a.sign));
  if (known !== undefined) return { pushed: a.kind === ZERO ? PLUS_ONE : known, replaced: known };
  noteDenormals(ctx, a);
  const angle = reduce(a);
  const isCotangent = (angle.quarters & 1) === 1;
  const real = isCotangent ? quotientOf(cosineOf(angle), sineOf(angle)) : tangentOf(angle);
  return { pushed: PLUS_ONE, replaced: roundReal(ctx, angle.sign ^ (isCotangent ? 1 : 0), real) };
}
