import { beforeEach, describe, expect, it } from "vitest";
import { ataGeometry } from "../../../src/core/ata-geometry.ts";
import { VirtualClock } from "../../../src/core/clock.ts";
import { GIB, MIB, MICROSECOND, MILLISECOND, SECOND } from "../../../src/core/units.ts";
import { Mc146818 } from "../../../src/devices/rtc/mc146818.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";
import { FakeIrqLine } from "../../support/fake-irq-line.ts";
import { LateClock } from "../../support/late-clock.ts";

const [SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR] = [0, 2, 4, 7, 8, 9];
const [A, B, C, D, CENTURY] = [0x0a, 0x0b, 0x0c, 0x0d, 0x32];
const START = Date.parse("2024-05-06T12:30:45Z") * 1e6;

describe("real-time clock", () => {
  let clock: VirtualClock;
  let irq: FakeIrqLine;
  let rtc: Mc146818;

  beforeEach(() => {
    clock = new VirtualClock(START);
    irq = new FakeIrqLine();
    rtc = new Mc146818({ clock, irq, memoryBytes: 512 * MIB });
  });

  const read = (index: number): number => {
    rtc.write(0, 1, index);
    return rtc.read(1, 1);
  };
  const write = (index: number, value: number): void => {
    rtc.write(0, 1, index);
    rtc.write(1, 1, value);
  };
  const time = (): string =>
    [CENTURY, YEAR, MONTH, DAY, HOURS, MINUTES, SECONDS]
      .map((index) => read(index).toString(16).padStart(2, "0"))
      .join(" ");

  it("tells the host's civil time in BCD and 24 hours", () => {
    expect(time()).toBe("20 24 05 06 12 30 45");
    clock.advance(15 * SECOND);
    expect(time()).toBe("20 24 05 06 12 31 00");
  });

  it("tells it in binary and 12 hours when register B says so", () => {
    write(B, 0x04);
    clock.advance(3600 * SECOND);
    expect([read(HOURS), read(MINUTES), read(SECONDS)]).toEqual([0x81, 30, 45]);
  });

  it("ignores the NMI mask in the index, which cannot be read", () => {
    expect(read(0x80 | D)).toBe(0x80);
    expect(rtc.read(0, 1)).toBe(0xff);
  });

  it("takes index and value in one word", () => {
    rtc.write(0, 2, 0x5a40);
    expect(read(0x40)).toBe(0x5a);
  });

  it("powers on as a BIOS leaves it", () => {
    expect([read(A), read(B), read(C), read(D)]).toEqual([0x26, 0x02, 0x00, 0x80]);
  });

  it("announces an update 2.2 ms before the second changes", () => {
    clock.advance(SECOND - 2229 * MICROSECOND);
    expect(read(A)).toBe(0x26);
    clock.advance(2 * MICROSECOND);
    expect(read(A)).toBe(0xa6);
    expect(read(SECONDS)).toBe(0x45);
    clock.advance(2227 * MICROSECOND);
    expect(read(A)).toBe(0x26);
    expect(read(SECONDS)).toBe(0x46);
  });

  describe("setting the time", () => {
    const set = (values: readonly (readonly [number, number])[]): void => {
      for (const [index, value] of values) write(index, value);
    };

    it("stops the clock while SET is up, and goes on from the bytes written", () => {
      write(B, 0x82);
      clock.advance(10 * SECOND);
      expect(time()).toBe("20 24 05 06 12 30 45");
      expect(read(A) & 0x80).toBe(0);
      set([
        [CENTURY, 0x19],
        [YEAR, 0x99],
        [MONTH, 0x12],
        [DAY, 0x31],
        [HOURS, 0x23],
        [MINUTES, 0x59],
        [SECONDS, 0x59],
      ]);
      write(B, 0x02);
      expect(time()).toBe("19 99 12 31 23 59 59");
      clock.advance(SECOND);
      expect(time()).toBe("20 00 01 01 00 00 00");
    });

    it("keeps the beat of the seconds", () => {
      clock.advance(700 * MILLISECOND);
      write(B, 0x82);
      write(SECONDS, 0x10);
      write(B, 0x02);
      clock.advance(299 * MILLISECOND);
      expect(read(SECONDS)).toBe(0x10);
      clock.advance(2 * MILLISECOND);
      expect(read(SECONDS)).toBe(0x11);
    });

    it("starts half a second before the next one after the divider was reset", () => {
      clock.advance(700 * MILLISECOND);
      write(B, 0x82);
      write(A, 0x76);
      write(SECONDS, 0x10);
      write(B, 0x02);
      clock.advance(5 * SECOND);
      expect(read(SECONDS)).toBe(0x10);
      write(A, 0x26);
      clock.advance(499 * MILLISECOND);
      expect(read(SECONDS)).toBe(0x10);
      clock.advance(2 * MILLISECOND);
      expect(read(SECONDS)).toBe(0x11);
    });

    it("works without SET too", () => {
      write(HOURS, 0x03);
      expect(time()).toBe("20 24 05 06 03 30 45");
      write(CENTURY, 0x21);
      write(YEAR, 0x25);
      clock.advance(SECOND);
      expect(time()).toBe("21 25 05 06 03 30 46");
    });

    it("takes the bytes in the format that holds when it ends", () => {
      write(B, 0x80);
      set([
        [HOURS, 0x8b],
        [MINUTES, 10],
        [SECONDS, 20],
        [DAY, 3],
        [MONTH, 2],
        [YEAR, 1],
        [CENTURY, 20],
      ]);
      write(B, 0x04);
      expect([read(HOURS), read(MINUTES), read(SECONDS)]).toEqual([0x8b, 10, 20]);
      write(B, 0x02);
      expect(time()).toBe("20 01 02 03 23 10 20");
    });

    it("outlasts a reset", () => {
      write(HOURS, 0x03);
      rtc.reset();
      expect(read(HOURS)).toBe(0x03);
    });
  });

  describe("periodic interrupt", () => {
    it("is not lost when the next is due while register C is read", () => {
      let hurry = 0;
      class PassingClock extends LateClock {
        override wall(): number {
          this.pass(hurry);
          return super.wall();
        }
      }
      const passing = new PassingClock();
      rtc = new Mc146818({ clock: passing, irq, memoryBytes: 512 * MIB });
      write(B, 0x42);
      passing.pass(MILLISECOND);
      passing.fireDue();
      expect(irq.takeRises()).toBe(1);
      // A busy host: a period goes by between any two looks at the clock.
      hurry = MILLISECOND;
      expect(read(C)).toBe(0xc0);
      hurry = 0;
      passing.fireDue();
      expect([irq.takeRises(), irq.level]).toEqual([1, true]);
    });

    it("comes at the rate of register A, as long as the guest answers", () => {
      write(A, 0x26);
      write(B, 0x42);
      clock.advance(10 * MICROSECOND);
      let answered = 0;
      for (let i = 0; i < 10_000; i++) {
        clock.advance(100 * MICROSECOND);
        if (irq.level) {
          expect(read(C) & 0xc0).toBe(0xc0);
          answered++;
        }
        expect(irq.level).toBe(false);
      }
      expect(answered).toBe(1024);
    });

    it("comes once if nobody answers", () => {
      write(B, 0x42);
      clock.advance(10 * SECOND);
      expect(irq.rises).toBe(1);
      expect(irq.level).toBe(true);
      expect(read(C) & 0xc0).toBe(0xc0);
      expect(irq.level).toBe(false);
    });

    it("sets an alarm for the time it comes, and none while it waits for an answer", () => {
      write(A, 0x2f);
      write(B, 0x42);
      expect(clock.alarms.deadline).toBe(SECOND / 2);
      clock.advance(SECOND / 2);
      expect(clock.alarms.deadline).toBe(Number.POSITIVE_INFINITY);
      read(C);
      expect(clock.alarms.deadline).toBe(SECOND);
    });

    it("knows the slowest and the fastest rates, and none", () => {
      const flags = (rate: number, after: number): number => {
        write(A, 0x20 | rate);
        clock.advance(SECOND - (clock.now() % SECOND));
        read(C);
        clock.advance(after);
        return read(C) & 0x40;
      };
      expect([flags(15, 499 * MILLISECOND), flags(15, 501 * MILLISECOND)]).toEqual([0, 0x40]);
      expect([flags(3, 121 * MICROSECOND), flags(3, 123 * MICROSECOND)]).toEqual([0, 0x40]);
      expect([flags(1, 3.9 * MILLISECOND), flags(1, 4 * MILLISECOND)]).toEqual([0, 0x40]);
      expect([flags(2, 7.8 * MILLISECOND), flags(2, 7.9 * MILLISECOND)]).toEqual([0, 0x40]);
      expect(flags(0, SECOND - 1)).toBe(0);
    });

    it("stops while the divider is in reset", () => {
      write(A, 0x66);
      write(B, 0x42);
      clock.advance(10 * SECOND);
      expect(irq.rises).toBe(0);
    });
  });

  it("interrupts when an update has ended", () => {
    write(A, 0x20);
    write(B, 0x12);
    clock.advance(999 * MILLISECOND);
    expect(irq.level).toBe(false);
    clock.advance(MILLISECOND);
    expect(irq.level).toBe(true);
    expect(read(C)).toBe(0x90);
    expect(read(C)).toBe(0x00);
    clock.advance(SECOND);
    expect(irq.rises).toBe(2);
  });

  it("interrupts at the alarm", () => {
    write(A, 0x20);
    write(1, 0x00);
    write(3, 0x31);
    write(5, 0x12);
    write(B, 0x22);
    clock.advance(14.9 * SECOND);
    expect(irq.level).toBe(false);
    clock.advance(SECOND / 10);
    expect(irq.level).toBe(true);
    expect(read(C)).toBe(0xb0);
    clock.advance(86_399 * SECOND);
    expect(irq.level).toBe(false);
    clock.advance(SECOND);
    expect(irq.level).toBe(true);
  });

  it("sets flags that are not enabled, for guests that poll", () => {
    write(1, 0xff);
    write(3, 0xff);
    write(5, 0xff);
    read(C);
    clock.advance(SECOND);
    expect(read(C)).toBe(0x70);
    expect(irq.rises).toBe(0);
  });

  it("interrupts for a flag that was there before it was enabled", () => {
    clock.advance(SECOND);
    write(B, 0x12);
    expect(irq.level).toBe(true);
  });

  it("drops interrupts and their enable bits at reset", () => {
    write(B, 0x72);
    clock.advance(SECOND);
    rtc.reset();
    expect([irq.level, read(B), read(C)]).toEqual([false, 0x02, 0]);
    clock.advance(10 * SECOND);
    expect(irq.level).toBe(false);
  });

  describe("memory", () => {
    const word = (index: number): number => read(index) | (read(index + 1) << 8);

    it("tells how much RAM there is", () => {
      expect([word(0x15), word(0x17), word(0x30), word(0x34)]).toEqual([640, 65535, 65535, 7936]);
      rtc = new Mc146818({ clock, irq, memoryBytes: 8 * MIB });
      expect([word(0x15), word(0x17), word(0x30), word(0x34)]).toEqual([640, 7168, 7168, 0]);
      rtc = new Mc146818({ clock, irq, memoryBytes: 3 * GIB });
      expect(word(0x34)).toBe((3 * GIB - 16 * MIB) / 65536);
    });

    it("tells what hard disks there are, by a type that is described here", () => {
      expect([read(0x12), read(0x19)]).toEqual([0, 0]);
      const hardDisks = [ataGeometry(120 * 16 * 63 * 512), ataGeometry(2048 * 16 * 63 * 512)];
      rtc = new Mc146818({ clock, irq, memoryBytes: 8 * MIB, hardDisks });
      expect([read(0x12), read(0x19), read(0x1a)]).toEqual([0xff, 47, 47]);
      const bytes = Array.from({ length: 18 }, (_, i) => read(0x1b + i));
      expect(bytes).toEqual([
        ...[120, 0, 16, 0xff, 0xff, 0xc8, 120, 0, 63],
        ...[0, 8, 16, 0xff, 0xff, 0xc8, 0, 8, 63],
      ]);
    });

    it("has a valid checksum", () => {
      let sum = 0;
      for (let index = 0x10; index <= 0x2d; index++) sum += read(index);
      expect((read(0x2e) << 8) | read(0x2f)).toBe(sum);
    });

    it("keeps what is written, over a reset too", () => {
      write(0x7f, 0xa5);
      rtc.reset();
      expect(read(0x7f)).toBe(0xa5);
    });

    it("does not let flags and validity be written", () => {
      write(C, 0xff);
      write(D, 0x00);
      expect([read(C), read(D)]).toEqual([0, 0x80]);
    });
  });

  it("lives through any access", () => {
    readWriteEverything(() => {
      const own = new VirtualClock(START);
      const device = new Mc146818({ clock: own, irq: new FakeIrqLine(), memoryBytes: 64 * MIB });
      return { ranges: [[device, 2]], advance: (nanoseconds) => own.advance(nanoseconds * 100) };
    });
  });

  it("lives through any time and any alarm", () => {
    readWriteEverything(() => {
      const own = new VirtualClock(START);
      const device = new Mc146818({ clock: own, irq: new FakeIrqLine(), memoryBytes: 64 * MIB });
      /** The first 14 registers side by side. */
      const registers = {
        read: (offset: number): number => {
          device.write(0, 1, offset);
          return device.read(1, 1);
        },
        write: (offset: number, _size: number, value: number): void => {
          device.write(0, 2, offset | ((value & 0xff) << 8));
        },
      };
      return {
        ranges: [[registers, 14]],
        advance: (nanoseconds) => own.advance(nanoseconds * 100),
      };
    });
  });
});
