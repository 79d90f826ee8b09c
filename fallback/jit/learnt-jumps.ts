import type { Range } from "./region.ts";

/** Targets of a jump that are kept, at most. */
const MAX_TARGETS = 64;

/** Then it is known where a jump mostly leads, and then where else. */
const ENOUGH_EXITS = 256;
const MANY_EXITS = 4096;

/** Of a jump, to be kept. */
export interface JumpTargets {
  /** Guest physical, of the block that it ends. */
  readonly address: number;
  readonly targets: readonly bigint[];
  /** How many were in its region when it was translated again. */
  readonly translated: number;
}

const NONE: readonly bigint[] = [];

/** Where jumps have led to that do not tell by themselves. */
export class LearntJumps {
  /** By exit record of a jump: the guest physical address of the block that it ends. */
  readonly #jumps = new Map<number, number>();
  /** By that address. */
  readonly #targets = new Map<number, Set<bigint>>();
  /** By that address, as {@link JumpTargets.translated}. */
  readonly #translated = new Map<number, number>();

  /** A region leaves by an exit record where the jump at a block's end leads elsewhere. */
  add(record: number, address: number): void {
    this.#jumps.set(record, address);
  }

  /** Offsets that the jump at a block's end has led to. */
  at(address: number): readonly bigint[] {
    const targets = this.#targets.get(address);
    return targets === undefined ? NONE : [...targets];
  }

  /**
   * The jump with an exit record has led to an offset.
   * @param exits how often the record has been left by
   * @returns the guest physical address of the block that the jump ends, if it is time to see how many
   *   of its targets can be in the region
   */
  learn(record: number, target: bigint, exits: number): number | undefined {
    const jump = this.#jumps.get(record);
    if (jump === undefined) return undefined;
    const targets = this.#targets.get(jump) ?? new Set();
    this.#targets.set(jump, targets);
    if (targets.size < MAX_TARGETS) targets.add(target);
    return exits === ENOUGH_EXITS || exits === MANY_EXITS ? jump : undefined;
  }

  /**
   * Whether to translate a jump again which would have so many targets in its region then: not for each,
   * for jumps through tables have many.
   */
  isWorthwhile(jump: number, inside: number): boolean {
    if (inside === 0 || inside < 2 * (this.#translated.get(jump) ?? 0)) return false;
    this.#translated.set(jump, inside);
    return true;
  }

  /** Exit records of a range that are of jumps, with the addresses of these. */
  within([first, behind]: Range): (readonly [record: number, address: number])[] {
    return [...this.#jumps].filter(([record]) => record >= first && record < behind);
  }

  /** To be {@link restore}d. */
  get all(): JumpTargets[] {
    return [...this.#targets].map(([address, targets]) => ({
      address,
      targets: [...targets],
      translated: this.#translated.get(address) ?? 0,
    }));
  }

  restore(jumps: readonly JumpTargets[]): void {
    for (const { address, targets, translated } of jumps) {
      this.#targets.set(address, new Set(targets));
      this.#translated.set(address, translated);
    }
  }

  clear(): void {
    this.#jumps.clear();
    this.#targets.clear();
    this.#translated.clear();
  }
}
