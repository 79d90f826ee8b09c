import { beforeEach, describe, expect, it } from "vitest";
import { gpa, MILLISECOND, SECOND } from "../../src/core/units.ts";
import { BLOCK_SLOT, LAPIC, NET_SLOT, Rig } from "../support/board-rig.ts";
import { FakeDriver, FakePciHost } from "../support/fake-driver.ts";
import { ModernDriver } from "../support/modern-driver.ts";

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});

describe("interrupts", () => {
  beforeEach(() => rig.unmaskAll());

  it("of the timer come on IRQ 0, at the BIOS's vector", () => {
    rig.write(0x43, 0x34);
    rig.write(0x40, 0);
    rig.write(0x40, 0x10);
    rig.clock.advance(4 * MILLISECOND);
    expect(rig.takeInterrupt()).toBe(0x08);
    expect(rig.interrupts).toBeGreaterThan(0);
  });

  it("of the serial line come on IRQ 4", () => {
    rig.write(0x3fc, 0x08);
    rig.write(0x3f9, 0x01);
    rig.console.receive("x");
    rig.clock.advance(MILLISECOND);
    expect(rig.takeInterrupt()).toBe(0x0c);
    expect(rig.read(0x3f8)).toBe("x".charCodeAt(0));
    expect(rig.takeInterrupt()).toBeUndefined();
  });

  it("of the clock come on IRQ 8", () => {
    // Register B: periodic interrupts, 24 hours; register A leaves the BIOS's rate.
    rig.write(0x70, 0x0a);
    rig.write(0x71, 0x26);
    rig.write(0x70, 0x0b);
    rig.write(0x71, 0x42);
    rig.clock.advance(2 * MILLISECOND);
    expect(rig.takeInterrupt()).toBe(0x70);
  });

  it("of the ACPI timer come on IRQ 9", () => {
    rig.write(0x602, 1, 2);
    rig.clock.advance(5 * SECOND);
    expect(rig.takeInterrupt()).toBe(0x71);
  });

  it("of both virtio devices come on IRQ 11, and stay until both are served", () => {
    const net = new FakeDriver(rig.board.ports, rig.memory, NET_SLOT);
    const block = new FakeDriver(rig.board.ports, rig.memory, BLOCK_SLOT);
    const [receive] = net.start([0x1_0000, 0x2_0000]);
    const [requests] = block.start([0x3_0000]);
    receive?.offer(receive.add({ address: 0x5_0000, length: 1526, writable: true }));
    net.notify(0);
    expect(rig.link.deliver(new Uint8Array(60))).toBe(true);
    // A flush: header, status.
    rig.memory.writeU32(gpa(0x6_0000), 4);
    requests?.offer(
      requests.add(
        { address: 0x6_0000, length: 16 },
        { address: 0x6_1000, length: 1, writable: true },
      ),
    );
    block.notify(0);
    expect(rig.reports).toEqual([]);
    expect(rig.takeInterrupt()).toBe(0x73);
    expect(net.read("ISR_STATUS")).toBe(1);
    expect(rig.takeInterrupt()).toBe(0x73);
    expect(block.read("ISR_STATUS")).toBe(1);
    expect(rig.takeInterrupt()).toBeUndefined();
  });
});

