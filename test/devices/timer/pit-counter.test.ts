import { describe, expect, it } from "vitest";
import { PitCounter } from "../../../src/devices/timer/pit-counter.ts";

const ACCESS = { lsb: 1, msb: 2, both: 3 } as const;

interface Setup {
  readonly mode: number;
  readonly count?: number;
  readonly access?: keyof typeof ACCESS;
  readonly bcd?: boolean;
  readonly gate?: boolean;
}

const writeCount = (counter: PitCounter, count: number, now: number): void => {
  counter.write(count & 0xff, now);
  counter.write((count >> 8) & 0xff, now);
};

/** A counter that got its control word and count at tick 0. */
const programmed = ({ mode, count, access = "both", bcd = false, gate = true }: Setup) => {
  const counter = new PitCounter(gate);
  counter.control((ACCESS[access] << 4) | (mode << 1) | (bcd ? 1 : 0));
  if (count !== undefined) writeCount(counter, count, 0);
  return counter;
};

/** OUT over ticks `from` to `to`, as `1` and `0`. */
const outs = (counter: PitCounter, from: number, to: number): string => {
  let levels = "";
  for (let tick = from; tick <= to; tick++) levels += counter.out(tick) ? "1" : "0";
  return levels;
};

const readCount = (counter: PitCounter, now: number): number =>
  counter.read(now) | (counter.read(now) << 8);

const counts = (counter: PitCounter, from: number, to: number): number[] => {
  const values: number[] = [];
  for (let tick = from; tick <= to; tick++) values.push(readCount(counter, tick));
  return values;
};

const status = (counter: PitCounter, now: number): number => {
  counter.latchStatus(now);
  return counter.read(now);
};

