import { MICROSECOND } from "../src/core/units.ts";
import type { Engine } from "./interpreter/engine.ts";

/** How long the engine runs before it looks at the clock, roughly. */
const SLICE = 250 * MICROSECOND;
const FIRST_SLICE = 20_000;
const MIN_SLICE = 1_000;
const MAX_SLICE = 5_000_000;

/** Slices of execution, in instructions, and how many have been executed in all. */
export class Slices {
  readonly #engine: Engine;
  #length = FIRST_SLICE;
  /** What the engine's budget was when {@link instructions} was up to date. */
  #counted = 0;
  #instructions = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** How many instructions have been executed; exceptions count as one each. */
  get instructions(): number {
    return this.#instructions + this.#counted - this.#engine.budget;
  }

  /** Instructions since the last {@link count}, while one of them is under way. */
  get sinceCount(): number {
    return this.#counted - this.#engine.remaining;
  }

  /** Returns how many instructions have been executed since the last time. */
  count(): number {
    const executed = this.#counted - this.#engine.budget;
    this.#counted = this.#engine.budget;
    this.#instructions += executed;
    return executed;
  }

  begin(): void {
    this.#engine.begin(this.#length);
    this.#counted = this.#length;
  }

  /** Lets the next slice be an exact number of instructions, or somewhat less. */
  fit(instructions: number): void {
    this.#length = Math.ceil(Math.min(MAX_SLICE, instructions));
  }

  /** Lets the next slice take the time that slices should. @param elapsed of the last one, in ns */
  adapt(elapsed: number): void {
    const used = this.#length - this.#engine.budget;
    if (used < this.#length / 2) return;
    const wanted = (this.#length * SLICE) / Math.max(elapsed, 1);
    const next = Math.min(wanted, this.#length * 2);
    this.#length = Math.floor(Math.max(MIN_SLICE, Math.min(MAX_SLICE, next)));
  }
}
