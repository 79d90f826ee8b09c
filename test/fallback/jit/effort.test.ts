import { describe, expect, test } from "vitest";
import { Effort } from "../../../fallback/jit/effort.ts";
import { MILLISECOND } from "../../../src/core/units.ts";

/** An effort at a clock of its own. */
function effortOf(patience: number) {
  const clock = { now: 0 };
  const effort = new Effort(patience, () => clock.now);
  const translate = (milliseconds: number): number =>
    effort.spend(() => {
      clock.now += milliseconds * MILLISECOND;
    });
  return { clock, effort, translate };
}

describe("translation", () => {
  test("waits until hot code has executed enough", () => {
    const { effort } = effortOf(1000);
    expect(effort.allows(600)).toBe(false);
    expect(effort.allows(399)).toBe(false);
    expect(effort.allows(1)).toBe(true);
  });

  test("tells how long it took", () => {
    const { translate } = effortOf(0);
    expect(translate(3)).toBe(3 * MILLISECOND);
  });

  test("takes what it needs at first, and then a share of the time", () => {
    const { clock, effort, translate } = effortOf(0);
    translate(149);
    expect(effort.allows(1)).toBe(true);
    translate(250);
    expect(effort.allows(1)).toBe(false);
    clock.now = 1000 * MILLISECOND;
    expect(effort.allows(1)).toBe(false);
    clock.now = 1500 * MILLISECOND;
    expect(effort.allows(1)).toBe(true);
  });
});
