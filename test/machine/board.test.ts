import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../src/core/clock.ts";
import { type AccessSize, floating } from "../../src/core/device.ts";
import { GuestError, HostError } from "../../src/core/errors.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa, MILLISECOND, SECOND } from "../../src/core/units.ts";
import { Board, MAX_VIRTIO_DEVICES } from "../../src/machine/board.ts";
import type { ImageMedia } from "../../src/machine/ide.ts";
import type { Outcome } from "../../src/machine/outcome.ts";
import { FakeDisk, FakeLink } from "../support/fake-backends.ts";
import { FakeConsole } from "../support/fake-console.ts";
import { FakeDriver, FakePciHost } from "../support/fake-driver.ts";
import { ModernDriver } from "../support/modern-driver.ts";

const MEMORY = 1 << 20;
const MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
const LAPIC = 0xfee0_0000;
const IOAPIC = 0xfec0_0000;
const NET_SLOT = 2;
const BLOCK_SLOT = 3;

const CD_SECTORS = 3;

class Rig {
  readonly clock = new VirtualClock(Date.UTC(2026, 1, 3, 4, 5, 6) * MILLISECOND);
  readonly memory = new GuestMemory(new ArrayBuffer(MEMORY));
  readonly console = new FakeConsole();
  readonly link = new FakeLink();
  readonly disk = new FakeDisk(64);
  readonly ends: Outcome[] = [];
  readonly reports: (GuestError | HostError)[] = [];
  resets = 0;
  interrupts = 0;
  readonly board: Board;

  constructor(media: ImageMedia = {}) {
    this.board = this.#board(media);
  }

  readonly #board = (media: ImageMedia) =>
    new Board({
      media,
      memory: this.memory,
      clock: this.clock,
      console: this.console,
      nets: [{ backend: this.link, mac: MAC }],
      blocks: [{ backend: this.disk, id: "disk" }],
      report: (error) => this.reports.push(error),
      onEnd: (outcome) => this.ends.push(outcome),
      onReset: () => this.resets++,
      onInterrupt: () => this.interrupts++,
    });

  read(port: number, size: AccessSize = 1): number {
    return this.board.ports.read(port, size);
  }

  write(port: number, value: number, size: AccessSize = 1): void {
    this.board.ports.write(port, size, value);
  }

  cmos(index: number): number {
    this.write(0x70, index);
    return this.read(0x71);
  }

  /** The next vector, acknowledged and ended; undefined when none is pending. */
  takeInterrupt(): number | undefined {
    if (!this.board.interrupts.pending) return undefined;
    const vector = this.board.interrupts.acknowledge();
    this.write(0xa0, 0x20);
    this.write(0x20, 0x20);
    return vector;
  }

  unmaskAll(): void {
    this.write(0x21, 0);
    this.write(0xa1, 0);
  }

  /** As drivers do that leave the 8259 behind: `entry` of this pin is all that is unmasked. */
  useIoApic(pin: number, entry: number): void {
    this.write(0x21, 0xff);
    this.write(0xa1, 0xff);
    this.board.mmio.write(IOAPIC, 4, 0x10 + 2 * pin);
    this.board.mmio.write(IOAPIC + 0x10, 4, entry);
  }

  /** The next vector, taken by the processor and ended by the local APIC's EOI. */
  takeApicInterrupt(): number | undefined {
    if (!this.board.interrupts.pending) return undefined;
    const vector = this.board.interrupts.acknowledge();
    this.board.mmio.write(LAPIC + 0xb0, 4, 0);
    return vector;
  }
}

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});

