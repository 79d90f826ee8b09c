import type { SeededRandom } from "../../../support/random.ts";
import * as at from "./layout.ts";

/** Registers that programs compute with: RAX, RDX, RSI, RDI. */
export const REGISTERS = [0, 2, 6, 7] as const;

export const word = (value: number): number[] =>
  [0, 8, 16, 24].map((shift) => (value >> shift) & 0xff);

/** Operands in the data that RBX points to. */
export class Operands {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** An offset from RBX. @param aligned to 16 bytes, mostly */
  offset(aligned = false): number {
    const random = this.#random;
    const offset = random.chance(15)
      ? at.PAGE_SIZE * (1 + random.below(3)) - 1 - random.below(15)
      : random.chance(25)
        ? at.PAGE_SIZE + random.below(at.DATA_SIZE - at.PAGE_SIZE - 0x220)
        : random.below(at.CONTROL_WORDS);
    return aligned && random.chance(95) ? offset & ~15 : offset;
  }

  /** ModRM and displacement of [rbx + …]. */
  memory(reg: number, offset = this.offset()): number[] {
    return [0x83 | (reg << 3), ...word(offset)];
  }

  number(reg: number): number[] {
    const random = this.#random;
    return this.memory(reg, random.chance(70) ? at.NUMBERS + 8 * random.below(24) : undefined);
  }
}
