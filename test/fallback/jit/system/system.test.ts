import { expect, test } from "vitest";
import { SYSTEM_MODES } from "./machine.ts";
import { SystemTrials } from "./trial.ts";

const PROGRAMS = 3;

const trials = new SystemTrials();

// What is found has tests of its own: a seed is another program when the generator changes. The long run is
// `npm run test:programs -- --system --minutes N --seed S`.
test.each(SYSTEM_MODES)("programs that change what a system changes, $name", (mode) => {
  const found = Array.from({ length: PROGRAMS }, (_, seed) => trials.try(seed, [mode]));
  expect(found.map(({ failure }) => failure)).toEqual(found.map(() => undefined));
  // They get somewhere.
  expect(Math.max(...found.map(({ instructions }) => instructions))).toBeGreaterThan(1000);
});
