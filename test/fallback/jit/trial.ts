import { isDeepStrictEqual } from "node:util";
import { SeededRandom } from "../../support/random.ts";
import { handleFaults, mayFault } from "./handlers.ts";
import { MODES, type Mode, machine, runFor, stateOf } from "./machine.ts";
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
 * A random program that faults and changes itself, interpreted and translated by the JIT.
 * @param seed of mode and program, and of where the two are compared
 */
export function tryProgram(seed: number, modes: readonly Mode[] = MODES): Trial {
  const random = new SeededRandom(seed);
  const mode = random.pick(modes);
  const code = program((below) => random.below(below), mode, mayFault(mode));
  const threshold = 1 + random.below(HIGHEST_THRESHOLD);
  const [interpreted, translated] = [undefined, threshold].map((heat) => {
    const created = machine(code, heat, mode);
    if (mayFault(mode)) handleFaults(created, mode);
    return created;
  });
  if (interpreted === undefined || translated === undefined) throw new Error("no machines");
  const result = (what?: string): Trial => {
    const { instructions } = interpreted.cpu;
    const failure = what && `${mode.name}, threshold ${threshold}, ${what} at ${instructions}`;
    return { mode: mode.name, instructions, failure };
  };
  while (interpreted.cpu.instructions < MOST_INSTRUCTIONS) {
    const length = 1 + random.below(LONGEST_SLICE);
    const ended = runFor(interpreted, length);
    if (runFor(translated, length) !== ended) return result("one has ended");
    const [expected, actual] = [stateOf(interpreted), stateOf(translated)];
    if (!isDeepStrictEqual(expected, actual)) return result("states differ");
    if (ended) break;
  }
  return result();
}
