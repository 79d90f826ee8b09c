import { expect, it } from "vitest";
import { TimeShares } from "../../fallback/time-shares.ts";

const TRANSLATED_COST = 0.5;
const INTERPRETED_COST = 6;

const shares = (...slices: readonly (readonly [translated: number, interpreted: number])[]) => {
  const all = new TimeShares();
  for (const [translated, interpreted] of slices) {
    all.add(translated, interpreted, translated * TRANSLATED_COST + interpreted * INTERPRETED_COST);
  }
  return all;
};

it("divides the time by what an instruction of each kind costs", () => {
  const all = shares([400_000, 2_000], [500_000, 0], [100_000, 30_000]);
  const interpreted = 32_000 * INTERPRETED_COST;
  expect(all.time).toBe(1_000_000 * TRANSLATED_COST + interpreted);
  expect(all.interpreted).toBeCloseTo(interpreted / all.time, 6);
});

it("knows runs of one kind", () => {
  expect(shares([0, 1000], [0, 3000]).interpreted).toBe(1);
  expect(shares([1000, 0], [3000, 0]).interpreted).toBe(0);
  expect(new TimeShares().interpreted).toBe(1);
});

it("divides by instructions where all slices are the same mixture", () => {
  expect(shares([300, 100], [600, 200]).interpreted).toBeCloseTo(0.25);
});

it("divides by instructions where no slice takes any time", () => {
  const all = new TimeShares();
  all.add(100, 0, 0);
  all.add(100, 50, 0);
  expect(all.interpreted).toBeCloseTo(0.2);
});
