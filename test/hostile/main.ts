/**
 * `npm run test:hostile -- [--minutes N] [--seed S] [--only SEED] [--interpret] [--check]`
 *
 * Random bytes as guests, with random tables, until the time is over; each is interpreted, and
 * translated by the JIT. Exit status 1 if one of them harmed the host (an error of ours, a run that
 * does not end, a byte written outside its memory), or did not do the same both times.
 * With `--check` what was made of its code is looked at now and then as well.
 */
import { parseArgs } from "node:util";
import { HostileTrials } from "./trial.ts";

const { values: options } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    interpret: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
  },
});

const MINUTE_MS = 60_000;
const SEEDS_APART = 1_000_003;

const trials = new HostileTrials(options.check);
const outcomes = new Map<string, number>();
const end = performance.now() + Number(options.minutes) * MINUTE_MS;
const first =
  options.only === undefined ? Number(options.seed) * SEEDS_APART : Number(options.only);
let guests = 0;
let instructions = 0;
let failures = 0;
do {
  const seed = first + guests;
  const result = await (options.interpret ? trials.run(seed) : trials.compare(seed));
  guests++;
  instructions += result.instructions;
  outcomes.set(result.outcome, (outcomes.get(result.outcome) ?? 0) + 1);
  if (result.failure === undefined) continue;
  failures++;
  console.log(`guest ${seed}: ${result.failure}`);
} while (options.only === undefined && performance.now() < end);
const ends = [...outcomes].sort((a, b) => b[1] - a[1]).map(([kind, count]) => `${kind} ${count}`);
console.log(
  `${guests} guests, ${instructions} instructions, ${failures} failures; ${ends.join(", ")}`,
);
process.exitCode = failures === 0 ? 0 : 1;
