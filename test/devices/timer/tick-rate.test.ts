import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nanos, SECOND } from "../../../src/core/units.ts";
import { ACPI_TIMER_RATE, PIT_RATE } from "../../../src/devices/timer/tick-rate.ts";

describe("tick rate", () => {
  it("counts the PC's frequencies to the tick, even after a year", () => {
    const year = 365 * 86_400;
    expect(PIT_RATE.ticksAt(nanos(year * SECOND))).toBe(Math.floor((year * 105e6) / 88));
    expect(ACPI_TIMER_RATE.ticksAt(nanos(SECOND))).toBe(3_579_545);
    expect(PIT_RATE.ticksAt(nanos(SECOND))).toBe(1_193_181);
  });

  it("names the first nanosecond of every tick", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), (tick) => {
        const time = PIT_RATE.timeOf(tick);
        expect(PIT_RATE.ticksAt(time)).toBe(tick);
        if (tick > 0) expect(PIT_RATE.ticksAt(nanos(time - 1))).toBe(tick - 1);
      }),
    );
  });

  it("never reaches the tick that never comes", () => {
    expect(PIT_RATE.timeOf(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  });
});
