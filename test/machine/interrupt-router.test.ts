import { beforeEach, describe, expect, it } from "vitest";
import { APIC_BASE_AT_RESET } from "../../src/core/apic-base.ts";
import { Bus } from "../../src/core/bus.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import { irq } from "../../src/core/units.ts";
import { DELIVERY } from "../../src/devices/irq/apic-message.ts";
import { IoApic } from "../../src/devices/irq/ioapic.ts";
import { LocalApic } from "../../src/devices/irq/lapic.ts";
import { PicPair } from "../../src/devices/irq/pic8259.ts";
import { InterruptRouter } from "../../src/machine/interrupt-router.ts";
import { ScriptedCpu } from "../support/scripted-cpu.ts";

const LAPIC = 0xfee0_0000;
const IOAPIC = 0xfec0_0000;
const VERSION = 0x30;
const TPR = 0x80;
const SVR = 0xf0;
const ICR_LOW = 0x300;
const LVT_LINT0 = 0x350;

const MASKED = 0x1_0000;
const SELF = 0x4_0000;
const OFF = APIC_BASE_AT_RESET - 0x800;
/** What a BIOS makes of IRQ 1. */
const KEYBOARD_VECTOR = 9;

class Rig {
  readonly mmio = new Bus("memory");
  readonly cpu = new ScriptedCpu();
  readonly lapic = new LocalApic({
    clock: new VirtualClock(),
    onNmi: () => this.router.raiseNmi(),
    onEndOfInterrupt: (vector) => this.ioapic.endOfInterrupt(vector),
  });
  readonly ioapic = new IoApic((message) => this.lapic.deliver(message));
  readonly #pin0 = this.ioapic.pin(0);
  readonly pic = new PicPair({
    set: (level) => {
      this.lapic.lint0.set(level);
      this.#pin0.set(level);
    },
  });
  readonly router: InterruptRouter;

  constructor() {
    this.mmio.claim(IOAPIC, this.ioapic.length, this.ioapic);
    this.router = new InterruptRouter(this);
    this.pic.setFirmwareState();
    this.lapic.setFirmwareState();
  }

  write(offset: number, value: number): void {
    this.mmio.write(LAPIC + offset, 4, value);
  }

  read(offset: number): number {
    return this.mmio.read(LAPIC + offset, 4);
  }

  /** The guest writes IA32_APIC_BASE. */
  setBase(value: number): void {
    this.cpu.apicBase = value;
    this.router.synchronise(this.cpu);
  }

  pressKey(): void {
    this.pic.line(irq(1)).set(true);
  }
}

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});

describe("the processor's interrupt", () => {
  it("comes from the 8259 as firmware leaves it", () => {
    expect(rig.router.pending).toBe(false);
    rig.pressKey();
    expect(rig.router.pending).toBe(true);
    expect(rig.router.acknowledge()).toBe(KEYBOARD_VECTOR);
    expect(rig.router.pending).toBe(false);
  });

  it("comes from the 8259 only if LINT0 lets it through", () => {
    rig.pressKey();
    rig.write(LVT_LINT0, MASKED | (DELIVERY.EXTINT << 8));
    expect(rig.router.pending).toBe(false);
    rig.write(LVT_LINT0, DELIVERY.EXTINT << 8);
    expect(rig.router.pending).toBe(true);
    rig.write(SVR, 0xff);
    expect(rig.router.pending).toBe(false);
  });

  it("comes from the 8259 through the I/O APIC's pin 0", () => {
    rig.write(LVT_LINT0, MASKED);
    rig.pressKey();
    rig.mmio.write(IOAPIC, 4, 0x10);
    rig.mmio.write(IOAPIC + 0x10, 4, DELIVERY.EXTINT << 8);
    expect(rig.router.acknowledge()).toBe(KEYBOARD_VECTOR);
    expect(rig.router.pending).toBe(false);
  });

  it("does not come by an ExtINT pin that the 8259 has no part in", () => {
    rig.mmio.write(IOAPIC, 4, 0x10 + 2 * 5);
    rig.mmio.write(IOAPIC + 0x10, 4, DELIVERY.EXTINT << 8);
    rig.ioapic.pin(5).set(true);
    expect(rig.router.pending).toBe(false);
  });

  it("comes from the local APIC first", () => {
    rig.pressKey();
    rig.write(ICR_LOW, SELF | 0x41);
    expect(rig.router.acknowledge()).toBe(0x41);
    expect(rig.router.acknowledge()).toBe(KEYBOARD_VECTOR);
    expect(rig.router.pending).toBe(false);
  });

  it("comes as a vector of the local APIC's where LINT0 is in fixed mode", () => {
    rig.write(LVT_LINT0, 0x61);
    rig.pressKey();
    expect(rig.router.acknowledge()).toBe(0x61);
  });

  it("is requested while anything waits, even where nothing comes through", () => {
    expect(rig.router.requested).toBe(false);
    rig.write(TPR, 0xf0);
    rig.write(ICR_LOW, SELF | 0x41);
    expect([rig.router.requested, rig.router.pending]).toEqual([true, false]);
    rig.write(TPR, 0);
    rig.router.acknowledge();
    expect(rig.router.requested).toBe(false);
    rig.pressKey();
    rig.write(LVT_LINT0, MASKED);
    expect([rig.router.requested, rig.router.pending]).toEqual([true, false]);
    rig.pic.acknowledge();
    expect(rig.router.requested).toBe(false);
    rig.router.raiseNmi();
    expect([rig.router.requested, rig.router.pending]).toEqual([true, false]);
  });

  it("comes straight from the 8259 while the local APIC is switched off", () => {
    rig.write(LVT_LINT0, MASKED);
    rig.write(ICR_LOW, SELF | 0x41);
    rig.setBase(OFF);
    expect(rig.router.pending).toBe(false);
    rig.pressKey();
    expect(rig.router.acknowledge()).toBe(KEYBOARD_VECTOR);
  });

  it("that cannot be masked is there until it is acknowledged, once", () => {
    rig.write(ICR_LOW, SELF | (DELIVERY.NMI << 8));
    rig.write(ICR_LOW, SELF | (DELIVERY.NMI << 8));
    expect([rig.router.nmiPending, rig.router.pending]).toEqual([true, false]);
    rig.router.acknowledgeNmi();
    expect(rig.router.nmiPending).toBe(false);
  });
});

