/** Operands that find mistakes: edges of every format, and random ones between. */
import type { SeededRandom } from "../support/random.ts";
import { CODE, CODE_PAGE, DATA, DATA_SIZE, PAGE, READ_ONLY } from "./environment.ts";

export function random64(random: SeededRandom): bigint {
  return (BigInt(random.next()) << 32n) | BigInt(random.next());
}

export const unsigned64 = (value: bigint): bigint => BigInt.asUintN(64, value);

const BOUNDARY_BITS = [1n, 4n, 7n, 8n, 15n, 16n, 31n, 32n, 47n, 48n, 63n] as const;

/** Around powers of two, of either sign. */
function boundaryInteger(random: SeededRandom): bigint {
  const power = (1n << random.pick(BOUNDARY_BITS)) + BigInt(random.below(3) - 1);
  return unsigned64(random.chance(30) ? -power : power);
}

/** Packed decimal and ASCII digits, as the decimal instructions take them. */
function decimalDigits(random: SeededRandom): bigint {
  let value = 0n;
  for (let digit = 0; digit < 16; digit++) value = (value << 4n) | BigInt(random.below(10));
  return value;
}

export function integer(random: SeededRandom): bigint {
  const kind = random.below(100);
  if (kind < 10) return 0n;
  if (kind < 15) return unsigned64(-1n);
  if (kind < 30) return BigInt(random.below(100));
  if (kind < 35) return unsigned64(-BigInt(random.below(100)));
  if (kind < 60) return boundaryInteger(random);
  if (kind < 64) return decimalDigits(random);
  if (kind < 70) return BigInt(random.next());
  return random64(random);
}

interface FloatFormat {
  readonly exponentBits: bigint;
  readonly fractionBits: bigint;
}
const SINGLE: FloatFormat = { exponentBits: 8n, fractionBits: 23n };
const DOUBLE: FloatFormat = { exponentBits: 11n, fractionBits: 52n };

const mask = (bits: bigint): bigint => (1n << bits) - 1n;

function fraction(random: SeededRandom, bits: bigint): bigint {
  const kind = random.below(6);
  if (kind === 0) return 0n;
  if (kind === 1) return mask(bits);
  if (kind === 2) return 1n << (random64(random) % bits);
  if (kind === 3) return mask(bits) ^ mask(random64(random) % bits);
  return random64(random) & mask(bits);
}

/** Exponents: the special ones, those of small numbers, any. */
function exponent(random: SeededRandom, bits: bigint): bigint {
  const bias = mask(bits - 1n);
  const kind = random.below(100);
  if (kind < 12) return 0n;
  if (kind < 24) return mask(bits);
  if (kind < 28) return 1n;
  if (kind < 32) return mask(bits) - 1n;
  if (kind < 80) return bias + BigInt(random.below(72) - 36);
  return random64(random) & mask(bits);
}

function float(random: SeededRandom, format: FloatFormat): bigint {
  const sign = BigInt(random.below(2)) << (format.exponentBits + format.fractionBits);
  if (random.chance(6)) return sign;
  return (
    sign |
    (exponent(random, format.exponentBits) << format.fractionBits) |
    fraction(random, format.fractionBits)
  );
}

const scratch = new DataView(new ArrayBuffer(8));

/** A small whole number, or one and a half: sums and comparisons of these are often exact. */
function plainNumber(random: SeededRandom): number {
  return (random.below(64) - 32) / random.pick([1, 1, 2, 4]);
}

export function single(random: SeededRandom): bigint {
  if (!random.chance(20)) return float(random, SINGLE);
  scratch.setFloat32(0, plainNumber(random));
  return BigInt(scratch.getUint32(0));
}

export function double(random: SeededRandom): bigint {
  if (!random.chance(20)) return float(random, DOUBLE);
  scratch.setFloat64(0, plainNumber(random));
  return scratch.getBigUint64(0);
}

