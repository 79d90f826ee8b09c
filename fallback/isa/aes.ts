/** AES's rounds and carry-less multiplication (Intel SDM vol. 1 §12.13, vol. 2: AESENC and others). */
import { type I64, i32, i64, select, type V128 } from "../wasm/expression.ts";
import { i8x16, i64x2, v128 } from "../wasm/simd.ts";
import {
  AFFINE_CONSTANT,
  INVERSE_SUBSTITUTION,
  INVERSES,
  QUOTIENTS,
  SUBSTITUTION,
  type Substitution,
} from "./aes-tables.ts";
import type { Emitter } from "./emitter.ts";
import {
  type Combine,
  type Controlled,
  controlling,
  type Encoding,
  immediate,
  LEGACY,
  mapping,
  onlyNarrow,
  pairwise,
  VEX,
} from "./encoding.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { range, type Vector } from "./vector.ts";

const BYTES = range(0, 16);

const shuffled = (bytes: V128, from: (row: number, column: number) => number): V128 => {
  const indices = BYTES.map((at) => from(at & 3, at >> 2));
  return i8x16.shuffle(bytes, bytes, indices);
};

/** Rows as many bytes to the left as their number says, or to the right. */
const shiftRows = (state: V128, direction: 1 | -1): V128 =>
  shuffled(state, (row, column) => row + 4 * ((column + direction * row) & 3));

/** Each column's bytes `by` up. */
const rotateColumns = (state: V128, by: number): V128 =>
  shuffled(state, (row, column) => ((row + by) & 3) + 4 * column);

const lookUp = (table: readonly number[], indices: V128): V128 =>
  i8x16.swizzle(i8x16.const(...table), indices);

/** See `aes-tables.ts`. */
function substitute(e: Emitter, state: V128, { low, high, first, second }: Substitution): V128 {
  const lower = (bytes: V128) => v128.and(bytes, i8x16.const(0x0f));
  const upper = (bytes: V128) => i8x16.shrU(bytes, i32.const(4));
  const bytes = e.let(state);
  const coordinates = e.let(v128.xor(lookUp(low, lower(bytes)), lookUp(high, upper(bytes))));
  const k = e.let(lower(coordinates));
  const i = e.let(upper(coordinates));
  const j = e.let(v128.xor(i, k));
  const quotient = e.let(lookUp(QUOTIENTS, k));
  const sum = (x: Vector, y: Vector) => {
    const inverse = v128.xor(lookUp(INVERSES, x), quotient);
    return v128.xor(lookUp(INVERSES, inverse), y);
  };
  return v128.xor(lookUp(first, sum(i, j)), lookUp(second, sum(j, i)));
}

/** Bytes times two, in the field. */
const double = (bytes: Vector): V128 => {
  const overflow = v128.and(i8x16.gtS(i64x2.const(0), bytes), i8x16.const(0x1b));
  return v128.xor(i8x16.add(bytes, bytes), overflow);
};

/** Columns times 2, 3, 1, 1. */
function mixColumns(e: Emitter, state: V128): V128 {
  const bytes = e.let(state);
  const next = e.let(rotateColumns(bytes, 1));
  const sums = e.let(v128.xor(bytes, next));
  return v128.xor(v128.xor(double(sums), next), rotateColumns(sums, 2));
}

/** Columns times 14, 11, 13, 9: which is that of columns times 5, 0, 4, 0. */
function unmixColumns(e: Emitter, state: V128): V128 {
  const bytes = e.let(state);
  const twice = e.let(double(e.let(v128.xor(bytes, rotateColumns(bytes, 2)))));
  return mixColumns(e, v128.xor(bytes, double(twice)));
}

const affine = (bytes: V128): V128 => v128.xor(bytes, i8x16.const(AFFINE_CONSTANT));

// Columns of equal bytes are mixed to themselves.
const encrypt: Combine = (state, key, e) => {
  const bytes = substitute(e, shiftRows(state, 1), SUBSTITUTION);
  return v128.xor(affine(mixColumns(e, bytes)), key);
};

const encryptLast: Combine = (state, key, e) =>
  v128.xor(affine(substitute(e, shiftRows(state, 1), SUBSTITUTION)), key);

