import { beforeEach, describe, expect, it } from "vitest";
import { MILLISECOND } from "../../../src/core/units.ts";
import { DELIVERY } from "../../../src/devices/irq/apic-message.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";
import {
  CURRENT_COUNT,
  DFR,
  DIVIDE,
  ENABLED,
  EOI,
  ESR,
  ICR_HIGH,
  ICR_LOW,
  ID,
  INITIAL_COUNT,
  IRR,
  ISR,
  LDR,
  LEVEL,
  LVT,
  LVT_ERROR,
  LVT_LINT0,
  LVT_LINT1,
  LVT_PERFORMANCE,
  LVT_THERMAL,
  LVT_TIMER,
  MASKED,
  PPR,
  Rig,
  SELF,
  SVR,
  TMR,
  TPR,
  VERSION,
} from "../../support/lapic-rig.ts";

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
  rig.write(SVR, ENABLED);
});

describe("at power-on", () => {
  it("is disabled by software, with everything masked", () => {
    const { lapic } = new Rig();
    const read = (offset: number): number => lapic.read(offset, 4);
    expect([ID, VERSION, TPR, PPR, LDR, DFR, SVR, ESR, ICR_LOW, ICR_HIGH].map(read)).toEqual([
      ...[0, 0x0005_0014, 0, 0, 0, 0xffff_ffff, 0xff, 0, 0, 0],
    ]);
    expect(LVT.map(read)).toEqual(LVT.map(() => MASKED));
    expect([INITIAL_COUNT, CURRENT_COUNT, DIVIDE].map(read)).toEqual([0, 0, 0]);
    expect(lapic.enabled).toBe(false);
  });

  it("and after a reset is the same, whatever was before", () => {
    const fresh = new Rig();
    const registers = Array.from({ length: 0x40 }, (_, slot) => slot * 0x10);
    for (const offset of registers) rig.write(offset, 0x0103_4050);
    rig.deliver({ vector: 0x61, level: true });
    rig.lapic.acknowledge();
    rig.deliver({ vector: 0x71, level: true });
    rig.lapic.reset();
    expect(registers.map((offset) => rig.read(offset))).toEqual(
      registers.map((offset) => fresh.read(offset)),
    );
    rig.clock.advance(10_000 * MILLISECOND);
    rig.write(SVR, ENABLED);
    expect(rig.lapic.pending).toBe(false);
  });

  it("is left by firmware in virtual wire mode", () => {
    rig.lapic.reset();
    rig.lapic.setFirmwareState();
    expect([SVR, LVT_LINT0, LVT_LINT1].map((offset) => rig.read(offset))).toEqual([
      ...[0x1ff, 0x8700, 0x8400],
    ]);
    expect(rig.lapic.extInt).toBe(false);
    rig.lapic.lint0.set(true);
    expect(rig.lapic.extInt).toBe(true);
    rig.lapic.lint1.set(true);
    expect(rig.nmis).toBe(1);
  });
});

describe("registers", () => {
  it.each([
    [ID, 0xff00_0000],
    [VERSION, 0x0005_0014],
    [TPR, 0xff],
    [PPR, 0],
    [LDR, 0xff00_0000],
    [DFR, 0xffff_ffff],
    [SVR, 0x3ff],
    [ICR_HIGH, 0xff00_0000],
    [LVT_TIMER, 0x3_00ff],
    [LVT_THERMAL, 0x1_07ff],
    [LVT_PERFORMANCE, 0x1_07ff],
    [LVT_LINT0, 0x1_a7ff],
    [LVT_LINT1, 0x1_a7ff],
    [LVT_ERROR, 0x1_00ff],
    [CURRENT_COUNT, 0],
    [DIVIDE, 0xb],
  ])("at %i keep of all ones what they have", (offset, expected) => {
    rig.lapic.write(offset, 4, 0xffff_ffff);
    expect(rig.read(offset)).toBe(expected);
  });

  it("keep zeros as well, and the ones of DFR that are always there", () => {
    for (const offset of [ID, TPR, LDR, SVR, ICR_HIGH, ...LVT, DIVIDE]) {
      rig.write(offset, 0xffff_ffff);
      rig.write(offset, 0);
      expect(rig.read(offset) & ~MASKED).toBe(0);
    }
    rig.write(DFR, 0);
    expect(rig.read(DFR)).toBe(0x0fff_ffff);
  });

  it("can be read and written in parts", () => {
    rig.lapic.write(LDR + 3, 1, 0x42);
    expect(rig.read(LDR)).toBe(0x4200_0000);
    expect(rig.lapic.read(VERSION + 2, 2)).toBe(5);
    rig.deliver({ vector: 0x49 });
    expect(rig.lapic.read(IRR + 0x20 + 1, 1)).toBe(0x02);
    expect(rig.lapic.read(IRR + 0x24, 4)).toBe(0);
  });

  it("that do not exist are errors, and those that do are none", () => {
    for (let offset = 0x20; offset < 0x400; offset += 0x10) rig.read(offset);
    expect(rig.errors()).toBe(0x80);
    for (const offset of [ID, VERSION, TPR, 0x90, PPR, EOI, LDR, DFR, SVR, ESR, ...LVT]) {
      rig.read(offset);
    }
    for (let offset = ISR; offset < ESR; offset += 0x10) rig.read(offset);
    expect(rig.errors()).toBe(0);
    rig.write(0x2f0, 0);
    expect(rig.errors()).toBe(0x80);
  });

  it("of the vectors cannot be written", () => {
    for (let offset = ISR; offset < ESR; offset += 0x10) rig.write(offset, 0xffff_ffff);
    for (let offset = ISR; offset < ESR; offset += 0x10) expect(rig.read(offset)).toBe(0);
  });

  it("take anything, in any size", () => {
    readWriteEverything(() => {
      const fuzzed = new Rig();
      return {
        ranges: [0, 0x100, 0x200, 0x280, 0x300].map((base) => [
          {
            read: (offset, size) => fuzzed.lapic.read(base + offset, size),
            write: (offset, size, value) => fuzzed.lapic.write(base + offset, size, value),
          },
          0x100,
        ]),
        advance: (time) => fuzzed.clock.advance(time),
      };
    });
  });
});

