import { expect, test } from "vitest";
import { LearntJumps } from "../../../fallback/jit/learnt-jumps.ts";

const RECORD = 0x1000;
const JUMP = 0x4000;
/** How often a jump's record has been left by when it is decided whether to translate it again. */
const DECIDED = [256, 4096];

/** Whether a jump is to be translated again when it has led to a number of targets. */
function learn(jumps: LearntJumps, count: number, exits: number): boolean {
  jumps.add(RECORD, JUMP);
  for (let n = 0; n < count - 1; n++) jumps.learn(RECORD, BigInt(n), 16 * (n + 1));
  return jumps.learn(RECORD, BigInt(count - 1), exits);
}

test("a jump is translated again where its targets have doubled since", () => {
  const jumps = new LearntJumps();
  const [first = 0, second = 0] = DECIDED;
  expect(learn(jumps, 3, first)).toBe(true);
  expect(learn(jumps, 5, second)).toBe(false);
  expect(learn(jumps, 6, second)).toBe(true);
});

test("what an earlier run has translated it with is not translated again", () => {
  const earlier = new LearntJumps();
  const [first = 0] = DECIDED;
  expect(learn(earlier, 3, first)).toBe(true);
  const jumps = new LearntJumps();
  jumps.restore(earlier.all);
  expect(jumps.at(JUMP)).toEqual([0n, 1n, 2n]);
  expect(learn(jumps, 4, first)).toBe(false);
  expect(learn(jumps, 6, first)).toBe(true);
});
