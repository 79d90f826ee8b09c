import { MILLISECOND } from "../../src/core/units.ts";

/** What translating may take in any case, in nanoseconds; and of the time since the first of it. */
const GRACE = 150 * MILLISECOND;
const SHARE = 1 / 6;

/**
 * Keeps translation from taking more than it gives: a guest that is about to end needs none, and one
 * whose code is all lukewarm would wait for more of it than it ever executes.
 */
export class Effort {
  readonly #patience: number;
  readonly #now: () => number;
  #executed = 0;
  #start: number | undefined;
  #spent = 0;

  /**
   * @param patience instructions that hot code has executed before anything is translated
   * @param now nanoseconds
   */
  constructor(patience: number, now: () => number) {
    this.#patience = patience;
    this.#now = now;
  }

  /** Whether code may be translated now. @param executed instructions of it since it last asked */
  allows(executed: number): boolean {
    this.#executed += executed;
    if (this.#executed < this.#patience) return false;
    if (this.#start === undefined) return true;
    return this.#spent <= GRACE + SHARE * (this.#now() - this.#start);
  }

  /** Translates something. @returns nanoseconds that it took */
  spend(translate: () => void): number {
    const start = this.#now();
    this.#start ??= start;
    translate();
    const took = this.#now() - start;
    this.#spent += took;
    return took;
  }
}