describe("interrupts by the I/O APIC", () => {
  const VECTOR = 0x41;
  const LEVEL = 0x8000;

  it("of the timer come at pin 2", () => {
    rig.useIoApic(2, VECTOR);
    rig.write(0x43, 0x34);
    rig.write(0x40, 0);
    rig.write(0x40, 0x10);
    rig.clock.advance(3.5 * MILLISECOND);
    expect(rig.takeApicInterrupt()).toBe(VECTOR);
    expect(rig.takeApicInterrupt()).toBeUndefined();
    rig.clock.advance(3.5 * MILLISECOND);
    expect(rig.takeApicInterrupt()).toBe(VECTOR);
  });

  it.each<[string, number, () => void]>([
    [
      "serial line",
      4,
      () => {
        rig.write(0x3fc, 0x08);
        rig.write(0x3f9, 0x01);
        rig.console.receive("x");
        rig.clock.advance(MILLISECOND);
      },
    ],
    [
      "clock",
      8,
      () => {
        rig.write(0x70, 0x0a);
        rig.write(0x71, 0x26);
        rig.write(0x70, 0x0b);
        rig.write(0x71, 0x42);
        rig.clock.advance(2 * MILLISECOND);
      },
    ],
    [
      "ACPI timer",
      9,
      () => {
        rig.write(0x602, 1, 2);
        rig.clock.advance(5 * SECOND);
      },
    ],
  ])("of the %s come at pin %i", (_name, pin, cause) => {
    rig.useIoApic(pin, VECTOR);
    cause();
    expect(rig.interrupts).toBeGreaterThan(0);
    expect(rig.takeApicInterrupt()).toBe(VECTOR);
    expect(rig.takeApicInterrupt()).toBeUndefined();
  });

  it("of virtio devices come as messages once their drivers use MSI-X, and not at pin 11", () => {
    const pci = new FakePciHost(rig.board.ports);
    const driver = new ModernDriver(pci, rig.board.mmio, rig.memory, NET_SLOT);
    driver.setVector(1, LAPIC, 0x61);
    driver.negotiate(0);
    driver.write("QUEUE_SELECT", 1);
    driver.write("QUEUE_MSIX_VECTOR", 1);
    const tx = driver.placeQueue(1, 0x2_0000);
    driver.status = 0x0f;
    const before = rig.interrupts;
    tx.add({ address: 0x4_0000, length: 72 });
    driver.notify(1);
    expect(rig.interrupts).toBe(before + 1);
    expect(rig.takeApicInterrupt()).toBe(0x61);
    expect(rig.takeApicInterrupt()).toBeUndefined();
    expect(driver.takeInterrupts()).toBe(0);
  });

  it("of virtio devices come at pin 11 as levels, until they are served", () => {
    rig.useIoApic(11, LEVEL | VECTOR);
    const net = new FakeDriver(rig.board.ports, rig.memory, NET_SLOT);
    const [receive] = net.start([0x1_0000, 0x2_0000]);
    receive?.offer(receive.add({ address: 0x5_0000, length: 1526, writable: true }));
    net.notify(0);
    expect(rig.link.deliver(new Uint8Array(60))).toBe(true);
    expect(rig.takeApicInterrupt()).toBe(VECTOR);
    expect(rig.board.interrupts.acknowledge()).toBe(VECTOR);
    expect(net.read("ISR_STATUS")).toBe(1);
    rig.board.mmio.write(LAPIC + 0xb0, 4, 0);
    expect(rig.takeApicInterrupt()).toBeUndefined();
  });

  it("of the test device come at pins that no other device has", () => {
    rig.useIoApic(20, VECTOR);
    rig.write(0x2000 + 20, 1);
    expect(rig.takeApicInterrupt()).toBe(VECTOR);
  });

  it("of the local timer come without a line", () => {
    rig.board.mmio.write(LAPIC + 0x3e0, 4, 0xb);
    rig.board.mmio.write(LAPIC + 0x320, 4, VECTOR);
    rig.board.mmio.write(LAPIC + 0x380, 4, MILLISECOND);
    rig.clock.advance(MILLISECOND);
    expect(rig.takeApicInterrupt()).toBe(VECTOR);
  });

  it("sent as NMIs are the processor's to take", () => {
    rig.useIoApic(4, 0x400);
    rig.write(0x3fc, 0x08);
    rig.write(0x3f9, 0x02);
    expect(rig.board.interrupts.nmiPending).toBe(true);
    expect(rig.board.interrupts.pending).toBe(false);
  });

  it("are over after a reset: the 8259 comes through again, the APICs are silent", () => {
    const { board } = rig;
    rig.useIoApic(4, VECTOR);
    board.mmio.write(LAPIC + 0x350, 4, 0x1_0000);
    rig.write(0x3fc, 0x08);
    rig.write(0x3f9, 0x02);
    board.reset();
    expect(board.interrupts.pending).toBe(false);
    rig.write(0x3fc, 0x08);
    rig.write(0x3f9, 0x02);
    expect(board.interrupts.pending).toBe(false);
    rig.unmaskAll();
    expect(rig.takeInterrupt()).toBe(0x0c);
  });
});
