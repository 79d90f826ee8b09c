import { type Format, specialExponent } from "../../../fallback/float/format.ts";
import type { SeededRandom } from "../../support/random.ts";

/** Operands that provoke: corners of the format, numbers near each other, plain random bits. */

const word = (random: SeededRandom): bigint =>
  (BigInt(random.next()) << 32n) | BigInt(random.next());

/** A significand of `width` bits with long runs of equal bits, a single bit set or cleared, or random. */
function pattern(random: SeededRandom, width: number): bigint {
  const ones = (1n << BigInt(width)) - 1n;
  const shift = BigInt(random.below(width));
  switch (random.below(8)) {
    case 0:
      return 0n;
    case 1:
      return ones;
    case 2:
      return 1n << shift;
    case 3:
      return ones ^ (1n << shift);
    case 4:
      return (ones << shift) & ones;
    case 5:
      return ones >> shift;
    default:
      return word(random) & ones;
  }
}

/** A biased exponent: special, extreme, near one, near that of small integers, or any. */
function exponent(random: SeededRandom, format: Format): number {
  const special = specialExponent(format);
  switch (random.below(10)) {
    case 0:
      return 0;
    case 1:
      return special;
    case 2:
      return random.below(format.precision + 4);
    case 3:
      return special - 1 - random.below(format.precision + 4);
    case 4:
    case 5:
    case 6:
      return Math.min(special, Math.max(0, format.bias + random.below(160) - 80));
    case 7:
      return format.bias + random.below(4) - 2;
    default:
      return random.below(special + 1);
  }
}

/** 32 or 64 bits. */
export function randomBits(random: SeededRandom, format: Format): bigint {
  const high = BigInt((random.below(2) << format.exponentBits) | exponent(random, format));
  return (high << format.fractionBits) | pattern(random, Number(format.fractionBits));
}

/** The second of a pair: often near the first, so that they cancel, or exactly it. */
export function neighbourBits(random: SeededRandom, format: Format, bits: bigint): bigint {
  const width = Number(format.fractionBits) + format.exponentBits + 1;
  switch (random.below(8)) {
    case 0:
      return bits;
    case 1:
      return bits ^ (1n << BigInt(width - 1));
    case 2:
      return BigInt.asUintN(width, bits + BigInt(random.below(9) - 4)) ^ pattern(random, 2);
    default:
      return randomBits(random, format);
  }
}

/** 80 bits: sign and exponent, and significand. */
export interface ExtendedBits {
  readonly signExponent: number;
  readonly significand: bigint;
}

const INTEGER_BIT = 1n << 63n;

export function randomExtended(random: SeededRandom, format: Format): ExtendedBits {
  const biased = exponent(random, format);
  const fraction = pattern(random, 63);
  const isUsual = random.chance(95);
  const integerBit = (biased !== 0) === isUsual ? INTEGER_BIT : 0n;
  return { signExponent: (random.below(2) << 15) | biased, significand: fraction | integerBit };
}

export function neighbourExtended(
  random: SeededRandom,
  format: Format,
  of: ExtendedBits,
): ExtendedBits {
  switch (random.below(8)) {
    case 0:
      return of;
    case 1:
      return { ...of, signExponent: of.signExponent ^ 0x8000 };
    case 2:
      return {
        signExponent:
          of.signExponent ^ (random.chance(50) ? 0x8000 : 0) ^ (random.chance(50) ? 1 : 0),
        significand: BigInt.asUintN(64, of.significand + BigInt(random.below(9) - 4)) | INTEGER_BIT,
      };
    default:
      return randomExtended(random, format);
  }
}

/** An integer of that width, of any magnitude. */
export function randomInteger(random: SeededRandom, width: number): bigint {
  const magnitude = word(random) >> BigInt(random.below(64));
  return BigInt.asIntN(width, random.chance(50) ? magnitude : -magnitude);
}
