/**
 * What only the x87 unit does, the transcendental functions apart. Intel SDM vol. 1 ch. 8, vol. 2 under
 * each instruction. Arithmetic proper is in `arithmetic.ts`, with the format EXTENDED; FABS, FCHS,
 * FXCH and moves of 80 bits touch no more than bits, and need nothing from here.
 *
 * C1 is `roundedUp` of the context unless noted. Stack faults are the caller's.
 */
import { type FloatContext, OVERFLOW, PRECISION, UNDERFLOW, ZERO_DIVIDE } from "./context.ts";
import {
  DENORMAL,
  type Encoded,
  EXTENDED,
  type Format,
  INFINITY,
  infinity,
  isNan,
  minExponent,
  NORMAL,
  type Operand,
  pack,
  QUIET_NAN,
  SIGNALING_NAN,
  UNSUPPORTED,
  ZERO,
  zero,
} from "./format.ts";
import { integerOperand, roundToIntegral, toIntegerWithin } from "./integer.ts";
import { invalid, noteDenormals, propagate, propagateOne } from "./nan.ts";
import { dropBits, round } from "./round.ts";

/** Condition codes, where the status word has them. */
export const C0 = 0x100;
export const C1 = 0x200;
export const C2 = 0x400;
export const C3 = 0x4000;

/** FLD of 32 and 64 bits. Exact. */
export function load(ctx: FloatContext, a: Operand): Encoded {
  if (isNan(a)) return propagateOne(ctx, EXTENDED, a);
  noteDenormals(ctx, a);
  return encoded(a);
}

/** What is no NaN, as it is; pseudo-denormals get the exponent that their integer bit asks for. */
export function encoded(a: Operand): Encoded {
  if (a.kind === ZERO) return zero(a.sign);
  if (a.kind === INFINITY) return infinity(EXTENDED, a.sign);
  const missing = minExponent(EXTENDED) - a.exponent;
  if (missing > 0)
    return { sign: a.sign, exponent: 0, significand: a.significand >> BigInt(missing) };
  return { sign: a.sign, exponent: a.exponent + EXTENDED.bias, significand: a.significand };
}

/** FILD. Exact. @param integer signed, of at most 64 bits */
export const loadInteger = (integer: bigint): Encoded => encoded(integerOperand(integer));

/** FST of 32 and 64 bits: the bits to store. */
export function store(ctx: FloatContext, format: Format, a: Operand): bigint {
  if (isNan(a)) return pack(format, propagateOne(ctx, format, a));
  if (a.kind === ZERO) return pack(format, zero(a.sign));
  if (a.kind === INFINITY) return pack(format, infinity(format, a.sign));
  const result = pack(format, round(ctx, format, a.sign, a.significand, a.exponent - 63));
  if (ctx.flags & ~ctx.masks & (OVERFLOW | UNDERFLOW)) {
    ctx.flags &= ~PRECISION;
    ctx.roundedUp = false;
  }
  return result;
}

/** FXAM of a register that is not empty: C0 to C3; C1 is the sign. */
export function examine(a: Operand): number {
  const sign = a.sign ? C1 : 0;
  switch (a.kind) {
    case UNSUPPORTED:
      return sign;
    case QUIET_NAN:
    case SIGNALING_NAN:
      return sign | C0;
    case NORMAL:
      return sign | C2;
    case INFINITY:
      return sign | C2 | C0;
    case ZERO:
      return sign | C3;
    case DENORMAL:
      return sign | C3 | C2;
  }
}

/** FRNDINT. */
export function roundToInteger(ctx: FloatContext, a: Operand): Encoded {
  noteDenormals(ctx, a);
  return roundToIntegral(ctx, EXTENDED, a);
}

/** What FXTRACT leaves: the exponent in ST(1), the significand in ST(0). */
export interface Extracted {
  readonly exponent: Encoded;
  readonly significand: Encoded;
}

export function extract(ctx: FloatContext, a: Operand): Extracted {
  if (isNan(a)) {
    const nan = propagateOne(ctx, EXTENDED, a);
    return { exponent: nan, significand: nan };
  }
  if (a.kind === INFINITY) {
    return { exponent: infinity(EXTENDED, 0), significand: infinity(EXTENDED, a.sign) };
  }
  if (a.kind === ZERO) {
    ctx.flags |= ZERO_DIVIDE;
    return { exponent: infinity(EXTENDED, 1), significand: zero(a.sign) };
  }
  noteDenormals(ctx, a);
  return {
    exponent: loadInteger(BigInt(a.exponent)),
    significand: { sign: a.sign, exponent: EXTENDED.bias, significand: a.significand },
  };
}

/** Beyond what moves any number out of any range, even with the exponent adjusted. */
const LARGE_SCALE = 0x1_0000;

/** FSCALE: `a`, of ST(0), times two to the power of `b`, of ST(1), truncated. */
export function scale(ctx: FloatContext, a: Operand, b: Operand): Encoded {
  if (isNan(a) || isNan(b)) return propagate(ctx, EXTENDED, a, b);
  if (b.kind === INFINITY) {
    if (a.kind === (b.sign ? INFINITY : ZERO)) return invalid(ctx, EXTENDED);
    noteDenormals(ctx, a);
    return b.sign ? zero(a.sign) : infinity(EXTENDED, a.sign);
  }
  noteDenormals(ctx, a, b);
  if (a.kind === ZERO || a.kind === INFINITY || b.kind === ZERO) return encoded(a);
  const power = b.exponent > 16 ? (b.sign ? -LARGE_SCALE : LARGE_SCALE) : truncated(b);
  return round(ctx, EXTENDED, a.sign, a.significand, a.exponent - 63 + power);
}

