/** No vector. */
export const NONE = -1;

const WORDS = 8;

/** A set of interrupt vectors (0 to 255), as the local APIC's 256-bit registers are. */
export class VectorSet {
  readonly #words = new Uint32Array(WORDS);

  add(vector: number): void {
    this.#words[vector >> 5] = this.word(vector >> 5) | (1 << (vector & 31));
  }

  delete(vector: number): void {
    this.#words[vector >> 5] = this.word(vector >> 5) & ~(1 << (vector & 31));
  }

  has(vector: number): boolean {
    return (this.word(vector >> 5) & (1 << (vector & 31))) !== 0;
  }

  clear(): void {
    this.#words.fill(0);
  }

  /** All of them, in order. */
  get all(): readonly number[] {
    return Array.from({ length: 32 * WORDS }, (_, vector) => vector).filter((vector) =>
      this.has(vector),
    );
  }

  /** The highest, or {@link NONE}. */
  get highest(): number {
    for (let index = WORDS - 1; index >= 0; index--) {
      const word = this.word(index);
      if (word !== 0) return 32 * index + 31 - Math.clz32(word);
    }
    return NONE;
  }

  /** Bits of vectors `32 * index` to `32 * index + 31`. */
  word(index: number): number {
    return this.#words[index] ?? 0;
  }
}
