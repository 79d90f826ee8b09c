/**
 * `npm run test:programs -- [--minutes N] [--seed S] [--only SEED] [--system]`
 *
 * Random programs, interpreted and translated by the JIT, until the time is over: loops, calls,
 * flags across blocks, strings, faults in the middle, code that changes itself, in all modes; or those
 * that change what a system changes, and are disturbed. Every second one is optimised by V8 at once. Exit status 1 if the two differ anywhere.
 */
import { parseArgs } from "node:util";
import { allowMachineCode, optimisingAll } from "../../support/optimised.ts";
import { SystemTrials } from "./system/trial.ts";
import { tryProgram } from "./trial.ts";

const { values: options } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    system: { type: "boolean", default: false },
  },
});

const MINUTE_MS = 60_000;
const SEEDS_APART = 10_000_019;

allowMachineCode();
const system = options.system ? new SystemTrials() : undefined;
const counts = new Map<string, number>();
const end = performance.now() + Number(options.minutes) * MINUTE_MS;
const first =
  options.only === undefined ? Number(options.seed) * SEEDS_APART : Number(options.only);
let programs = 0;
let instructions = 0;
let failures = 0;
do {
  const seed = first + programs;
  const attempt = () => (system === undefined ? tryProgram(seed) : system.try(seed));
  // What V8 has optimised is kept as machine code, and short programs seldom have any such.
  const trial = seed % 2 === 0 ? attempt() : optimisingAll(attempt);
  programs++;
  instructions += trial.instructions;
  counts.set(trial.mode, (counts.get(trial.mode) ?? 0) + 1);
  if (trial.failure === undefined) continue;
  failures++;
  console.log(`program ${seed}: ${trial.failure}`);
} while (options.only === undefined && performance.now() < end);
const modes = [...counts].map(([mode, count]) => `${mode} ${count}`).sort();
console.log(
  `${programs} programs, ${instructions} instructions, ${failures} differ; ${modes.join(", ")}`,
);
process.exitCode = failures === 0 ? 0 : 1;
