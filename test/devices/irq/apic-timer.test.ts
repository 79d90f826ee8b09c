import { beforeEach, describe, expect, it } from "vitest";
import { type Clock, VirtualClock } from "../../../src/core/clock.ts";
import { MICROSECOND, MILLISECOND, NEVER, SECOND } from "../../../src/core/units.ts";
import { ApicTimer } from "../../../src/devices/irq/apic-timer.ts";
import { LateClock } from "../../support/late-clock.ts";

const DIVIDE_BY_1 = 0b1011;

let clock: VirtualClock;
let expiries: number[];
let timer: ApicTimer;

/** A timer that counts nanoseconds and tells when it expires. */
function create(on: Clock, mode: { periodic: boolean; silent: boolean }): ApicTimer {
  const made = new ApicTimer({ clock: on, onExpiry: () => expiries.push(on.now()) });
  made.divideConfiguration = DIVIDE_BY_1;
  made.configure(mode);
  return made;
}

beforeEach(() => {
  clock = new VirtualClock();
  expiries = [];
  timer = create(clock, { periodic: false, silent: false });
});

describe("the count", () => {
  it("goes down by one a nanosecond, and stands at zero", () => {
    timer.initialCount = 1000;
    expect(timer.currentCount).toBe(1000);
    clock.advance(1);
    expect(timer.currentCount).toBe(999);
    clock.advance(998);
    expect(timer.currentCount).toBe(1);
    clock.advance(1);
    expect(timer.currentCount).toBe(0);
    clock.advance(SECOND);
    expect(timer.currentCount).toBe(0);
    expect(timer.initialCount).toBe(1000);
    expect(expiries).toEqual([1000]);
  });

  it.each([
    [0b0000, 2],
    [0b0001, 4],
    [0b0010, 8],
    [0b0011, 16],
    [0b1000, 32],
    [0b1001, 64],
    [0b1010, 128],
    [0b1011, 1],
  ])("with divide configuration %i goes down every %i ns", (configuration, divisor) => {
    timer.divideConfiguration = configuration;
    timer.initialCount = 10;
    clock.advance(divisor - 1);
    expect(timer.currentCount).toBe(10);
    clock.advance(1);
    expect(timer.currentCount).toBe(9);
    clock.advance(9 * divisor);
    expect(expiries).toEqual([10 * divisor]);
  });

  it("reaches through all 32 bits with the largest divisor", () => {
    timer.divideConfiguration = 0b1010;
    timer.initialCount = 0xffff_ffff;
    clock.advance(128 * 0xffff_fffe);
    expect(timer.currentCount).toBe(1);
    clock.advance(128);
    expect(expiries).toEqual([128 * 0xffff_ffff]);
  });

  it("goes on from where it is with another divisor", () => {
    timer.initialCount = 1000;
    clock.advance(400);
    timer.divideConfiguration = 0b0001;
    expect(timer.currentCount).toBe(600);
    clock.advance(4 * 599);
    expect(timer.currentCount).toBe(1);
    clock.advance(4);
    expect(expiries).toEqual([400 + 2400]);
  });

  it("keeps the bits of the divide configuration that exist", () => {
    timer.divideConfiguration = 0xffff_ffff;
    expect(timer.divideConfiguration).toBe(0b1011);
  });

  it("is stopped by an initial count of zero", () => {
    timer.initialCount = 1000;
    timer.initialCount = 0;
    expect(timer.currentCount).toBe(0);
    clock.advance(SECOND);
    expect(expiries).toEqual([]);
  });

  it("starts again with each initial count", () => {
    timer.initialCount = 1000;
    clock.advance(600);
    timer.initialCount = 1000;
    clock.advance(999);
    expect(expiries).toEqual([]);
    clock.advance(1);
    expect(expiries).toEqual([1600]);
  });
});

describe("modes", () => {
  it("periodic expires at exact multiples and reloads", () => {
    timer.configure({ periodic: true, silent: false });
    timer.initialCount = MILLISECOND;
    clock.advance(2.5 * MILLISECOND);
    expect(timer.currentCount).toBe(MILLISECOND / 2);
    clock.advance(1.5 * MILLISECOND);
    expect(expiries).toEqual([1, 2, 3, 4].map((n) => n * MILLISECOND));
  });

  it("periodic becomes one-shot: the count under way is the last", () => {
    timer.configure({ periodic: true, silent: false });
    timer.initialCount = MILLISECOND;
    clock.advance(1.5 * MILLISECOND);
    timer.configure({ periodic: false, silent: false });
    expect(timer.currentCount).toBe(MILLISECOND / 2);
    clock.advance(10 * MILLISECOND);
    expect(timer.currentCount).toBe(0);
    expect(expiries).toEqual([MILLISECOND, 2 * MILLISECOND]);
  });

  it("a one-shot that is over stays over when it becomes periodic", () => {
    timer.initialCount = MILLISECOND;
    clock.advance(MILLISECOND);
    timer.configure({ periodic: true, silent: false });
    clock.advance(10 * MILLISECOND);
    expect(timer.currentCount).toBe(0);
    expect(expiries).toEqual([MILLISECOND]);
  });

  it("silent counts without telling, and sets no alarm", () => {
    timer.configure({ periodic: true, silent: true });
    timer.initialCount = MILLISECOND;
    expect(clock.alarms.deadline).toBe(NEVER);
    clock.advance(2.25 * MILLISECOND);
    expect(timer.currentCount).toBe(0.75 * MILLISECOND);
    timer.configure({ periodic: true, silent: false });
    clock.advance(0.75 * MILLISECOND);
    expect(expiries).toEqual([3 * MILLISECOND]);
  });

  it("reset stops it and sets the divisor to two", () => {
    timer.configure({ periodic: true, silent: false });
    timer.initialCount = MILLISECOND;
    timer.reset();
    expect([timer.initialCount, timer.currentCount, timer.divideConfiguration]).toEqual([0, 0, 0]);
    expect(clock.alarms.deadline).toBe(NEVER);
    timer.configure({ periodic: false, silent: false });
    timer.initialCount = 100;
    clock.advance(200);
    expect(expiries).toEqual([200]);
  });
});

describe("a busy host", () => {
  it("gets one interrupt for all the periods that it missed, and the next in time", () => {
    const late = new LateClock();
    timer = create(late, { periodic: true, silent: false });
    timer.initialCount = MILLISECOND;
    late.pass(5.25 * MILLISECOND);
    late.fireDue();
    expect(expiries).toEqual([5.25 * MILLISECOND]);
    late.pass(0.5 * MILLISECOND);
    late.fireDue();
    expect(expiries).toHaveLength(1);
    late.pass(0.25 * MILLISECOND);
    late.fireDue();
    expect(expiries).toEqual([5.25 * MILLISECOND, 6 * MILLISECOND]);
  });

  it("sees a count of zero only with the interrupt on its way", () => {
    const late = new LateClock();
    timer = create(late, { periodic: false, silent: false });
    timer.initialCount = 1000;
    late.pass(1500);
    expect(timer.currentCount).toBe(0);
    expect(expiries).toEqual([1500]);
    late.fireDue();
    expect(expiries).toHaveLength(1);
  });

  it("is not drowned by a period of one nanosecond", () => {
    timer.configure({ periodic: true, silent: false });
    timer.initialCount = 1;
    clock.advance(MILLISECOND);
    expect(expiries).toHaveLength(1 + Math.floor((MILLISECOND - 1) / (50 * MICROSECOND)));
    expect(timer.currentCount).toBe(1);
  });
});
