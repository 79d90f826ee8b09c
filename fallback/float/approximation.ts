/**
 * RCPSS, RSQRTSS and their packed forms. The manual only bounds the error (Intel SDM vol. 2 under
 * each); Intel's processors round the function of the middle of an interval to 13 bits, and so do we.
 * No flags; neither rounding control nor "denormals are zeros" matters: denormals are zeros, as
 * operands and as results.
 */
import {
  BINARY32,
  DENORMAL,
  defaultNan,
  INFINITY,
  infinity,
  isNan,
  type Operand,
  pack,
  quieted,
  unpack,
  ZERO,
  zero,
} from "./format.ts";

const RESULT_BITS = 13;
const RESULT_UNIT = 2 ** RESULT_BITS;
/** Leading bits of the fraction, each pattern of which is an interval of operands. */
const RECIPROCAL_INDEX_BITS = 11;
const ROOT_INDEX_BITS = 10;

/** The middle of the interval in which the significand, from 1 to 2, lies. */
function middle(a: Operand, indexBits: number): number {
  const index = Number(BigInt.asUintN(63, a.significand) >> BigInt(63 - indexBits));
  return 1 + (index + 0.5) / 2 ** indexBits;
}

/** @param fraction from 0.5 to 1 @param exponent the result is `fraction * 2 ** exponent` */
function rounded(sign: number, fraction: number, exponent: number): bigint {
  const biased = exponent - 1 + BINARY32.bias;
  if (biased <= 0) return pack(BINARY32, zero(sign));
  const significand = BigInt(Math.floor(fraction * RESULT_UNIT + 0.5));
  return pack(BINARY32, {
    sign,
    exponent: biased,
    significand: significand << BigInt(64 - RESULT_BITS),
  });
}

/** @param bits an element of 32 bits */
export function approximateReciprocal(bits: bigint): bigint {
  const a = unpack(BINARY32, bits);
  if (isNan(a)) return pack(BINARY32, quieted(BINARY32, a));
  if (a.kind === INFINITY) return pack(BINARY32, zero(a.sign));
  if (a.kind === ZERO || a.kind === DENORMAL) return pack(BINARY32, infinity(BINARY32, a.sign));
  return rounded(a.sign, 1 / middle(a, RECIPROCAL_INDEX_BITS), -a.exponent);
}

/** @param bits an element of 32 bits */
export function approximateReciprocalRoot(bits: bigint): bigint {
  const a = unpack(BINARY32, bits);
  if (isNan(a)) return pack(BINARY32, quieted(BINARY32, a));
  if (a.kind === ZERO || a.kind === DENORMAL) return pack(BINARY32, infinity(BINARY32, a.sign));
  if (a.sign) return pack(BINARY32, defaultNan(BINARY32));
  if (a.kind === INFINITY) return pack(BINARY32, zero(0));
  const odd = a.exponent & 1;
  const operand = middle(a, ROOT_INDEX_BITS) * (odd ? 2 : 1);
  return rounded(0, 1 / Math.sqrt(operand), (odd - a.exponent) / 2);
}