function truncated(b: Operand): number {
  if (b.kind === ZERO || b.exponent < 0) return 0;
  const magnitude = Number(b.significand >> BigInt(63 - b.exponent));
  return b.sign ? -magnitude : magnitude;
}

export interface Remainder {
  readonly value: Encoded;
  /**
   * C0, C1, C2 and C3: the quotient's low bits, or C2 where the reduction is not complete; undefined
   * where there is no quotient.
   */
  readonly conditions: number | undefined;
}

/** FPREM (truncating quotient) and FPREM1 (quotient to nearest). */
export function remainder(
  ctx: FloatContext,
  a: Operand,
  b: Operand,
  rounding: "truncate" | "nearest",
): Remainder {
  if (isNan(a) || isNan(b)) return { value: propagate(ctx, EXTENDED, a, b), conditions: undefined };
  if (a.kind === INFINITY || b.kind === ZERO) {
    return { value: invalid(ctx, EXTENDED), conditions: undefined };
  }
  noteDenormals(ctx, a, b);
  if (ctx.isStopped) return { value: encoded(a), conditions: undefined };
  if (a.kind === ZERO) return { value: zero(a.sign), conditions: 0 };
  if (b.kind === INFINITY) return { value: encoded(a), conditions: 0 };
  const distance = a.exponent - b.exponent;
  if (distance >= 64) return partialRemainder(ctx, a, b, distance);
  if (distance < -1) return { value: roundExact(ctx, a), conditions: 0 };
  return completeRemainder(ctx, a, b, distance, rounding);
}

const roundExact = (ctx: FloatContext, a: Operand): Encoded =>
  round(ctx, EXTENDED, a.sign, a.significand, a.exponent - 63);

function completeRemainder(
  ctx: FloatContext,
  a: Operand,
  b: Operand,
  distance: number,
  rounding: "truncate" | "nearest",
): Remainder {
  const dividend = a.significand << BigInt(distance + 1);
  const divisor = b.significand << 1n;
  let quotient = dividend / divisor;
  let rest = dividend - quotient * divisor;
  let sign = a.sign;
  if (rounding === "nearest" && (rest * 2n > divisor || (rest * 2n === divisor && quotient & 1n))) {
    quotient += 1n;
    rest = divisor - rest;
    sign ^= 1;
  }
  const value = rest === 0n ? zero(a.sign) : round(ctx, EXTENDED, sign, rest, b.exponent - 64);
  const low = Number(quotient & 7n);
  const conditions = (low & 4 ? C0 : 0) | (low & 2 ? C3 : 0) | (low & 1 ? C1 : 0);
  return { value, conditions };
}

/** Reduces the exponent by part of the distance only; software is to repeat the instruction. */
function partialRemainder(ctx: FloatContext, a: Operand, b: Operand, distance: number): Remainder {
  const reduction = (distance & 31) | 32;
  const rest = (a.significand << BigInt(reduction)) % b.significand;
  const value =
    rest === 0n ? zero(a.sign) : round(ctx, EXTENDED, a.sign, rest, a.exponent - 63 - reduction);
  return { value, conditions: C2 };
}

/** FBLD. Exact. @param decimal 80 bits: 18 digits, and the sign in the highest bit */
export function loadDecimal(decimal: bigint): Encoded {
  let magnitude = 0n;
  let digits = BigInt.asUintN(72, decimal);
  for (let unit = 1n; digits !== 0n; unit *= 10n, digits >>= 4n) magnitude += (digits & 15n) * unit;
  return { ...loadInteger(magnitude), sign: Number((decimal >> 79n) & 1n) };
}

const LARGEST_DECIMAL = 10n ** 18n - 1n;
/** "Packed BCD indefinite" (SDM vol. 1 §4.7). */
export const DECIMAL_INDEFINITE = 0xffff_c000_0000_0000_0000n;

/** FBSTP: the 80 bits to store. */
export function storeDecimal(ctx: FloatContext, a: Operand): bigint {
  const integer = toIntegerWithin(ctx, a, -LARGEST_DECIMAL, LARGEST_DECIMAL);
  if (integer === undefined) return DECIMAL_INDEFINITE;
  const digits = (integer < 0n ? -integer : integer).toString();
  return (BigInt(a.sign) << 79n) | BigInt(`0x${digits}`);
}

/** The constants of FLDL2T, FLDL2E, FLDPI, FLDLG2 and FLDLN2: unbiased exponent, and 128 bits. */
const CONSTANTS = {
  log2Of10: { exponent: 1, significand: 0xd49a784bcd1b8afe492bf6ff4dafdb4cn },
  log2OfE: { exponent: 0, significand: 0xb8aa3b295c17f0bbbe87fed0691d3e88n },
  pi: { exponent: 1, significand: 0xc90fdaa22168c234c4c6628b80dc1cd1n },
  log10Of2: { exponent: -2, significand: 0x9a209a84fbcff7988f8959ac0b7c9178n },
  ln2: { exponent: -1, significand: 0xb17217f7d1cf79abc9e3b39803f2f6afn },
} as const;

/** Rounded as rounding control says, at full precision; no flags, and C1 is clear. */
export function constant(ctx: FloatContext, name: keyof typeof CONSTANTS): Encoded {
  const { exponent, significand } = CONSTANTS[name];
  return {
    sign: 0,
    exponent: exponent + EXTENDED.bias,
    significand: dropBits(ctx, 0, significand, 64).value,
  };
}