describe("8254 counter", () => {
  describe("mode 0, interrupt on terminal count", () => {
    it("takes OUT high n + 1 ticks after the count was written, and leaves it there", () => {
      const counter = programmed({ mode: 0, count: 4 });
      expect(outs(counter, 0, 9)).toBe("0000011111");
      expect(counts(counter, 1, 7)).toEqual([4, 3, 2, 1, 0, 0xffff, 0xfffe]);
      expect(counter.nextRise(0)).toBe(5);
      expect(counter.nextRise(5)).toBe(Number.POSITIVE_INFINITY);
    });

    it("starts again with a new count", () => {
      const counter = programmed({ mode: 0, count: 4 });
      expect(counter.out(10)).toBe(true);
      writeCount(counter, 3, 10);
      expect(outs(counter, 10, 15)).toBe("000011");
    });

    it("stops at the first byte of a new count, with OUT low", () => {
      const counter = programmed({ mode: 0, count: 4 });
      counter.write(2, 10);
      expect(outs(counter, 10, 30)).not.toContain("1");
      expect(counter.nextRise(10)).toBe(Number.POSITIVE_INFINITY);
      counter.write(0, 40);
      expect(outs(counter, 40, 44)).toBe("00011");
    });

    it("counts only while GATE is high", () => {
      const counter = programmed({ mode: 0, count: 4 });
      counter.setGate(false, 3);
      expect(counts(counter, 3, 6)).toEqual([2, 2, 2, 2]);
      counter.setGate(true, 10);
      expect(counts(counter, 10, 12)).toEqual([2, 1, 0]);
      expect(outs(counter, 10, 13)).toBe("0011");
    });

    it("loads a count written while GATE is low", () => {
      const counter = programmed({ mode: 0, count: 4, gate: false });
      expect(readCount(counter, 50)).toBe(4);
      counter.setGate(true, 100);
      expect(outs(counter, 100, 105)).toBe("000011");
    });
  });

  describe("mode 1, hardware retriggerable one-shot", () => {
    it("keeps OUT low for the count after a trigger", () => {
      const counter = programmed({ mode: 1, count: 3, gate: false });
      expect(outs(counter, 0, 5)).toBe("111111");
      counter.setGate(true, 10);
      expect(outs(counter, 11, 16)).toBe("000111");
      expect(counter.nextRise(10)).toBe(14);
    });

    it("does nothing at a trigger before it has a count", () => {
      const counter = programmed({ mode: 1, gate: false });
      counter.setGate(true, 10);
      expect(outs(counter, 10, 20)).not.toContain("0");
      expect(status(counter, 20) & 0x40).toBe(0x40);
    });

    it("is prolonged by another trigger, not by GATE falling", () => {
      const counter = programmed({ mode: 1, count: 3, gate: false });
      counter.setGate(true, 10);
      counter.setGate(false, 11);
      counter.setGate(true, 12);
      expect(outs(counter, 11, 17)).toBe("0000011");
      counter.setGate(false, 18);
      counter.setGate(true, 20);
      counter.setGate(false, 21);
      expect(outs(counter, 21, 25)).toBe("00011");
    });

    it("takes a new count with the next trigger only", () => {
      const counter = programmed({ mode: 1, count: 3, gate: false });
      counter.setGate(true, 10);
      writeCount(counter, 5, 11);
      expect(status(counter, 11) & 0x40).toBe(0x40);
      expect(outs(counter, 11, 14)).toBe("0001");
      counter.setGate(false, 20);
      counter.setGate(true, 21);
      expect(outs(counter, 22, 27)).toBe("000001");
      expect(status(counter, 22) & 0x40).toBe(0);
    });
  });

  describe("mode 2, rate generator", () => {
    it("takes OUT low for the last tick of each period", () => {
      const counter = programmed({ mode: 2, count: 4 });
      expect(outs(counter, 0, 12)).toBe("1111011101110");
      expect(counts(counter, 1, 6)).toEqual([4, 3, 2, 1, 4, 3]);
      expect([0, 4, 5, 8].map((tick) => counter.nextRise(tick))).toEqual([5, 5, 9, 9]);
    });

    it("takes a new count at the end of the period", () => {
      const counter = programmed({ mode: 2, count: 4 });
      writeCount(counter, 2, 2);
      expect(status(counter, 2) & 0x40).toBe(0x40);
      expect(outs(counter, 0, 9)).toBe("1111010101");
      expect(status(counter, 9) & 0x40).toBe(0);
    });

    it("stops with OUT high while GATE is low, and begins anew when it rises", () => {
      const counter = programmed({ mode: 2, count: 4 });
      expect(counter.out(4)).toBe(false);
      counter.setGate(false, 4);
      expect(outs(counter, 4, 9)).toBe("111111");
      expect(counter.nextRise(4)).toBe(Number.POSITIVE_INFINITY);
      counter.setGate(true, 10);
      expect(outs(counter, 10, 15)).toBe("111101");
      expect(counter.nextRise(10)).toBe(15);
    });

    it("takes 0 for 65536", () => {
      const counter = programmed({ mode: 2, count: 0 });
      expect(readCount(counter, 1)).toBe(0);
      expect(readCount(counter, 2)).toBe(0xffff);
      expect(counter.nextRise(1)).toBe(65_537);
    });

    it("does nothing with the count of 1, which is not allowed", () => {
      expect(programmed({ mode: 2, count: 1 }).nextRise(5)).toBe(Number.POSITIVE_INFINITY);
    });
  });

  describe("mode 3, square wave", () => {
    it("is high and low for halves of an even count, counting by two", () => {
      const counter = programmed({ mode: 3, count: 4 });
      expect(outs(counter, 1, 9)).toBe("110011001");
      expect(counts(counter, 1, 6)).toEqual([4, 2, 4, 2, 4, 2]);
      expect([0, 1, 5].map((tick) => counter.nextRise(tick))).toEqual([5, 5, 9]);
    });

    it("is high for one tick longer than low with an odd count", () => {
      const counter = programmed({ mode: 3, count: 5 });
      expect(outs(counter, 1, 11)).toBe("11100111001");
      expect(counts(counter, 1, 6)).toEqual([4, 2, 0, 4, 2, 4]);
    });

    it("takes a new count at the end of the half period", () => {
      const inHighHalf = programmed({ mode: 3, count: 8 });
      writeCount(inHighHalf, 4, 2);
      expect(inHighHalf.nextRise(2)).toBe(7);
      expect(outs(inHighHalf, 1, 10)).toBe("1111001100");
      const inLowHalf = programmed({ mode: 3, count: 8 });
      writeCount(inLowHalf, 4, 6);
      expect(inLowHalf.nextRise(6)).toBe(9);
      expect(outs(inLowHalf, 6, 13)).toBe("00011001");
      const atMiddle = programmed({ mode: 3, count: 8 });
      writeCount(atMiddle, 4, 5);
      expect(outs(atMiddle, 5, 13)).toBe("000011001");
    });

    it("stops with OUT high while GATE is low, and begins anew when it rises", () => {
      const counter = programmed({ mode: 3, count: 4 });
      expect(counter.out(3)).toBe(false);
      counter.setGate(false, 3);
      expect(outs(counter, 3, 9)).toBe("1111111");
      counter.setGate(true, 10);
      expect(outs(counter, 10, 15)).toBe("111001");
    });
  });

  describe("mode 4, software triggered strobe", () => {
    it("takes OUT low for one tick, once", () => {
      const counter = programmed({ mode: 4, count: 3 });
      expect(outs(counter, 0, 8)).toBe("111101111");
      expect(counter.nextRise(0)).toBe(5);
      expect(counter.nextRise(5)).toBe(Number.POSITIVE_INFINITY);
      expect(outs(counter, 65_530, 65_550)).not.toContain("0");
    });

    it("goes on counting at the first byte of a new count, and starts again with the second", () => {
      const counter = programmed({ mode: 4, count: 3 });
      counter.write(2, 2);
      expect(counter.out(4)).toBe(false);
      counter.write(0, 6);
      expect(outs(counter, 6, 10)).toBe("11101");
    });
  });

  it("strobes after a trigger in mode 5", () => {
    const counter = programmed({ mode: 5, count: 3, gate: false });
    expect(outs(counter, 0, 9)).not.toContain("0");
    counter.setGate(true, 10);
    expect(outs(counter, 10, 16)).toBe("1111011");
    expect(counter.nextRise(10)).toBe(15);
  });

  it("takes modes 6 and 7 for 2 and 3", () => {
    expect(status(programmed({ mode: 6, count: 9 }), 5) & 0x0e).toBe(2 << 1);
    expect(status(programmed({ mode: 7, count: 9 }), 5) & 0x0e).toBe(3 << 1);
  });

  describe("BCD", () => {
    it("counts in decimal digits", () => {
      const counter = programmed({ mode: 2, count: 0x1000, bcd: true });
      expect(counts(counter, 1, 3)).toEqual([0x1000, 0x0999, 0x0998]);
      expect(counter.nextRise(1)).toBe(1001);
    });

    it("takes 0 for 10000, and goes on from 0 to 9999", () => {
      expect(programmed({ mode: 2, count: 0, bcd: true }).nextRise(1)).toBe(10_001);
      expect(counts(programmed({ mode: 0, count: 1, bcd: true }), 1, 3)).toEqual([1, 0, 0x9999]);
    });
  });

  describe("access", () => {
    it("writes and reads one byte where the control word says so", () => {
      const low = programmed({ mode: 2, access: "lsb" });
      low.write(0x80, 0);
      expect([low.read(1), low.read(2)]).toEqual([0x80, 0x7f]);
      const high = programmed({ mode: 2, access: "msb" });
      high.write(0x80, 0);
      expect([high.read(1), high.read(2)]).toEqual([0x80, 0x7f]);
    });

    it("reads zero before a count is loaded", () => {
      expect(readCount(programmed({ mode: 2 }), 100)).toBe(0);
    });
  });

  describe("latches", () => {
    it("holds the count until it is read", () => {
      const counter = programmed({ mode: 2, count: 1000 });
      counter.latchCount(1);
      counter.latchCount(200);
      expect(readCount(counter, 500)).toBe(1000);
      expect(readCount(counter, 501)).toBe(500);
    });

    it("holds the status until it is read, before the count", () => {
      const counter = programmed({ mode: 2, count: 1000 });
      counter.latchCount(1);
      counter.latchStatus(1);
      expect(counter.read(7)).toBe(0x80 | 0x30 | 0x04);
      expect(readCount(counter, 9)).toBe(1000);
    });

    it("is dropped by a control word", () => {
      const counter = programmed({ mode: 2, count: 1000 });
      counter.latchCount(1);
      counter.latchStatus(1);
      counter.control(0x34);
      expect(readCount(counter, 5)).toBe(0);
    });

    it("reports a null count until the count is loaded", () => {
      const counter = programmed({ mode: 0, bcd: true });
      expect(status(counter, 0)).toBe(0x71);
      counter.write(5, 0);
      expect(status(counter, 1)).toBe(0x71);
      counter.write(0, 1);
      expect(status(counter, 1)).toBe(0x71);
      expect(status(counter, 2)).toBe(0x31);
      expect(status(counter, 100)).toBe(0xb1);
    });
  });
});