/** A small whole number in the 80-bit format. */
function plainExtended(random: SeededRandom): Uint8Array {
  const EXPONENT_OF_2_63 = 0x3fff + 63;
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  let significand = BigInt(random.below(100));
  let exponentField = significand === 0n ? 0 : EXPONENT_OF_2_63;
  while (significand !== 0n && significand >> 63n === 0n) {
    significand <<= 1n;
    exponentField--;
  }
  view.setBigUint64(0, significand, true);
  view.setUint16(8, exponentField | (random.below(2) << 15), true);
  return bytes;
}

/** The 80-bit format, in which the integer bit may also contradict the exponent. */
export function extended(random: SeededRandom): Uint8Array {
  if (random.chance(20)) return plainExtended(random);
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  let exponentField = Number(exponent(random, 15n));
  let significand = fraction(random, 63n);
  const isZero = random.chance(6);
  const consistent = random.chance(92);
  if (isZero) {
    exponentField = 0;
    significand = 0n;
  } else if (consistent ? exponentField !== 0 : random.chance(50)) {
    significand |= 1n << 63n;
  }
  view.setBigUint64(0, significand, true);
  view.setUint16(8, exponentField | (random.below(2) << 15), true);
  return bytes;
}

/** Ten bytes of packed BCD (Intel SDM vol. 1 §4.7), now and then with digits that are none. */
export function packedDecimal(random: SeededRandom): Uint8Array {
  const digit = (): number => (random.chance(1) ? random.below(16) : random.below(10));
  const bytes = Uint8Array.from({ length: 10 }, () => (digit() << 4) | digit());
  bytes[9] = random.below(2) << 7;
  return bytes;
}

export type VectorKind = "single" | "double" | "integer" | "bytes" | "text";

/** Sixteen bytes of lanes of one kind. */
export function vector(random: SeededRandom, kind: VectorKind): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (let lane = 0; lane < 16; lane += 4) {
    if (kind === "single") view.setUint32(lane, Number(single(random)), true);
    else if (lane % 8 !== 0 && kind !== "bytes" && kind !== "text") continue;
    else if (kind === "double") view.setBigUint64(lane, double(random), true);
    else if (kind === "integer") view.setBigUint64(lane, integer(random), true);
    else if (kind === "bytes") view.setUint32(lane, random.next(), true);
    // Few different characters, so that strings match in part.
    else for (let i = lane; i < lane + 4; i++) bytes[i] = random.below(random.chance(20) ? 2 : 5);
  }
  return bytes;
}

/** Where code may go on: in the code page, but not inside the snippet itself. */
export function codeTarget(random: SeededRandom): number {
  const LARGEST_SNIPPET = 0x20;
  const behind = CODE + LARGEST_SNIPPET;
  return random.chance(50)
    ? behind + random.below(CODE_PAGE + PAGE - behind)
    : CODE_PAGE + random.below(CODE - CODE_PAGE);
}

/** Where an operand in memory lies: mostly where it can be accessed. */
export function dataAddress(random: SeededRandom): bigint {
  const kind = random.below(1000);
  if (kind < 620) return BigInt(DATA + 0x40 + random.below((DATA_SIZE - 0x300) / 16) * 16);
  if (kind < 880) return BigInt(DATA + 0x40 + random.below(DATA_SIZE - 0x300));
  // Across the two pages.
  if (kind < 950) return BigInt(DATA + PAGE - 1 - random.below(32));
  // Around the last and before the first byte.
  if (kind < 965) return BigInt(DATA + DATA_SIZE - random.below(40));
  if (kind < 970) return BigInt(DATA - random.below(16));
  if (kind < 987) return BigInt(READ_ONLY + random.below(PAGE - 16));
  if (kind < 994) return BigInt(CODE_PAGE + random.below(PAGE));
  return random.chance(50) ? boundaryInteger(random) : random64(random);
}

/** A canonical address or a plausible pointer for the bases of FS and GS. */
export function segmentBase(random: SeededRandom): bigint {
  if (random.chance(30)) return 0n;
  if (random.chance(40)) return BigInt(DATA + random.below(DATA_SIZE));
  return unsigned64(BigInt.asIntN(48, integer(random)));
}
