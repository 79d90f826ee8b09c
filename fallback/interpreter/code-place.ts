import type { SegmentTraits } from "../segment-traits.ts";

const WORD = 0x1_0000_0000;
const WORD_MASK = 0xffff_ffffn;

/** Where code is, and what it depends on there. */
export interface CodePlace {
  readonly rip: bigint;
  /** Of the code segment. */
  readonly base: bigint;
  readonly codeSize: 16 | 32 | 64;
  /** The last offset in the code segment. */
  readonly limit: bigint;
  /** Of the other segments: matters to the JIT only. */
  readonly segments: SegmentTraits;
  /** Whether it is executed with user's rights. */
  readonly user: boolean;
}

/** The same place at another offset. Without spreading: that is slow, and the JIT asks for every block. */
export const placeWith = (place: CodePlace, rip: bigint): CodePlace => ({
  rip,
  base: place.base,
  codeSize: place.codeSize,
  limit: place.limit,
  segments: place.segments,
  user: place.user,
});

/** @param plus bytes from the place */
export function linearAddress(
  { rip, base, codeSize }: Pick<CodePlace, "rip" | "base" | "codeSize">,
  plus: number,
): bigint {
  if (codeSize !== 64) return BigInt.asUintN(32, rip + base + BigInt(plus));
  // There is no base. Each block asks, and each sum would be an object more that it keeps.
  return plus === 0 ? rip : BigInt.asUintN(64, rip + BigInt(plus));
}

/** Those of the bytes at a place, up to the end of a page at most, that the code segment has. */
export function withinLimit({ rip, limit, codeSize }: CodePlace, bytes: Uint8Array): Uint8Array {
  if (codeSize === 64) return bytes;
  const room = limit - rip + 1n;
  return room < BigInt(bytes.length) ? bytes.subarray(0, Number(room)) : bytes;
}

/** Where the next instruction is, in halves: 64-bit numbers would be made anew for each. */
export class NextRip {
  #low = 0;
  #high = 0;
  #nextLow = 0;
  #nextHigh = 0;
  #isLong = false;

  begin({ rip, codeSize }: CodePlace): void {
    this.#isLong = codeSize === 64;
    this.#low = Number(rip & WORD_MASK);
    this.#high = Number(rip >> 32n);
    this.advance(0);
  }

  /** @param offset bytes from the block's start */
  advance(offset: number): void {
    const low = this.#low + offset;
    this.#nextLow = low | 0;
    const carry = low >= WORD ? 1 : 0;
    this.#nextHigh = this.#isLong ? (this.#high + carry) | 0 : 0;
  }

  store(words: Int32Array, at: number): void {
    words[at / 4] = this.#nextLow;
    words[at / 4 + 1] = this.#nextHigh;
  }

  /** Where the block starts: halves, signed. */
  get startLow(): number {
    return this.#low | 0;
  }

  get startHigh(): number {
    return this.#high | 0;
  }

  get rip(): bigint {
    return (BigInt(this.#nextHigh >>> 0) << 32n) | BigInt(this.#nextLow >>> 0);
  }
}