describe("the ports", () => {
  it("of the interrupt controllers hold their masks, as a BIOS leaves them", () => {
    expect([rig.read(0x21), rig.read(0xa1)]).toEqual([0xb8, 0x8f]);
    rig.write(0x21, 0x5a);
    rig.write(0xa1, 0xa5);
    expect([rig.read(0x21), rig.read(0xa1)]).toEqual([0x5a, 0xa5]);
  });

  it("of the edge/level control make PCI's interrupt level-triggered", () => {
    expect([rig.read(0x4d0), rig.read(0x4d1)]).toEqual([0, 1 << (11 - 8)]);
  });

  it("of the timer count with the clock", () => {
    rig.write(0x43, 0x34);
    rig.write(0x40, 0);
    rig.write(0x40, 0);
    const count = (): number => {
      rig.write(0x43, 0);
      return rig.read(0x40) | (rig.read(0x40) << 8);
    };
    rig.clock.advance(MILLISECOND);
    const before = count();
    rig.clock.advance(10 * MILLISECOND);
    expect(before - count()).toBeCloseTo(11932, -1);
  });

  it("of the speaker show the timer's third counter", () => {
    rig.write(0x61, 1);
    rig.write(0x43, 0xb0);
    rig.write(0x42, 100);
    rig.write(0x42, 0);
    expect(rig.read(0x61) & 0x21).toBe(0x01);
    rig.clock.advance(MILLISECOND);
    expect(rig.read(0x61) & 0x21).toBe(0x21);
  });

  it("of the keyboard controller pass its self-test", () => {
    rig.write(0x64, 0xaa);
    expect(rig.read(0x64) & 1).toBe(1);
    expect(rig.read(0x60)).toBe(0x55);
  });

  it("of the clock tell the host's date, and the size of memory", () => {
    expect([0x32, 9, 8, 7, 4, 2, 0].map((index) => rig.cmos(index))).toEqual([
      ...[0x20, 0x26, 0x02, 0x03, 0x04, 0x05, 0x06],
    ]);
    expect(rig.cmos(0x15) | (rig.cmos(0x16) << 8)).toBe(640);
  });

  it("of the serial line transmit to the console", () => {
    expect(rig.read(0x3fd) & 0x60).toBe(0x60);
    for (const letter of "hello") rig.write(0x3f8, letter.charCodeAt(0));
    expect(rig.console.text).toBe("hello");
  });

  it("of power management run the ACPI timer", () => {
    const before = rig.read(0x608, 4);
    rig.clock.advance(SECOND);
    expect(rig.read(0x608, 4) - before).toBe(3_579_545);
  });

  it("of the firmware configuration tell the size of memory", () => {
    rig.write(0x510, 3, 2);
    expect([0, 1, 2, 3].map(() => rig.read(0x511))).toEqual([0, 0, 0x10, 0]);
  });

  it("of the test device hold a value, raise interrupts and show memory of a device's", () => {
    rig.write(0xe0, 0x1234_5678, 4);
    expect(rig.read(0xe1, 2)).toBe(0x3456);
    rig.write(0x2004, 1);
    rig.unmaskAll();
    expect(rig.takeInterrupt()).toBe(0x0c);
    rig.board.mmio.write(0xff00_0000, 4, 0x55);
    expect(rig.board.mmio.read(0xff00_0000, 1)).toBe(0x55);
  });

  it("of PCI find the chipset and the virtio devices, with their resources", () => {
    const pci = new FakePciHost(rig.board.ports);
    const functions: string[] = [];
    for (let slot = 0; slot < 32; slot++) {
      for (let fn = 0; fn < 8; fn++) {
        const id = pci.read(slot, 0, 4, fn);
        if (id !== 0xffff_ffff) functions.push(`${slot}.${fn} ${id.toString(16)}`);
      }
    }
    expect(functions).toEqual([
      ...["0.0 12378086", "1.0 70008086", "1.3 71138086"],
      ...[`${NET_SLOT}.0 10001af4`, `${BLOCK_SLOT}.0 10011af4`],
    ]);
    const bars = [NET_SLOT, BLOCK_SLOT].map((slot) => pci.read(slot, 0x10, 4));
    expect(bars.every((bar) => bar >= 0xc000 && bar <= 0xffff && (bar & 3) === 1)).toBe(true);
    expect(new Set(bars).size).toBe(2);
    for (const slot of [NET_SLOT, BLOCK_SLOT]) expect(pci.read(slot, 0x3c, 1)).toBe(11);
  });

  it("that nobody has read all ones", () => {
    const absent = [0x90, 0x170, 0x1f7, 0x2f8, 0x376, 0x3f6, 0xbfff, 0xffff];
    for (const port of absent) expect(rig.read(port)).toBe(0xff);
  });

  it("of the DMA controllers keep what they are told, and those of their pages", () => {
    for (const port of [0x81, 0x83, 0x8f, 0x80]) rig.write(port, port);
    for (const port of [0x81, 0x83, 0x8f, 0x80]) expect(rig.read(port)).toBe(port);
    rig.write(0x0f, 5);
    rig.write(0xde, 9);
    expect([rig.read(0x0f) & 0xf, rig.read(0xde) & 0xf]).toEqual([5, 9]);
    rig.board.reset();
    expect([rig.read(0x81), rig.read(0x0f) & 0xf]).toEqual([0, 0xf]);
  });
});

