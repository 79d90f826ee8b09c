/** SHA-1's and SHA-256's rounds and message schedules (Intel SDM vol. 1 §12.14; FIPS 180-4 §4.1, §6). */
import { type I32, i32, select, type V128 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import { i32x4, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { type Combine, LEGACY, pairwise } from "./encoding.ts";
import type { Family } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { lanes, type Meaning, range, type Vector } from "./vector.ts";

type Word = Local<"i32">;

const zero = (): V128 => i32x4.const(0);
const rotateLeft = (words: Vector, by: number): V128 =>
  v128.or(i32x4.shl(words, i32.const(by)), i32x4.shrU(words, i32.const(32 - by)));
const sum = (...words: readonly I32[]): I32 => words.reduce((a, b) => i32.add(a, b));
const exclusive = (...words: readonly I32[]): I32 => words.reduce((a, b) => i32.xor(a, b));

/** Bits of `b` where `a` has ones, else of `c`. */
const choose = (a: Word, b: Word, c: Word): I32 => i32.xor(c, i32.and(a, i32.xor(b, c)));
const majority = (a: Word, b: Word, c: Word): I32 =>
  i32.or(i32.and(a, b), i32.and(c, i32.or(a, b)));

/** The words of a vector, the highest first. */
const wordsOf = (e: Emitter, vector: Vector): [Word, Word, Word, Word] => {
  const word = (lane: number): Word => e.let(i32x4.extractLane(vector, lane));
  return [word(3), word(2), word(1), word(0)];
};

const vectorOf = (words: readonly I32[]): V128 =>
  words.reduceRight<V128>((vector, word, at) => i32x4.replaceLane(vector, 3 - at, word), zero());

/** §4.2.1: one for each twenty rounds. */
const CONSTANTS = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6] as const;

/** Four rounds of SHA-1; E is in the source's first word already. */
const fourRounds: Meaning = (e, destination: Operand, source: Operand, control: Operand) => {
  const message = wordsOf(e, e.readVector(source));
  let [a, b, c, d] = wordsOf(e, e.readVector(destination));
  const which = e.let(i32.wrap(e.read(control)));
  const byBits = <Value extends I32>(values: readonly [Value, Value, Value, Value]): I32 => {
    const [isOdd, isUpper] = [1, 2].map((bit) => i32.and(which, i32.const(bit))) as [I32, I32];
    const [first, second, third, fourth] = values;
    return select(isUpper, select(isOdd, fourth, third), select(isOdd, second, first));
  };
  const [k0, k1, k2, k3] = CONSTANTS;
  const constant = e.let(byBits([i32.const(k0), i32.const(k1), i32.const(k2), i32.const(k3)]));
  let last: I32 = i32.const(0);
  for (const word of message) {
    const parity = exclusive(b, c, d);
    const mixed = byBits([choose(b, c, d), parity, majority(b, c, d), parity]);
    const next = e.let(sum(mixed, i32.rotl(a, i32.const(5)), word, last, constant));
    last = d;
    [a, b, c, d] = [next, a, e.let(i32.rotl(b, i32.const(30))), c];
  }
  e.writeVector(destination, vectorOf([a, b, c, d]));
};

/** E of the next four rounds, added to the first word of their message. */
const nextE = (state: Vector, message: Vector): V128 => {
  const first = i32x4.extractLane(state, 3);
  const word = i32.add(i32x4.extractLane(message, 3), i32.rotl(first, i32.const(30)));
  return i32x4.replaceLane(message, 3, word);
};

const firstSchedule = (a: Vector, b: Vector): V128 => v128.xor(a, lanes(a, b, 4, [6, 7, 0, 1]));

/** The last word depends on the first one. */
const secondSchedule = (a: Vector, b: Vector, e: Emitter): V128 => {
  const words = e.let(v128.xor(a, lanes(b, zero(), 4, [4, 0, 1, 2])));
  const rotated = e.let(rotateLeft(words, 1));
  const first = e.let(lanes(rotated, zero(), 4, [3, 4, 4, 4]));
  return v128.xor(rotated, rotateLeft(first, 1));
};

/** §4.1.2: a word turned to the right by some counts, and shifted by another. */
const small = (words: Vector, first: number, second: number, shift: number): V128 => {
  const rotations = v128.xor(rotateLeft(words, 32 - first), rotateLeft(words, 32 - second));
  return v128.xor(rotations, i32x4.shrU(words, i32.const(shift)));
};

const large = (word: Word, ...counts: readonly number[]): I32 =>
  exclusive(...counts.map((count) => i32.rotl(word, i32.const(32 - count))));

/** Two rounds of SHA-256: C, D, G and H are in the destination, A, B, E and F in the source. */
const twoRounds: Meaning = (e, destination: Operand, source: Operand, message: Operand) => {
  let [a, b, x, f] = wordsOf(e, e.readVector(source));
  let [c, d, g, h] = wordsOf(e, e.readVector(destination));
  const words = e.readVector(message);
  for (const lane of range(0, 2)) {
    const word = i32x4.extractLane(words, lane);
    const one = e.let(sum(choose(x, f, g), large(x, 6, 11, 25), word, h));
    const two = i32.add(majority(a, b, c), large(a, 2, 13, 22));
    const [nextA, nextE] = [e.let(i32.add(one, two)), e.let(i32.add(one, d))];
    [a, b, c, d] = [nextA, a, b, c];
    [x, f, g, h] = [nextE, x, f, g];
  }
  e.writeVector(destination, vectorOf([a, b, x, f]));
};

const firstSchedule256 = (a: Vector, b: Vector, e: Emitter): V128 =>
  i32x4.add(a, small(e.let(lanes(a, b, 4, [1, 2, 3, 4])), 7, 18, 3));

/** The upper two words depend on the lower ones. */
const secondSchedule256 = (a: Vector, b: Vector, e: Emitter): V128 => {
  const extended = (words: V128) => small(e.let(words), 17, 19, 10);
  const lower = e.let(i32x4.add(a, extended(lanes(b, zero(), 4, [2, 3, 4, 4]))));
  return i32x4.add(lower, extended(lanes(lower, zero(), 4, [4, 4, 0, 1])));
};

const instructions: Family = [
  { name: "SHA1RNDS4", forms: ["NP 0F 3A CC Vx,Wx,Ib"], meaning: fourRounds },
  { name: "SHA256RNDS2", forms: ["NP 0F 38 CB Vx,Wx,XMM0"], meaning: twoRounds },
  ...(
    [
      ["SHA1NEXTE", "C8", nextE],
      ["SHA1MSG1", "C9", firstSchedule],
      ["SHA1MSG2", "CA", secondSchedule],
      ["SHA256MSG1", "CC", firstSchedule256],
      ["SHA256MSG2", "CD", secondSchedule256],
    ] satisfies [string, string, Combine][]
  ).map(([name, opcode, combine]) => ({
    name,
    forms: [`NP 0F 38 ${opcode} Vx,Wx`],
    meaning: pairwise(LEGACY, combine),
  })),
];

export const sha: Family = instructions.map((instruction) => ({ ...instruction, late: true }));