const decrypt: Combine = (state, key, e) => {
  const bytes = substitute(e, shiftRows(state, -1), INVERSE_SUBSTITUTION);
  return v128.xor(unmixColumns(e, bytes), key);
};

const decryptLast: Combine = (state, key, e) =>
  v128.xor(substitute(e, shiftRows(state, -1), INVERSE_SUBSTITUTION), key);

/** The second and fourth words substituted, each also rotated and with the round's constant. */
const assistKeys = (source: Vector, e: Emitter, control: Operand): V128 => {
  const bytes = e.let(affine(substitute(e, source, SUBSTITUTION)));
  const words = [4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12];
  const constants = i64x2.splat(i64.shl(e.read(control), i64.const(32)));
  return v128.xor(i8x16.shuffle(bytes, bytes, words), constants);
};

/** Every fourth bit of 32: a product of two such numbers has sums of at most eight bits. */
const EVERY_FOURTH = 0x1111_1111n;
const CLASSES = range(0, 4);

/** The product of two polynomials of 32 bits, in 64. */
function multiply32(e: Emitter, a: I64, b: I64): I64 {
  const split = (value: I64) => {
    const whole = e.let(value);
    return CLASSES.map((n) => e.let(i64.and(whole, i64.const(EVERY_FOURTH << BigInt(n)))));
  };
  const [first, second] = [split(a), split(b)];
  const mask = EVERY_FOURTH | (EVERY_FOURTH << 32n);
  return CLASSES.map((n) => {
    const products = first.map((x, at) => i64.mul(x, second[(n - at) & 3] as I64));
    const sum = products.reduce((all, product) => i64.xor(all, product));
    return i64.and(sum, i64.const(BigInt.asIntN(64, mask << BigInt(n))));
  }).reduce((all, one) => i64.or(all, one));
}

/** Halves of both that the immediate chooses, multiplied as polynomials (after Karatsuba). */
const multiply: Controlled = (e, a, b, control) => {
  const which = immediate(e, control);
  const half = (of: Vector, bit: number): I64 => {
    const isHigh = i32.and(which, i32.const(bit));
    return select(isHigh, i64x2.extractLane(of, 1), i64x2.extractLane(of, 0));
  };
  const [x, y] = [e.let(half(a, 1)), e.let(half(b, 16))];
  const low = (value: I64) => i64.and(value, i64.const(0xffff_ffffn));
  const high = (value: I64) => i64.shrU(value, i64.const(32));
  const lows = e.let(multiply32(e, low(x), low(y)));
  const highs = e.let(multiply32(e, high(x), high(y)));
  const sums = multiply32(e, i64.xor(low(x), high(x)), i64.xor(low(y), high(y)));
  const middle = e.let(i64.xor(i64.xor(sums, lows), highs));
  const lower = i64.xor(lows, i64.shl(middle, i64.const(32)));
  return i64x2.replaceLane(i64x2.splat(lower), 1, i64.xor(highs, high(middle)));
};

const inEncoding = (encoding: Encoding): Instruction[] => [
  ...(
    [
      ["AESENC", "DC", encrypt],
      ["AESENCLAST", "DD", encryptLast],
      ["AESDEC", "DE", decrypt],
      ["AESDECLAST", "DF", decryptLast],
    ] satisfies [string, string, Combine][]
  ).map(([name, opcode, round]) => ({
    name,
    forms: encoding.forms(`66 0F 38 ${opcode}`, { type: "x" }),
    meaning: pairwise(encoding, round),
  })),
  {
    name: "AESIMC",
    forms: onlyNarrow(encoding, "66 0F 38 DB Vx,Wx"),
    meaning: mapping(encoding, (keys, e) => unmixColumns(e, keys)),
  },
  {
    name: "AESKEYGENASSIST",
    forms: onlyNarrow(encoding, "66 0F 3A DF Vx,Wx,Ib"),
    meaning: mapping(encoding, assistKeys),
  },
  {
    name: "PCLMULQDQ",
    forms: encoding.forms("66 0F 3A 44", { type: "x", more: ",Ib" }),
    meaning: controlling(encoding, multiply),
  },
];

export const aes: Family = [LEGACY, VEX].flatMap((encoding) =>
  inEncoding(encoding).map((instruction) => ({
    ...encoding.instruction(instruction),
    late: true,
  })),
);
