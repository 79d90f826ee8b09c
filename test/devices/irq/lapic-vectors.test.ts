import { beforeEach, describe, expect, it } from "vitest";
import { MILLISECOND } from "../../../src/core/units.ts";
import { DELIVERY } from "../../../src/devices/irq/apic-message.ts";
import {
  CURRENT_COUNT,
  DIVIDE,
  ENABLED,
  EOI,
  INITIAL_COUNT,
  LEVEL,
  LVT,
  LVT_LINT0,
  LVT_LINT1,
  LVT_TIMER,
  MASKED,
  REMOTE_IRR,
  Rig,
  SVR,
} from "../../support/lapic-rig.ts";

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
  rig.write(SVR, ENABLED);
});

describe("the local vectors", () => {
  it("stay masked while software has the APIC disabled", () => {
    rig.write(LVT_LINT0, 0x700);
    rig.write(SVR, 0xff);
    expect(LVT.map((offset) => rig.read(offset) & MASKED)).toEqual(LVT.map(() => MASKED));
    rig.write(LVT_LINT0, 0x700);
    expect(rig.read(LVT_LINT0)).toBe(MASKED | 0x700);
    rig.write(SVR, ENABLED);
    expect(rig.read(LVT_LINT0)).toBe(MASKED | 0x700);
    rig.write(LVT_LINT0, 0x700);
    expect(rig.read(LVT_LINT0)).toBe(0x700);
  });

  it("of the timer interrupt at its expiry", () => {
    rig.write(DIVIDE, 0xb);
    rig.write(LVT_TIMER, 0xec);
    rig.write(INITIAL_COUNT, 1000);
    rig.clock.advance(400);
    expect(rig.read(CURRENT_COUNT)).toBe(600);
    expect(rig.lapic.pending).toBe(false);
    rig.clock.advance(600);
    expect(rig.drain()).toEqual([0xec]);
    rig.clock.advance(MILLISECOND);
    expect(rig.drain()).toEqual([]);
  });

  it("of the timer repeat in periodic mode, until they are masked", () => {
    rig.write(DIVIDE, 0xb);
    rig.write(LVT_TIMER, 0x2_00ec);
    rig.write(INITIAL_COUNT, MILLISECOND);
    for (let tick = 0; tick < 3; tick++) {
      rig.clock.advance(MILLISECOND);
      expect(rig.drain()).toEqual([0xec]);
    }
    rig.write(SVR, 0xff);
    rig.clock.advance(MILLISECOND);
    rig.write(SVR, ENABLED);
    rig.clock.advance(MILLISECOND);
    expect(rig.drain()).toEqual([]);
    rig.write(LVT_TIMER, 0x2_00ed);
    rig.clock.advance(MILLISECOND);
    expect(rig.drain()).toEqual([0xed]);
  });

  it("of a pin interrupt at its rising edge", () => {
    const { lint0, lint1 } = rig.lapic;
    rig.write(LVT_LINT0, 0x61);
    rig.write(LVT_LINT1, 0x71);
    lint0.set(true);
    lint0.set(true);
    lint1.set(true);
    expect(rig.drain()).toEqual([0x71, 0x61]);
    lint0.set(false);
    lint1.set(false);
    expect(rig.drain()).toEqual([]);
    lint0.set(true);
    expect(rig.drain()).toEqual([0x61]);
  });

  it("of a level-triggered pin interrupt until it is low", () => {
    const { lint0 } = rig.lapic;
    rig.write(LVT_LINT0, LEVEL | 0x61);
    lint0.set(true);
    expect(rig.read(LVT_LINT0)).toBe(LEVEL | REMOTE_IRR | 0x61);
    expect(rig.lapic.acknowledge()).toBe(0x61);
    rig.write(EOI, 0);
    expect(rig.lapic.acknowledge()).toBe(0x61);
    lint0.set(false);
    expect(rig.read(LVT_LINT0)).toBe(LEVEL | REMOTE_IRR | 0x61);
    rig.write(EOI, 0);
    expect(rig.read(LVT_LINT0)).toBe(LEVEL | 0x61);
    expect(rig.lapic.pending).toBe(false);
  });

  it("of a level-triggered pin that is high interrupt when they are unmasked", () => {
    const { lint0 } = rig.lapic;
    lint0.set(true);
    rig.write(LVT_LINT0, LEVEL | MASKED | 0x61);
    expect(rig.lapic.pending).toBe(false);
    rig.write(LVT_LINT0, LEVEL | 0x61);
    expect(rig.lapic.pending).toBe(true);
    rig.write(LVT_LINT0, 0x61);
    expect(rig.read(LVT_LINT0)).toBe(0x61);
  });

  it("of a masked pin lose its edges", () => {
    rig.lapic.lint0.set(true);
    rig.write(LVT_LINT0, 0x61);
    expect(rig.lapic.pending).toBe(false);
  });

  it("of a pin pass on an external controller's request, as long as it is there", () => {
    const { lint0, lint1 } = rig.lapic;
    rig.write(LVT_LINT0, 0x700);
    lint0.set(true);
    expect(rig.lapic.extInt).toBe(true);
    expect(rig.lapic.pending).toBe(false);
    rig.write(LVT_LINT0, MASKED | 0x700);
    expect(rig.lapic.extInt).toBe(false);
    rig.write(LVT_LINT0, 0x700);
    expect(rig.lapic.extInt).toBe(true);
    lint0.set(false);
    expect(rig.lapic.extInt).toBe(false);
    rig.write(LVT_LINT1, 0x700);
    lint1.set(true);
    expect(rig.lapic.extInt).toBe(true);
  });

  it("of a pin can be NMIs; SMI and INIT do nothing", () => {
    const { lint1 } = rig.lapic;
    for (const mode of [DELIVERY.NMI, DELIVERY.SMI, DELIVERY.INIT]) {
      rig.write(LVT_LINT1, mode << 8);
      lint1.set(true);
      lint1.set(false);
    }
    expect(rig.nmis).toBe(1);
    expect([rig.lapic.pending, rig.errors()]).toEqual([false, 0]);
  });
});
