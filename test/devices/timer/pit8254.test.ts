import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../src/core/clock.ts";
import { MICROSECOND, MILLISECOND, NEVER, SECOND } from "../../../src/core/units.ts";
import { Pit8254 } from "../../../src/devices/timer/pit8254.ts";
import { PIT_RATE } from "../../../src/devices/timer/tick-rate.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";
import { FakeIrqLine } from "../../support/fake-irq-line.ts";
import { LateClock } from "../../support/late-clock.ts";

const TICK = 88_000 / 105;
const CONTROL = 3;

describe("8254 timer", () => {
  let clock: VirtualClock;
  let irq: FakeIrqLine;
  let pit: Pit8254;

  beforeEach(() => {
    clock = new VirtualClock();
    irq = new FakeIrqLine();
    pit = new Pit8254({ clock, irq });
    irq.takeRises();
  });

  const program = (counter: number, mode: number, count: number, on = pit): void => {
    on.counters.write(CONTROL, 1, (counter << 6) | 0x30 | (mode << 1));
    on.counters.write(counter, 1, count & 0xff);
    on.counters.write(counter, 1, count >> 8);
  };
  const readCount = (counter: number): number =>
    pit.counters.read(counter, 1) | (pit.counters.read(counter, 1) << 8);
  const toTick = (tick: number): void => clock.advance(PIT_RATE.timeOf(tick) - clock.now());

  describe("interrupts", () => {
    it("come at the rate that mode 2 generates, without drift", () => {
      program(0, 2, 1193);
      clock.advance(10 * SECOND);
      expect(irq.takeRises()).toBe(Math.floor((10 * 105e6) / 88 / 1193));
    });

    it("come at the same rate from mode 3, and at 18.2 Hz from a count of 0", () => {
      program(0, 3, 0);
      clock.advance(10 * SECOND);
      expect(irq.takeRises()).toBe(182);
    });

    it("come at the tick, not before", () => {
      program(0, 2, 1000);
      toTick(1000);
      expect(irq.takeRises()).toBe(0);
      toTick(1001);
      expect(irq.takeRises()).toBe(1);
      toTick(2000);
      expect(irq.takeRises()).toBe(0);
      toTick(2001);
      expect(irq.takeRises()).toBe(1);
    });

    it("come once from modes 0 and 4", () => {
      program(0, 0, 1000);
      expect(irq.level).toBe(false);
      toTick(1000);
      expect(irq.level).toBe(false);
      clock.advance(SECOND);
      expect(irq.level).toBe(true);
      expect(irq.takeRises()).toBe(1);
      program(0, 4, 1000);
      clock.advance(SECOND);
      expect(irq.takeRises()).toBe(1);
    });

    it("do not come from programming a counter whose OUT was high", () => {
      program(0, 2, 1000);
      expect(irq.takeRises()).toBe(0);
    });

    it("come at once where programming takes OUT high", () => {
      program(0, 0, 1000);
      program(0, 2, 1000);
      expect(irq.takeRises()).toBe(1);
    });

    it("stop with a control word", () => {
      program(0, 2, 1000);
      clock.advance(10 * MILLISECOND);
      irq.takeRises();
      pit.counters.write(CONTROL, 1, 0x34);
      clock.advance(SECOND);
      expect(irq.takeRises()).toBe(0);
    });

    it("come from counter 0 only", () => {
      program(1, 2, 1000);
      program(2, 2, 1000);
      pit.port61.write(0, 1, 0x01);
      expect(clock.alarms.deadline).toBe(Number.POSITIVE_INFINITY);
    });

    it("leave the guest time to run, however short the period", () => {
      program(0, 2, 2);
      clock.advance(SECOND);
      expect(irq.takeRises()).toBeLessThan(20_000);
    });
  });

  describe("on a busy host", () => {
    let late: LateClock;
    let busy: Pit8254;

    beforeEach(() => {
      late = new LateClock();
      busy = new Pit8254({ clock: late, irq });
      irq.takeRises();
      program(0, 2, 1193, busy);
    });
    /** Interrupts within the next `milliseconds`, looked for every 50 µs. */
    const run = (milliseconds: number): number => {
      for (let i = 0; i < milliseconds * 20; i++) {
        late.pass(50 * MICROSECOND);
        late.fireDue();
      }
      return irq.takeRises();
    };

    it("makes up for a few interrupts missed, one at a time", () => {
      late.pass(5.2 * MILLISECOND);
      late.fireDue();
      expect(irq.takeRises()).toBe(1);
      expect(run(100)).toBe(4 + 100);
    });

    it("makes up for no more than eight of them", () => {
      late.pass(60 * SECOND);
      late.fireDue();
      expect(irq.takeRises()).toBe(1);
      expect(run(100)).toBe(8 + 100);
    });

    it("makes up for nothing where there is but one interrupt", () => {
      program(0, 4, 1193, busy);
      late.pass(20 * MILLISECOND);
      late.fireDue();
      expect(irq.takeRises()).toBe(1);
      expect(run(20)).toBe(0);
    });

    it("delivers what is due before it takes a control word or a new count", () => {
      late.pass(1.5 * MILLISECOND);
      program(0, 2, 1193, busy);
      expect(irq.takeRises()).toBe(1);
      late.pass(1.5 * MILLISECOND);
      busy.counters.write(0, 1, 0x00);
      expect(irq.takeRises()).toBe(1);
    });
  });

  describe("reading", () => {
    it("shows the count as time passes", () => {
      program(0, 2, 10_000);
      toTick(5001);
      expect(readCount(0)).toBe(5000);
    });

    it("latches the count until it is read", () => {
      program(0, 2, 10_000);
      toTick(1001);
      pit.counters.write(CONTROL, 1, 0x00);
      toTick(5001);
      expect(readCount(0)).toBe(9000);
      expect(readCount(0)).toBe(5000);
    });

    it("latches status and count of several counters at once", () => {
      program(0, 2, 10_000);
      program(2, 3, 20_000);
      pit.port61.write(0, 1, 0x01);
      toTick(1001);
      pit.counters.write(CONTROL, 1, 0xc0 | (1 << 1) | (1 << 3));
      expect(pit.counters.read(0, 1)).toBe(0xb4);
      expect(readCount(0)).toBe(9000);
      expect(pit.counters.read(2, 1)).toBe(0xb6);
      expect(readCount(2)).toBe(18_000);
    });

    it("latches only what the read-back command asks for", () => {
      program(0, 2, 10_000);
      toTick(1001);
      pit.counters.write(CONTROL, 1, 0xe0 | (1 << 1));
      expect(pit.counters.read(0, 1)).toBe(0xb4);
      toTick(2001);
      pit.counters.write(CONTROL, 1, 0xd0 | (1 << 1));
      toTick(3001);
      expect(readCount(0)).toBe(8000);
    });

    it("cannot read the control word", () => {
      expect(pit.counters.read(CONTROL, 1)).toBe(0xff);
    });
  });

  describe("port 0x61", () => {
    it("gates counter 2 and shows its OUT", () => {
      program(2, 0, 1000);
      clock.advance(10 * MILLISECOND);
      expect(pit.port61.read(0, 1) & 0x20).toBe(0);
      pit.port61.write(0, 1, 0x01);
      clock.advance(999 * TICK);
      expect(pit.port61.read(0, 1) & 0x20).toBe(0);
      clock.advance(3 * TICK);
      expect(pit.port61.read(0, 1) & 0x20).toBe(0x20);
    });

    it("keeps its lower four bits, and no others", () => {
      pit.port61.write(0, 1, 0xff);
      expect(pit.port61.read(0, 1) & 0xcf).toBe(0x0f);
    });

    it("toggles the refresh bit every 15 µs", () => {
      const seen = new Set<number>();
      let toggles = 0;
      let last = pit.port61.read(0, 1) & 0x10;
      for (let i = 0; i < 1000; i++) {
        clock.advance(MICROSECOND);
        const bit = pit.port61.read(0, 1) & 0x10;
        seen.add(bit);
        if (bit !== last) toggles++;
        last = bit;
      }
      expect([...seen].sort()).toEqual([0, 0x10]);
      expect(toggles).toBe(Math.floor(1000 / (18 * TICK * 1e-3)));
    });
  });

  it("sets no alarm while an edge would make no difference", () => {
    let unheard = false;
    const timer = new Pit8254({ clock, irq, unheard: () => unheard });
    program(0, 2, 1000, timer);
    unheard = true;
    toTick(1001);
    expect(irq.takeRises()).toBe(1);
    expect(clock.alarms.deadline).toBe(NEVER);
    toTick(5500);
    timer.listen();
    expect(clock.alarms.deadline).toBe(NEVER);
    unheard = false;
    timer.listen();
    expect(irq.takeRises()).toBe(0);
    toTick(6001);
    expect(irq.takeRises()).toBe(1);
    expect(timer.counters.read(0, 1)).not.toBe(0xff);
  });

  it("is quiet after reset", () => {
    program(0, 2, 1000);
    pit.port61.write(0, 1, 0x03);
    clock.advance(MILLISECOND);
    irq.takeRises();
    pit.reset();
    clock.advance(SECOND);
    expect(irq.takeRises()).toBe(0);
    expect(pit.port61.read(0, 1) & 0x0f).toBe(0);
  });

  it("lives through any access", () => {
    readWriteEverything(() => {
      const time = new VirtualClock();
      const device = new Pit8254({ clock: time, irq: new FakeIrqLine() });
      return {
        ranges: [
          [device.counters, 4],
          [device.port61, 1],
        ],
        advance: (nanoseconds) => time.advance(nanoseconds),
      };
    });
  });
});
