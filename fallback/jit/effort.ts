import type { Block } from "../interpreter/block.ts";

/**
 * Translating is counted in instructions, which take the same time roughly: each of a region, and as many
 * more for what a region takes however small it is. A clock would not stand still in runs that are to be
 * repeated, or not go on.
 */
const PER_REGION = 20;
/** What may be translated in any case: 150 ms or so. */
const GRACE = 8_500;
/** Instructions that are executed for each more: translating takes a tenth of the time then. */
const EXECUTED_FOR_EACH = 40_000;
/**
 * After so many instructions of hot code, more than guests need to start, it is overdue: then one may be
 * translated for every so many more. Interpreting these takes as long as translating that one.
 */
const OVERDUE = 20_000_000;
const OVERDUE_FOR_EACH = 1000;
/** How much of its patience is enough where nobody has to wait. */
const SPARE_PATIENCE = 1 / 2;
/** Instructions that hot code has executed for each that is translated then. */
const HOT_FOR_EACH = 400;
/** How many times as hot code has to be as what asks first, at most. */
const MAX_DEMAND = 64;

/**
 * Keeps translation from taking more than it gives: a guest that is about to end needs none, and one
 * whose code is all lukewarm would wait for more of it than it ever executes.
 */
export class Effort {
  readonly #patience: number;
  readonly #executed: () => number;
  /** Instructions that hot code has executed, interpreted. */
  #hot = 0;
  #start: number | undefined;
  #spent = 0;

  /**
   * @param patience instructions that hot code has executed before anything is translated
   * @param executed instructions that the guest has executed so far
   */
  constructor(patience: number, executed: () => number) {
    this.#patience = patience;
    this.#executed = executed;
  }

  /** Whether code may be translated now. @param executed instructions of it since it last asked */
  allows(executed: number): boolean {
    this.#hot += executed;
    if (this.#hot < this.#patience) return false;
    return this.#spent <= this.#allowance;
  }

  /** Whether code may be translated while the guest has nothing to do: less, for much of it never runs again. */
  get allowsSpare(): boolean {
    return this.#hot >= SPARE_PATIENCE * this.#patience && this.#spent <= this.#hot / HOT_FOR_EACH;
  }

  /** How much may have been translated by now. */
  get #allowance(): number {
    const executed = this.#start === undefined ? 0 : this.#executed() - this.#start;
    const overdue = Math.max(0, this.#hot - OVERDUE);
    return GRACE + executed / EXECUTED_FOR_EACH + overdue / OVERDUE_FOR_EACH;
  }

  /**
   * How many times as hot code should be as what asks first. More and more, once half of what may be
   * translated has been: so what is left goes to the hottest.
   */
  get demand(): number {
    const used = Math.min(1, this.#spent / this.#allowance);
    return 1 + (MAX_DEMAND - 1) * Math.max(0, 2 * used - 1);
  }

  /** A region has been made. @param instructions of it, as often as they are in it */
  spend(instructions: number): void {
    this.#start ??= this.#executed();
    this.#spent += PER_REGION + instructions;
  }
}

/** How many instructions' time a procedure takes that code of the JIT does without. */
const PROCEDURE_WEIGHT = 50;

/** Instructions, those that wait for being translated as many as they take time. */
export function weightOf(block: Block): number {
  // Few have any: the others are not decoded for this.
  const slow = block.handledBeside.filter(
    (index) => block.instruction(index).form.instruction.translation !== undefined,
  );
  return block.count + (PROCEDURE_WEIGHT - 1) * slow.length;
}

/** Whether anything of a block is executed before control leaves it. */
export function isWorthwhile(block: Block): boolean {
  const { meaning, ends, translation, resumes } = block.instruction(0).form.instruction;
  const isTranslated = meaning !== undefined || translation !== undefined;
  return isTranslated || ends === undefined || resumes === true;
}
