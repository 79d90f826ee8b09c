/**
 * AES's byte substitution (FIPS 197 §5.1.1) by look-ups among sixteen bytes, as vectors have them.
 *
 * A byte is k + iω over the subfield of sixteen elements, ω having the same trace and norm a. With
 * D = k² + aik + ai² its inverse is ((k + ai) + iω) / D, and sums of inverses make both coordinates: with
 * j = i + k, 1/(1/i + a/k) + j is D / (k + ai), and 1/(1/j + a/k) + i is D / (k + ai + ak). Infinity is an index
 * beyond the table, for which a look-up gives zero: its inverse.
 */

const POLYNOMIAL = 0x11b;
export const AFFINE_CONSTANT = 0x63;
/** An index beyond all tables, whatever is added to it. */
const INFINITY = 0x80;

function times(a: number, b: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ (product & 0x80 ? POLYNOMIAL : 0);
    if ((b >> bit) & 1) product ^= a;
  }
  return product;
}

const power = (a: number, exponent: number): number =>
  exponent === 0 ? 1 : times(a, power(a, exponent - 1));
const inverse = (a: number): number => power(a, 254);

const FIELD = Array.from({ length: 256 }, (_, at) => at);
const CONJUGATE = 16;

/** The subfield's elements by number, so that sums of numbers are numbers of sums. */
const ELEMENTS = [0];
for (const a of FIELD) {
  const isNew = power(a, CONJUGATE) === a && !ELEMENTS.includes(a);
  if (isNew) ELEMENTS.push(...ELEMENTS.map((b) => b ^ a));
}
const numberOf = (element: number): number => ELEMENTS.indexOf(element);

const OMEGA = FIELD.find((a) => {
  const conjugate = power(a, CONJUGATE);
  return a !== conjugate && (a ^ conjugate) === times(a, conjugate);
}) as number;
const TRACE = OMEGA ^ power(OMEGA, CONJUGATE);

/** A byte's coordinates: the number of i, then that of k. */
const COORDINATES = FIELD.map((byte) => {
  const i = ELEMENTS.findIndex((a) => ELEMENTS.includes(byte ^ times(a, OMEGA)));
  return (i << 4) | numberOf(byte ^ times(ELEMENTS[i] ?? 0, OMEGA));
});

const table = (entry: (element: number, number: number) => number): number[] =>
  ELEMENTS.map((element, number) => entry(element, number));

/** Of numbers: 1 / x and a / x. */
export const INVERSES = table((x) => (x === 0 ? INFINITY : numberOf(inverse(x))));
export const QUOTIENTS = table((x) => (x === 0 ? INFINITY : numberOf(times(TRACE, inverse(x)))));

/** Bits of a byte and of what it is rotated by. */
const sumOfRotations = (byte: number, counts: readonly number[]): number =>
  counts.reduce((sum, n) => sum ^ ((byte << n) | (byte >> (8 - n))), 0) & 0xff;

/** The linear part of FIPS 197's (5.1), and of its inverse with the constant. */
const linear = (byte: number): number => sumOfRotations(byte, [0, 1, 2, 3, 4]);
const unaffine = (byte: number): number => sumOfRotations(byte ^ AFFINE_CONSTANT, [1, 3, 6]);
const same = (byte: number): number => byte;

/** What goes from a byte's halves to its coordinates, and from the sums above to the inverse. */
export interface Substitution {
  readonly low: readonly number[];
  readonly high: readonly number[];
  readonly first: readonly number[];
  readonly second: readonly number[];
}

function substitution(before: typeof same, after: typeof same): Substitution {
  const square = inverse(times(TRACE, TRACE));
  const ofSecond = times(OMEGA, square);
  const ofFirst = 1 ^ times(1 ^ TRACE, ofSecond);
  return {
    low: table((_, n) => COORDINATES[before(n)] ?? 0),
    high: table((_, n) => COORDINATES[before(n << 4) ^ before(0)] ?? 0),
    first: table((x) => after(times(inverse(x), ofFirst))),
    second: table((x) => after(times(inverse(x), ofSecond))),
  };
}

/** Without {@link AFFINE_CONSTANT} in the result. */
export const SUBSTITUTION = substitution(same, linear);
export const INVERSE_SUBSTITUTION = substitution(unaffine, same);