describe("the ways out", () => {
  it("debug exit ends with the status written", () => {
    rig.write(0x501, 0x5307, 2);
    expect(rig.ends).toEqual([{ kind: "exit", status: 7 }]);
  });

  it("that of test-suites ends as QEMU would", () => {
    rig.write(0xf4, 0, 4);
    rig.write(0xf4, 0x10, 1);
    expect(rig.ends.map((end) => end.kind === "exit" && end.status)).toEqual([1, 33]);
  });

  it("debug exit takes a value of any width as one, and the ports after it end there", () => {
    rig.write(0x501, 41, 4);
    rig.write(0x501, 0x5305, 4);
    expect(rig.ends.map((end) => end.kind === "exit" && end.status)).toEqual([0, 5]);
    expect(() => rig.board.ports.claim(0x504, 1, rig.board.ports)).toThrow("already claimed");
    expect(() => rig.board.ports.claim(0x505, 0xb, rig.board.ports)).not.toThrow();
  });

  it("ACPI switches off", () => {
    rig.write(0x604, 0x2000, 2);
    expect(rig.ends).toEqual([{ kind: "power-off" }]);
  });

  it.each<[string, (() => void)[]]>([
    ["0xcf9", [() => rig.write(0xcf9, 2), () => rig.write(0xcf9, 6)]],
    ["0x64", [() => rig.write(0x64, 0xfe)]],
    ["0x92", [() => rig.write(0x92, 1)]],
  ])("port %s resets, once", (_name, accesses) => {
    for (const access of accesses) access();
    expect(rig.resets).toBe(1);
    expect(rig.ends).toEqual([]);
  });
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

describe("a reset", () => {
  it("brings every device back to what firmware leaves", () => {
    const pci = new FakePciHost(rig.board.ports);
    const state = (): unknown => ({
      pic: [rig.read(0x21), rig.read(0xa1), rig.read(0x4d0), rig.read(0x4d1)],
      uart: [0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd].map((port) => rig.read(port)),
      ports: [0x61, 0x64, 0x92, 0xcf9].map((port) => rig.read(port)),
      power: [rig.read(0x602, 2), rig.read(0x604, 2)],
      pci: [0, 1, NET_SLOT, BLOCK_SLOT].map((slot) =>
        Array.from({ length: 64 }, (_, word) => pci.read(slot, 4 * word, 4)),
      ),
      rtc: rig.cmos(0x0b),
    });
    const before = state();
    rig.unmaskAll();
    rig.write(0x4d0, 0xff);
    for (const port of [0x3f9, 0x3fb, 0x3fc, 0x61]) rig.write(port, 0x0f);
    rig.write(0x602, 1, 2);
    rig.write(0x70, 0x0b);
    rig.write(0x71, 0x42);
    for (const slot of [0, 1, NET_SLOT, BLOCK_SLOT]) {
      for (let word = 1; word < 16; word++) pci.write(slot, 4 * word, 4, 0xffff_ffff);
    }
    expect(state()).not.toEqual(before);
    rig.board.reset();
    expect(state()).toEqual(before);
  });

  it("stops virtio devices: a driver has to start them again", () => {
    const driver = new FakeDriver(rig.board.ports, rig.memory, NET_SLOT);
    const start = (): void => {
      const [receive] = driver.start([0x1_0000, 0x2_0000]);
      receive?.offer(receive.add({ address: 0x5_0000, length: 1526, writable: true }));
      driver.notify(0);
    };
    start();
    rig.board.reset();
    expect(rig.link.deliver(new Uint8Array(60))).toBe(false);
    rig.unmaskAll();
    expect(rig.takeInterrupt()).toBeUndefined();
    start();
    expect(rig.link.deliver(new Uint8Array(60))).toBe(true);
  });
});

describe("a board full of devices", () => {
  it("has a slot for each", () => {
    const { board } = new Rig();
    const nets = Array.from({ length: MAX_VIRTIO_DEVICES }, () => ({
      backend: new FakeLink(),
      mac: MAC,
    }));
    const options = { memory: rig.memory, clock: rig.clock, console: rig.console };
    const nothing = (): void => {};
    const full = new Board({
      ...{ ...options, nets, blocks: [], report: nothing },
      ...{ onEnd: nothing, onReset: nothing, onInterrupt: nothing },
    });
    expect(new FakePciHost(full.ports).read(31, 0, 4)).toBe(0x1000_1af4);
    expect(new FakePciHost(board.ports).read(31, 0, 4)).toBe(0xffff_ffff);
  });
});

/** Where devices are: random accesses should find them more often than chance has it. */
const DEVICE_PORTS = [
  ...[0x20, 0x40, 0x60, 0x70, 0x92, 0xa0, 0xe0, 0xf4, 0x3f8, 0x4d0, 0x501, 0x510, 0x600],
  ...[0xcf8, 0xcfc, 0x2000, 0xc000, 0xc040],
];

const port = fc.oneof(
  fc.nat(0xffff),
  fc.tuple(fc.constantFrom(...DEVICE_PORTS), fc.nat(24)).map(([base, offset]) => base + offset),
);

const access = fc.record({
  port,
  size: fc.constantFrom<AccessSize>(1, 2, 4),
  write: fc.boolean(),
  value: fc.oneof(
    fc.nat(0xff),
    fc.nat(0xffff_ffff),
    // PCI configuration addresses of the devices there are.
    fc.nat(0x3fff).map((low) => 0x8000_0000 + low),
  ),
  pause: fc.oneof(fc.constant(0), fc.nat(100_000), fc.nat(2 * SECOND)),
});

/** Ports of which a write may end or reset the machine, and those an access may straddle into them. */
const near = (port: number, size: number, first: number, last: number): boolean =>
  port <= last && port + size > first;

describe("a guest that reads and writes ports at random", () => {
  it("finds a machine that answers everything and ends or resets only where it may", () => {
    fc.assert(
      fc.property(fc.array(access, { minLength: 50, maxLength: 400 }), (accesses) => {
        const machine = new Rig();
        for (const { port: at, size, write, value, pause } of accesses) {
          const { resets, ends } = machine;
          const ended = ends.length;
          if (write) machine.write(at, (value & floating(size)) >>> 0, size);
          else {
            const read = machine.read(at, size);
            expect(Number.isInteger(read) && read >= 0 && read <= floating(size)).toBe(true);
          }
          const onlyBy = (...ranges: [number, number][]): void =>
            expect(write && ranges.some(([a, b]) => near(at, size, a, b)), `${at}`).toBe(true);
          if (machine.resets > resets)
            onlyBy([0x60, 0x60], [0x64, 0x64], [0x92, 0x92], [0xcf9, 0xcf9]);
          if (ends.length > ended) onlyBy([0xf4, 0xf7], [0x501, 0x504], [0x604, 0x605]);
          machine.clock.advance(pause);
          if (machine.board.interrupts.pending && (value & 1) === 1) {
            const vector = machine.board.interrupts.acknowledge();
            expect(Number.isInteger(vector) && vector >= 0 && vector <= 0xff).toBe(true);
          }
          if (machine.resets > resets) machine.board.reset();
        }
        for (const error of machine.reports) {
          expect(error instanceof GuestError || error instanceof HostError).toBe(true);
          expect(error.message).not.toMatch(/\n/);
        }
      }),
      { numRuns: 150 },
    );
  }, 120_000);

  it("finds every port of the whole space readable and writable, in every size", () => {
    for (const size of [1, 2, 4] as const) {
      for (const value of [0, 0xffff_ffff, 0x5a5a_a5a5]) {
        const machine = new Rig();
        for (let at = 0; at < 0x1_0000; at++) {
          const read = machine.read(at, size);
          if (read < 0 || read > floating(size)) expect.fail(`port ${at} reads ${read}`);
          machine.write(at, (value & floating(size)) >>> 0, size);
        }
        machine.clock.advance(SECOND);
        machine.board.reset();
        expect(machine.read(0x21)).toBe(0xb8);
      }
    }
  });
});

describe("memory without RAM", () => {
  it("reads all ones wherever a guest looks, and swallows writes", () => {
    const { mmio } = rig.board;
    const apic = (at: number): boolean =>
      [LAPIC, IOAPIC].some((base) => at > base - 4 && at < base + 0x1000);
    const address = fc
      .oneof(fc.nat(0xffff_ffff), fc.maxSafeNat())
      .filter((candidate) => !apic(candidate));
    fc.assert(
      fc.property(address, fc.constantFrom<AccessSize>(1, 2, 4), (at, size) => {
        mmio.write(at, size, 0);
        expect(mmio.read(at, size)).toBe(floating(size));
      }),
    );
  });

  it("but the APICs' pages, answers whatever a guest does there, in any size", () => {
    const access = fc.record({
      base: fc.constantFrom(LAPIC, IOAPIC),
      offset: fc.oneof(
        fc.nat(0x3f).map((slot) => slot * 0x10),
        fc.integer({ min: -3, max: 0xfff }),
      ),
      size: fc.constantFrom<AccessSize>(1, 2, 4),
      value: fc.oneof(fc.nat(0xff), fc.nat(0xf_ffff), fc.nat(0xffff_ffff)),
      pause: fc.oneof(fc.constant(0), fc.nat(2 * MILLISECOND)),
    });
    fc.assert(
      fc.property(fc.array(access, { maxLength: 200 }), (accesses) => {
        const { board, clock } = new Rig();
        const { mmio, interrupts } = board;
        // A timer whose line changes meanwhile.
        board.ports.write(0x43, 1, 0x34);
        board.ports.write(0x40, 1, 0);
        board.ports.write(0x40, 1, 1);
        for (const { base, offset, size, value, pause } of accesses) {
          mmio.write(base + offset, size, (value & floating(size)) >>> 0);
          const read = mmio.read(base + offset, size);
          expect(Number.isInteger(read) && read >= 0 && read <= floating(size)).toBe(true);
          clock.advance(pause);
          if (!interrupts.pending) continue;
          const vector = interrupts.acknowledge();
          expect(Number.isInteger(vector) && vector >= 0 && vector <= 0xff).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("the image as a disk and as a CD", () => {
  const image = new FakeDisk(CD_SECTORS * 4);
  const SLOT = 1;
  const FUNCTION = 1;

  const start = (media: ImageMedia): FakePciHost => {
    rig = new Rig(media);
    return new FakePciHost(rig.board.ports);
  };

  it("are at the AT's channels, of which the controller decodes those that have something", () => {
    const pci = start({ cd: image });
    expect(pci.read(SLOT, 0x00, 4, FUNCTION)).toBe(0x7010_8086);
    expect(pci.read(SLOT, 0x08, 4, FUNCTION) >>> 8).toBe(0x01_01_80);
    expect([0x40, 0x42].map((at) => pci.read(SLOT, at, 2, FUNCTION))).toEqual([0, 0x8000]);
    expect([rig.read(0x174), rig.read(0x175)]).toEqual([0x14, 0xeb]);
    expect([rig.read(0x1f7), rig.read(0x3f6)]).toEqual([0xff, 0xff]);
  });

  it("interrupt on lines 14 and 15", () => {
    start({ disk: image, cd: image });
    rig.unmaskAll();
    rig.write(0x1f7, 0xec);
    expect(rig.takeInterrupt()).toBe(0x76);
    rig.write(0x177, 0xa1);
    expect(rig.takeInterrupt()).toBe(0x77);
  });

  it("are read by DMA through ports that move with their register", () => {
    image.bytes.fill(0x5a);
    const pci = start({ disk: image });
    pci.write(SLOT, 0x20, 4, 0xd000, FUNCTION);
    rig.memory.writeU32(gpa(0x1000), 0x2000);
    rig.memory.writeU32(gpa(0x1004), 0x8000_0200);
    rig.write(0xd004, 0x1000, 4);
    rig.write(0x1f6, 0xe0);
    rig.write(0x1f2, 1);
    rig.write(0x1f7, 0xc8);
    rig.write(0xd000, 9);
    expect([rig.read(0xd002), rig.read(0x1f7)]).toEqual([4, 0x50]);
    expect(rig.memory.readU32(gpa(0x21fc))).toBe(0x5a5a5a5a);
    expect(rig.read(0xd008)).toBe(0xff);
  });
});

describe("the timer", () => {
  /** A rate generator of 1193 Hz or so, and how often an alarm rings in a second. */
  function alarms(rig: Rig): number {
    let count = 0;
    const end = rig.clock.now() + SECOND;
    for (;;) {
      const { deadline } = rig.clock.alarms;
      if (deadline > end) return count;
      rig.clock.advance(Math.max(0, deadline - rig.clock.now()));
      count++;
    }
  }

  const OPEN_PIN_2 = [
    [0, 0x14],
    [0x10, 0x20],
  ] as const;

  it("costs nothing while nobody listens, and goes on when somebody does", () => {
    const rig = new Rig();
    const { ports, mmio, interrupts } = rig.board;
    ports.write(0x21, 1, 0xff);
    for (const [port, value] of [
      [0x43, 0x34],
      [0x40, 1000 & 0xff],
      [0x40, 1000 >> 8],
    ] as const) {
      ports.write(port, 1, value);
    }
    alarms(rig);
    const others = alarms(rig);
    expect(others).toBeLessThan(20);
    expect(interrupts.pending).toBe(false);
    ports.write(0x21, 1, 0xfe);
    expect(interrupts.pending).toBe(true);
    interrupts.acknowledge();
    ports.write(0x20, 1, 0x20);
    rig.clock.advance(MILLISECOND);
    expect(interrupts.pending).toBe(true);
    expect(alarms(rig)).toBeLessThan(20);
    for (const [register, value] of OPEN_PIN_2) mmio.write(IOAPIC + register, 4, value);
    expect(alarms(rig)).toBeGreaterThan(1000);
  });
});
