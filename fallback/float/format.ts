/**
 * The formats of binary floating point, taken apart and put together.
 * Intel SDM vol. 1 §4.2.2 (formats), §4.8.3 (classes), §8.2.2 (unsupported x87 encodings).
 */
import { bitLength } from "./bits.ts";

export interface Format {
  /** Bits of significand, the integer bit included. */
  readonly precision: 11 | 24 | 53 | 64;
  readonly exponentBits: number;
  /** Also the largest exponent of a number. */
  readonly bias: number;
  /** Bits of an encoding without sign and exponent. */
  readonly fractionBits: bigint;
  /** How far left a fraction has to go to come below bit 63. */
  readonly alignment: bigint;
}

/** Only ever converted from and to. */
export const BINARY16: Format = {
  precision: 11,
  exponentBits: 5,
  bias: 15,
  fractionBits: 10n,
  alignment: 53n,
};
export const BINARY32: Format = {
  precision: 24,
  exponentBits: 8,
  bias: 127,
  fractionBits: 23n,
  alignment: 40n,
};
export const BINARY64: Format = {
  precision: 53,
  exponentBits: 11,
  bias: 1023,
  fractionBits: 52n,
  alignment: 11n,
};
/** x87's 80 bits, with an explicit integer bit. */
export const EXTENDED: Format = {
  precision: 64,
  exponentBits: 15,
  bias: 16383,
  fractionBits: 64n,
  alignment: 0n,
};

/** Exponent of the smallest normal number. */
export const minExponent = (format: Format): number => 1 - format.bias;
/** The biased exponent of infinities and NaNs. */
export const specialExponent = (format: Format): number => 2 * format.bias + 1;

/** Ordered, so that one comparison finds those that need care. */
export const ZERO = 0;
export const NORMAL = 1;
export const DENORMAL = 2;
export const INFINITY = 3;
export const QUIET_NAN = 4;
export const SIGNALING_NAN = 5;
/** Unnormals, pseudo-infinities and pseudo-NaNs. */
export const UNSUPPORTED = 6;
export type Kind =
  | typeof ZERO
  | typeof NORMAL
  | typeof DENORMAL
  | typeof INFINITY
  | typeof QUIET_NAN
  | typeof SIGNALING_NAN
  | typeof UNSUPPORTED;

/** An operand of any format. */
export interface Operand {
  readonly kind: Kind;
  /** 1: negative. */
  readonly sign: number;
  /** Unbiased. The value is `significand * 2 ** (exponent - 63)`. */
  readonly exponent: number;
  /** 64 bits, the highest set unless zero, also for denormals and NaNs. */
  readonly significand: bigint;
}

/**
 * A result of any format, and the representation of x87 registers: fields as the 80-bit format has
 * them.
 */
export interface Encoded {
  readonly sign: number;
  /** Biased as the format says. */
  readonly exponent: number;
  /** 64 bits, the integer bit the highest; shorter formats leave low bits zero. */
  readonly significand: bigint;
}

export const INTEGER_BIT = 1n << 63n;
export const QUIET_BIT = 1n << 62n;
const WORD_MASK = (1n << 64n) - 1n;

export const isNan = (operand: Operand): boolean => operand.kind >= QUIET_NAN;

/** Takes 16, 32 or 64 bits apart. */
export function unpack(format: Format, bits: bigint): Operand {
  const { fractionBits } = format;
  const high = Number(bits >> fractionBits);
  const exponent = high & specialExponent(format);
  const sign = high >> format.exponentBits;
  const fraction = BigInt.asUintN(format.precision - 1, bits) << format.alignment;
  if (exponent === specialExponent(format)) return special(sign, fraction);
  if (exponent !== 0) {
    return {
      kind: NORMAL,
      sign,
      exponent: exponent - format.bias,
      significand: fraction | INTEGER_BIT,
    };
  }
  return withoutIntegerBit(sign, minExponent(format), fraction);
}

/** Takes 80 bits apart. @param signExponent the highest 16 bits */
export function unpackExtended(signExponent: number, significand: bigint): Operand {
  const sign = (signExponent >> 15) & 1;
  const biased = signExponent & 0x7fff;
  if (biased === 0) return withoutIntegerBit(sign, minExponent(EXTENDED), significand);
  if (significand < INTEGER_BIT) return { kind: UNSUPPORTED, sign, exponent: 0, significand };
  if (biased === 0x7fff) return special(sign, significand ^ INTEGER_BIT);
  return { kind: NORMAL, sign, exponent: biased - EXTENDED.bias, significand };
}

function special(sign: number, fraction: bigint): Operand {
  const kind = fraction === 0n ? INFINITY : fraction & QUIET_BIT ? QUIET_NAN : SIGNALING_NAN;
  return { kind, sign, exponent: 0, significand: fraction | INTEGER_BIT };
}

/** Zeros and denormals; also x87's pseudo-denormals, whose integer bit is set all the same. */
function withoutIntegerBit(sign: number, exponent: number, significand: bigint): Operand {
  if (significand === 0n) return { kind: ZERO, sign, exponent, significand };
  const shift = 64 - bitLength(significand);
  return {
    kind: DENORMAL,
    sign,
    exponent: exponent - shift,
    significand: significand << BigInt(shift),
  };
}

/** Puts 16, 32 or 64 bits together. */
export function pack(format: Format, { sign, exponent, significand }: Encoded): bigint {
  const { fractionBits } = format;
  const fraction = BigInt.asUintN(format.precision - 1, significand >> format.alignment);
  return (BigInt((sign << format.exponentBits) | exponent) << fractionBits) | fraction;
}

/** The highest 16 of an x87 register's 80 bits. */
export const signExponent = ({ sign, exponent }: Encoded): number => (sign << 15) | exponent;

export const zero = (sign: number): Encoded => ({ sign, exponent: 0, significand: 0n });

export const infinity = (format: Format, sign: number): Encoded => ({
  sign,
  exponent: specialExponent(format),
  significand: INTEGER_BIT,
});

/** The NaN that invalid operations give: "real indefinite" (SDM vol. 1 §4.8.3.7). */
export const defaultNan = (format: Format): Encoded => ({
  sign: 1,
  exponent: specialExponent(format),
  significand: INTEGER_BIT | QUIET_BIT,
});

/** A NaN of any format in this one: quiet, and with as much of its payload as fits. */
export const quieted = (format: Format, { sign, significand }: Operand): Encoded => ({
  sign,
  exponent: specialExponent(format),
  significand: (significand | QUIET_BIT) & (WORD_MASK << BigInt(64 - format.precision)),
});