describe("CR8 and the task priority", () => {
  it("follow each other", () => {
    rig.write(TPR, 0x5a);
    rig.router.synchronise(rig.cpu);
    expect(rig.cpu.cr8).toBe(5);
    rig.router.synchronise(rig.cpu);
    expect(rig.read(TPR)).toBe(0x5a);
    rig.cpu.cr8 = 3;
    rig.router.synchronise(rig.cpu);
    expect(rig.read(TPR)).toBe(0x30);
    rig.write(TPR, 0);
    rig.router.synchronise(rig.cpu);
    expect(rig.cpu.cr8).toBe(0);
  });

  it("hold interrupts back together", () => {
    rig.write(ICR_LOW, SELF | 0x41);
    rig.cpu.cr8 = 4;
    rig.router.synchronise(rig.cpu);
    expect(rig.router.pending).toBe(false);
    rig.cpu.cr8 = 3;
    rig.router.synchronise(rig.cpu);
    expect(rig.router.pending).toBe(true);
  });

  it("are the same also after the local APIC was off", () => {
    rig.cpu.cr8 = 4;
    rig.setBase(OFF);
    rig.setBase(APIC_BASE_AT_RESET);
    expect([rig.cpu.cr8, rig.read(TPR)]).toEqual([4, 0x40]);
    rig.setBase(OFF);
    rig.cpu.cr8 = 6;
    rig.setBase(APIC_BASE_AT_RESET);
    expect([rig.cpu.cr8, rig.read(TPR)]).toEqual([6, 0x60]);
  });
});

describe("IA32_APIC_BASE", () => {
  it("moves the registers", () => {
    rig.setBase(0xfed4_0900);
    expect(rig.read(VERSION)).toBe(0xffff_ffff);
    expect(rig.mmio.read(0xfed4_0000 + VERSION, 4)).toBe(0x0005_0014);
    expect(rig.mmio.read(0xfed4_0000 + SVR, 4)).toBe(0x1ff);
    rig.setBase(APIC_BASE_AT_RESET);
    expect(rig.read(VERSION)).toBe(0x0005_0014);
    expect(rig.mmio.claimed(0xfed4_0000, 4096)).toBe(false);
  });

  it("takes them away, and gives them back as at power-on", () => {
    rig.setBase(OFF);
    expect(rig.read(VERSION)).toBe(0xffff_ffff);
    rig.setBase(APIC_BASE_AT_RESET);
    expect(rig.read(VERSION)).toBe(0x0005_0014);
    expect(rig.read(SVR)).toBe(0xff);
    expect(rig.read(LVT_LINT0)).toBe(MASKED);
  });

  it("puts them where another device is without harm to that", () => {
    rig.setBase(IOAPIC + 0x900);
    rig.mmio.write(IOAPIC, 4, 1);
    expect(rig.mmio.read(IOAPIC + 0x10, 4)).toBe(0x0017_0011);
    expect(rig.read(VERSION)).toBe(0xffff_ffff);
    rig.setBase(APIC_BASE_AT_RESET);
    expect(rig.read(VERSION)).toBe(0x0005_0014);
  });
});

describe("a reset", () => {
  it("puts the local APIC back to its place, switched on, without an NMI", () => {
    rig.setBase(0xfed4_0100);
    rig.router.raiseNmi();
    rig.router.reset();
    expect(rig.read(VERSION)).toBe(0x0005_0014);
    expect(rig.router.nmiPending).toBe(false);
    rig.lapic.reset();
    rig.lapic.setFirmwareState();
    rig.cpu.apicBase = APIC_BASE_AT_RESET;
    rig.router.synchronise(rig.cpu);
    rig.pressKey();
    expect(rig.router.acknowledge()).toBe(KEYBOARD_VECTOR);
  });
});
