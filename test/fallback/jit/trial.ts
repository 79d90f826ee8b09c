import { isDeepStrictEqual } from "node:util";
import type { Translations } from "../../../src/core/translations.ts";
import { SeededRandom } from "../../support/random.ts";
import { handleFaults, mayFault } from "./handlers.ts";
import { type Machine, MODES, type Mode, machine, runFor, stateOf } from "./machine.ts";
import { program } from "./programs.ts";

const LONGEST_SLICE = 2000;
const MOST_INSTRUCTIONS = 200_000;
const HIGHEST_THRESHOLD = 6;

export interface Trial {
  readonly mode: string;
  readonly instructions: number;
  /** Where the two first differ, if they do. */
  readonly failure: string | undefined;
}

/**
 * A random program that faults and changes itself, interpreted and translated by the JIT; and once more
 * with what the JIT has kept of that.
 * @param seed of mode and program, and of where the two are compared
 */
export function tryProgram(seed: number, modes: readonly Mode[] = MODES): Trial {
  const random = new SeededRandom(seed);
  const mode = random.pick(modes);
  const code = program((below) => random.below(below), mode, mayFault(mode));
  const threshold = 1 + random.below(HIGHEST_THRESHOLD);
  const created = (heat: number | undefined, kept?: Translations): Created => {
    const made: Created = { kept: undefined, ...machine(code, heat, mode, { kept, keep }) };
    function keep(translations: Translations | undefined): void {
      made.kept = translations;
    }
    if (mayFault(mode)) handleFaults(made, mode);
    return made;
  };
  const compare = (kept: Translations | undefined): Trial & Pick<Created, "kept"> => {
    const [interpreted, translated] = [created(undefined), created(threshold, kept)];
    const difference = firstDifference(interpreted, translated, random);
    translated.cpu.close();
    const { instructions } = interpreted.cpu;
    const what = kept === undefined ? difference : `${difference}, with what was kept`;
    const failure =
      difference && `${mode.name}, threshold ${threshold}, ${what} at ${instructions}`;
    return { mode: mode.name, instructions, failure, kept: translated.kept };
  };
  const { kept, ...first } = compare(undefined);
  if (first.failure !== undefined || kept === undefined) return first;
  const { failure, instructions } = compare(kept);
  return { mode: mode.name, instructions: first.instructions + instructions, failure };
}

interface Created extends Machine {
  kept: Translations | undefined;
}

/** Runs both to the end. @returns what differs first, if anything does */
function firstDifference(
  interpreted: Machine,
  translated: Machine,
  random: SeededRandom,
): string | undefined {
  while (interpreted.cpu.instructions < MOST_INSTRUCTIONS) {
    const length = 1 + random.below(LONGEST_SLICE);
    const ended = runFor(interpreted, length);
    if (runFor(translated, length) !== ended) return "one has ended";
    const [expected, actual] = [stateOf(interpreted), stateOf(translated)];
    if (!isDeepStrictEqual(expected, actual)) return "states differ";
    if (ended) break;
  }
  return undefined;
}