describe("an interrupt", () => {
  it("goes from request to service to its end", () => {
    expect(rig.deliver({ vector: 0x51 })).toBe(true);
    expect([rig.has(IRR, 0x51), rig.has(ISR, 0x51), rig.lapic.pending]).toEqual([
      true,
      false,
      true,
    ]);
    expect(rig.lapic.acknowledge()).toBe(0x51);
    expect([rig.has(IRR, 0x51), rig.has(ISR, 0x51), rig.lapic.pending]).toEqual([
      ...[false, true, false],
    ]);
    expect(rig.read(PPR)).toBe(0x50);
    rig.write(EOI, 0);
    expect([rig.has(ISR, 0x51), rig.read(PPR)]).toEqual([false, 0]);
    expect(rig.ended).toEqual([]);
  });

  it("that is level-triggered is marked so, and its end is told", () => {
    rig.deliver({ vector: 0x51, level: true });
    expect(rig.has(TMR, 0x51)).toBe(true);
    rig.lapic.acknowledge();
    expect(rig.ended).toEqual([]);
    rig.write(EOI, 0);
    expect(rig.ended).toEqual([0x51]);
  });

  it("waits for the task priority", () => {
    rig.write(TPR, 0x50);
    rig.deliver({ vector: 0x5f });
    expect(rig.lapic.pending).toBe(false);
    expect(rig.lapic.taskPriority).toBe(0x50);
    rig.lapic.taskPriority = 0x40;
    expect(rig.read(TPR)).toBe(0x40);
    expect(rig.lapic.pending).toBe(true);
  });

  it("that went away before it was acknowledged is the spurious one, without service", () => {
    rig.write(SVR, 0x1ef);
    expect(rig.lapic.acknowledge()).toBe(0xef);
    expect(rig.has(ISR, 0xef)).toBe(false);
  });

  it("with a vector below 16 is an error", () => {
    expect(rig.deliver({ vector: 15 })).toBe(false);
    expect(rig.errors()).toBe(0x40);
    expect(rig.lapic.pending).toBe(false);
    expect(rig.deliver({ vector: 16 })).toBe(true);
    expect(rig.drain()).toEqual([16]);
  });

  it("does not come while software has the APIC disabled, and waits if it was there", () => {
    rig.deliver({ vector: 0x51 });
    rig.write(SVR, 0xff);
    expect(rig.lapic.pending).toBe(false);
    expect(rig.deliver({ vector: 0x61 })).toBe(false);
    rig.write(SVR, ENABLED);
    expect(rig.drain()).toEqual([0x51]);
  });
});

