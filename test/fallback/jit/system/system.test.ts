import { expect, test } from "vitest";
import { SYSTEM_MODES } from "./machine.ts";
import { SystemTrials } from "./trial.ts";

const PROGRAMS = 3;
/** Programs that the two have executed differently once. */
const REMEMBERED: readonly number[] = [120_000_260];

const trials = new SystemTrials();

// The long run is `npm run test:programs -- --system --minutes N --seed S`.
test.each(SYSTEM_MODES)("programs that change what a system changes, $name", (mode) => {
  const found = Array.from({ length: PROGRAMS }, (_, seed) => trials.try(seed, [mode]));
  expect(found.map(({ failure }) => failure)).toEqual(found.map(() => undefined));
  // They get somewhere.
  expect(Math.max(...found.map(({ instructions }) => instructions))).toBeGreaterThan(1000);
});

test("programs that were executed differently once", () => {
  for (const seed of REMEMBERED) {
    expect([seed, trials.try(seed).failure]).toEqual([seed, undefined]);
  }
});
