import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../src/core/clock.ts";
import { MILLISECOND, SECOND } from "../../../src/core/units.ts";
import { AcpiPm } from "../../../src/devices/power/acpi-pm.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";
import { FakeIrqLine } from "../../support/fake-irq-line.ts";

const [STATUS, ENABLE, CONTROL, TIMER] = [0, 2, 4, 8];
const SLEEP = 1 << 13;

describe("ACPI power management", () => {
  let clock: VirtualClock;
  let sci: FakeIrqLine;
  let pm: AcpiPm;
  let powerOffs: number;

  beforeEach(() => {
    clock = new VirtualClock();
    sci = new FakeIrqLine();
    powerOffs = 0;
    pm = new AcpiPm({
      clock,
      irq: sci,
      onPowerOff: () => {
        powerOffs++;
      },
    });
  });

  it("powers off when the guest enters S5", () => {
    pm.write(CONTROL, 2, SLEEP);
    expect(powerOffs).toBe(1);
  });

  it("powers off by the upper byte alone", () => {
    pm.write(CONTROL + 1, 1, SLEEP >> 8);
    expect(powerOffs).toBe(1);
  });

  it("needs the enable bit for that, and the type of S5", () => {
    pm.write(CONTROL, 2, 0);
    pm.write(CONTROL, 2, SLEEP | (1 << 10));
    pm.write(CONTROL, 2, SLEEP | (7 << 10));
    expect(powerOffs).toBe(0);
  });

  it("is in ACPI mode always, and does not keep the sleep enable bit", () => {
    expect(pm.read(CONTROL, 2)).toBe(0x0001);
    pm.write(CONTROL, 2, 0xfffe);
    expect(pm.read(CONTROL, 2)).toBe(0x1c03);
  });

  it("counts 3.579545 MHz in 24 bits", () => {
    clock.advance(SECOND);
    expect(pm.read(TIMER, 4)).toBe(3_579_545);
    clock.advance(4 * SECOND);
    expect(pm.read(TIMER, 4)).toBe(17_897_727 - 2 ** 24);
    expect(pm.read(TIMER + 2, 1)).toBe((17_897_727 - 2 ** 24) >> 16);
    pm.write(TIMER, 4, 0);
    expect(pm.read(TIMER, 4)).toBe(17_897_727 - 2 ** 24);
  });

  it("sets the timer's status bit whenever its top bit changes, until a one clears it", () => {
    clock.advance(2.3 * SECOND);
    expect(pm.read(STATUS, 2)).toBe(0);
    clock.advance(0.1 * SECOND);
    expect(pm.read(STATUS, 2)).toBe(1);
    pm.write(STATUS, 2, 0xfffe);
    pm.write(STATUS + 1, 1, 0xff);
    expect(pm.read(STATUS, 2)).toBe(1);
    pm.write(STATUS, 2, 0x0001);
    expect(pm.read(STATUS, 2)).toBe(0);
    clock.advance(2.4 * SECOND);
    expect(pm.read(STATUS, 2)).toBe(1);
  });

  it("interrupts for it while that is enabled", () => {
    pm.write(ENABLE, 2, 0x0001);
    clock.advance(2.343 * SECOND);
    expect(sci.level).toBe(false);
    clock.advance(MILLISECOND);
    expect(sci.level).toBe(true);
    pm.write(STATUS, 2, 0x0001);
    expect(sci.level).toBe(false);
    clock.advance(2.4 * SECOND);
    expect(sci.level).toBe(true);
    pm.write(ENABLE, 2, 0x0000);
    expect(sci.level).toBe(false);
    expect(clock.alarms.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  it("keeps the enable bits that exist", () => {
    pm.write(ENABLE, 2, 0xffff);
    expect(pm.read(ENABLE, 2)).toBe(0x0521);
  });

  it("goes back to power-on at reset", () => {
    pm.write(ENABLE, 2, 0xffff);
    clock.advance(3 * SECOND);
    pm.reset();
    expect([sci.level, pm.read(STATUS, 4)]).toEqual([false, 0]);
  });

  it("lives through any access", () => {
    readWriteEverything(() => {
      const own = new VirtualClock();
      const device = new AcpiPm({ clock: own, irq: new FakeIrqLine(), onPowerOff: () => {} });
      return {
        ranges: [[device, device.length]],
        advance: (nanoseconds) => own.advance(nanoseconds * 1000),
      };
    });
  });
});
