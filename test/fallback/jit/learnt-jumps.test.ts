import { expect, test } from "vitest";
import { LearntJumps } from "../../../fallback/jit/learnt-jumps.ts";

const RECORD = 0x1000;
const JUMP = 0x4000;
/** How often a jump's record has been left by when it is looked whether to translate it again. */
const DECIDED = [256, 4096];

/** A jump leads to a number of targets. @returns the jump if it is time to see whether they fit in */
function learn(jumps: LearntJumps, count: number, exits: number): number | undefined {
  jumps.add(RECORD, JUMP);
  for (let n = 0; n < count - 1; n++) jumps.learn(RECORD, BigInt(n), 16 * (n + 1));
  return jumps.learn(RECORD, BigInt(count - 1), exits);
}

test("it is looked twice how many targets of a jump fit into its region", () => {
  const jumps = new LearntJumps();
  const looks = [16, 240, 256, 272, 4096, 8192].filter((exits) => learn(jumps, 3, exits) === JUMP);
  expect(looks).toEqual(DECIDED);
});

test("a jump is translated again where the targets in its region have doubled since", () => {
  const jumps = new LearntJumps();
  const worthwhile = [0, 3, 5, 6, 11].map((inside) => jumps.isWorthwhile(JUMP, inside));
  expect(worthwhile).toEqual([false, true, false, true, false]);
});

test("what an earlier run has translated it with is not translated again", () => {
  const earlier = new LearntJumps();
  const [first = 0] = DECIDED;
  expect(learn(earlier, 3, first)).toBe(JUMP);
  expect(earlier.isWorthwhile(JUMP, 3)).toBe(true);
  const jumps = new LearntJumps();
  jumps.restore(earlier.all);
  expect(jumps.at(JUMP)).toEqual([0n, 1n, 2n]);
  expect(jumps.isWorthwhile(JUMP, 4)).toBe(false);
  expect(jumps.isWorthwhile(JUMP, 6)).toBe(true);
});
