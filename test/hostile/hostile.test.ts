import { expect, test } from "vitest";
import { HostileTrials } from "./trial.ts";

const GUESTS = 12;
const BOUND = 20_000;
/** Guests that have done harm once. */
const REMEMBERED: readonly number[] = [
  ...[5_000_213, 61_129_184_158, 77_001_231_421, 77_101_231_969],
];

/** The long run is `npm run test:hostile -- --minutes N --seed S`. */
test("random guests harm nobody but themselves", async () => {
  const trials = new HostileTrials(true);
  const seeds = [...REMEMBERED, ...Array.from({ length: GUESTS }, (_, n) => n)];
  const failures: string[] = [];
  let instructions = 0;
  for (const seed of seeds) {
    const result = await trials.compare(seed, BOUND);
    instructions += result.instructions;
    if (result.failure !== undefined) failures.push(`guest ${seed}: ${result.failure}`);
  }
  expect(failures).toEqual([]);
  // They get somewhere.
  expect(instructions).toBeGreaterThan(seeds.length * 100);
}, 120_000);
