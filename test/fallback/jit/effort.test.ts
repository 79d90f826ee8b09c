import { describe, expect, test } from "vitest";
import { Effort } from "../../../fallback/jit/effort.ts";

/** An effort for a guest that executes what it is told to. */
function effortOf(patience: number) {
  const guest = { executed: 0 };
  const effort = new Effort(patience, () => guest.executed);
  return { guest, effort };
}

describe("translation", () => {
  test("waits until hot code has executed enough", () => {
    const { effort } = effortOf(1000);
    expect(effort.allows(600)).toBe(false);
    expect(effort.allows(399)).toBe(false);
    expect(effort.allows(1)).toBe(true);
  });

  test("takes what it needs at first, and then a share of what is executed", () => {
    const { guest, effort } = effortOf(0);
    guest.executed = 1e9;
    effort.spend(8000);
    expect(effort.allows(1)).toBe(true);
    effort.spend(4980);
    expect(effort.allows(1)).toBe(false);
    guest.executed += 160e6;
    expect(effort.allows(1)).toBe(false);
    guest.executed += 40e6;
    expect(effort.allows(1)).toBe(true);
  });

  test("gives more to code that has been hot and interpreted for long", () => {
    const { effort } = effortOf(0);
    effort.spend(9000);
    expect(effort.allows(20_000_000)).toBe(false);
    expect(effort.allows(500_000)).toBe(false);
    expect(effort.allows(20_000)).toBe(true);
    effort.spend(1000);
    expect(effort.allows(20_000)).toBe(false);
  });

  test("asks for hotter code the less there is left", () => {
    const { guest, effort } = effortOf(0);
    expect(effort.demand).toBe(1);
    effort.spend(4230);
    expect(effort.demand).toBe(1);
    effort.spend(2105);
    expect(effort.demand).toBeCloseTo(32.5, 1);
    effort.spend(4000);
    expect(effort.demand).toBe(64);
    guest.executed += 1e9;
    expect(effort.demand).toBe(1);
  });

  test("begins earlier while there is nothing else to do, and takes less", () => {
    const { effort } = effortOf(100_000);
    effort.allows(49_999);
    expect(effort.allowsSpare).toBe(false);
    expect(effort.allows(1)).toBe(false);
    expect(effort.allowsSpare).toBe(true);
    effort.spend(100);
    expect(effort.allowsSpare).toBe(true);
    effort.spend(10);
    expect(effort.allowsSpare).toBe(false);
    effort.allows(20_000);
    expect(effort.allowsSpare).toBe(true);
  });

  test("counts small regions as well", () => {
    const { effort } = effortOf(0);
    for (let region = 0; region < 500; region++) effort.spend(1);
    expect(effort.allows(1)).toBe(false);
  });
});