describe("a message", () => {
  it("reaches this APIC by its ID, by broadcast, and not by another ID", () => {
    rig.write(ID, 0x0300_0000);
    expect(rig.deliver({ destination: 3 })).toBe(true);
    expect(rig.deliver({ destination: 0xff })).toBe(true);
    expect(rig.deliver({ destination: 0 })).toBe(false);
  });

  it("reaches it by a bit of its logical ID in the flat model", () => {
    rig.write(LDR, 0x0600_0000);
    expect(rig.deliver({ logical: true, destination: 0x02 })).toBe(true);
    expect(rig.deliver({ logical: true, destination: 0x0c })).toBe(true);
    expect(rig.deliver({ logical: true, destination: 0xf9 })).toBe(false);
    expect(rig.deliver({ logical: true, destination: 0xff })).toBe(true);
  });

  it("reaches it by cluster and bit in the cluster model", () => {
    rig.write(DFR, 0);
    rig.write(LDR, 0x3200_0000);
    expect(rig.deliver({ logical: true, destination: 0x32 })).toBe(true);
    expect(rig.deliver({ logical: true, destination: 0x3f })).toBe(true);
    expect(rig.deliver({ logical: true, destination: 0xf2 })).toBe(true);
    expect(rig.deliver({ logical: true, destination: 0x3d })).toBe(false);
    expect(rig.deliver({ logical: true, destination: 0x22 })).toBe(false);
  });

  it("of lowest priority is for the only processor there is", () => {
    expect(rig.deliver({ mode: DELIVERY.LOWEST_PRIORITY, vector: 0x77 })).toBe(true);
    expect(rig.drain()).toEqual([0x77]);
  });

  it("with an NMI needs neither vector nor enabled APIC", () => {
    rig.write(SVR, 0xff);
    expect(rig.deliver({ mode: DELIVERY.NMI, vector: 0 })).toBe(true);
    expect(rig.nmis).toBe(1);
    expect(rig.errors()).toBe(0);
  });

  it.each(["SMI", "INIT", "STARTUP", "EXTINT"] as const)("with %s does nothing", (mode) => {
    expect(rig.deliver({ mode: DELIVERY[mode] })).toBe(false);
    expect([rig.lapic.pending, rig.nmis]).toEqual([false, 0]);
  });
});

describe("the command register", () => {
  it("sends to itself by shorthand", () => {
    rig.write(ICR_LOW, SELF | 0x41);
    rig.write(ICR_LOW, (2 << 18) | 0x42);
    rig.write(ICR_LOW, (3 << 18) | 0x43);
    expect(rig.drain()).toEqual([0x42, 0x41]);
  });

  it("sends to itself by physical and logical destination", () => {
    rig.write(ICR_HIGH, 0);
    rig.write(ICR_LOW, 0x41);
    rig.write(LDR, 0x0100_0000);
    rig.write(ICR_HIGH, 0x0100_0000);
    rig.write(ICR_LOW, 0x842);
    expect(rig.drain()).toEqual([0x42, 0x41]);
  });

  it("sends to others in vain, and is idle at once", () => {
    rig.write(ICR_HIGH, 0x0100_0000);
    rig.write(ICR_LOW, 0x41);
    expect([rig.drain(), rig.errors()]).toEqual([[], 0]);
    expect([rig.read(ICR_LOW), rig.read(ICR_HIGH)]).toEqual([0x41, 0x0100_0000]);
  });

  it("starts no processor: INIT and start-up do nothing, not even to itself", () => {
    for (const destination of [1, 0xff, 0]) {
      rig.write(ICR_HIGH, destination << 24);
      for (const command of [0xc500, 0x8500, 0x4608, 0x4608]) rig.write(ICR_LOW, command);
    }
    expect([rig.lapic.pending, rig.nmis, rig.errors()]).toEqual([false, 0, 0]);
    expect(rig.read(ICR_LOW) & 0x1000).toBe(0);
  });

  it("sends itself an NMI", () => {
    rig.write(ICR_LOW, 0x4400);
    expect(rig.nmis).toBe(1);
  });

  it("does not send vectors below 16", () => {
    rig.write(ICR_LOW, SELF | 0x0f);
    expect(rig.errors()).toBe(0x60);
    rig.write(ICR_HIGH, 0x0100_0000);
    rig.write(ICR_LOW, 0x05);
    expect(rig.errors()).toBe(0x20);
    expect(rig.lapic.pending).toBe(false);
  });

  it("sends edges, whatever its trigger mode says", () => {
    rig.write(ICR_LOW, SELF | LEVEL | 0x4041);
    expect(rig.has(TMR, 0x41)).toBe(false);
  });
});

describe("errors", () => {
  it("show after a write, and are gone after two", () => {
    rig.deliver({ vector: 1 });
    expect(rig.read(ESR)).toBe(0);
    rig.write(ESR, 0xffff_ffff);
    expect(rig.read(ESR)).toBe(0x40);
    expect(rig.read(ESR)).toBe(0x40);
    rig.write(ESR, 0);
    expect(rig.read(ESR)).toBe(0);
  });

  it("interrupt once until they are read", () => {
    rig.write(LVT_ERROR, 0xfe);
    rig.deliver({ vector: 1 });
    rig.read(0);
    expect(rig.drain()).toEqual([0xfe]);
    rig.deliver({ vector: 1 });
    expect(rig.drain()).toEqual([]);
    expect(rig.errors()).toBe(0xc0);
    rig.deliver({ vector: 1 });
    expect(rig.drain()).toEqual([0xfe]);
  });

  it("with a wrong vector of their own are one more error, and no more", () => {
    rig.write(LVT_ERROR, 3);
    rig.read(0);
    expect(rig.errors()).toBe(0xc0);
  });
});
