import { beforeEach, describe, expect, it } from "vitest";
import { gpa, MILLISECOND, SECOND } from "../../src/core/units.ts";
import { Board, MAX_VIRTIO_DEVICES } from "../../src/machine/board.ts";
import type { ImageMedia } from "../../src/machine/ide.ts";
import { BLOCK_SLOT, CD_SECTORS, IOAPIC, MAC, NET_SLOT, Rig } from "../support/board-rig.ts";
import { FakeDisk, FakeLink } from "../support/fake-backends.ts";
import { FakeDriver, FakePciHost } from "../support/fake-driver.ts";

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

  it("of the serial line have what is typed, of a driver that speaks by it where there is text", () => {
    rig.write(0x3f9, 1);
    rig.console.receive("a");
    expect(rig.read(0x3f8)).toBe(0x61);
    // The keyboard is looked at.
    rig.read(0x64);
    rig.console.receive("b");
    expect(rig.read(0x3f8)).toBe(0x62);
    rig.memory.writeU16(gpa(0xb8000), 0x0741);
    rig.board.show();
    rig.console.receive("a");
    expect([rig.read(0x60), rig.read(0x3fd) & 1]).toEqual([0x1e, 0]);
    rig.write(0x3f8, 0x62);
    rig.console.receive("c");
    expect(rig.read(0x3f8)).toBe(0x63);
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
    const absent = [0x90, 0x2f8, 0xbfff, 0xffff];
    for (const port of absent) expect(rig.read(port)).toBe(0xff);
  });

  it("of the disks answer, where there are none, that nobody is busy", () => {
    for (const port of [0x3f6, 0x376]) rig.write(port, 0x04);
    for (const port of [0x1f7, 0x3f6, 0x177, 0x376]) expect(rig.read(port)).toBe(0x7f);
  });

  it("of the disks answer zero to a command that no drive is there to take, until one is selected", () => {
    rig.write(0x1f6, 0xa0);
    rig.write(0x1f7, 0xec);
    expect([rig.read(0x1f7), rig.read(0x1f4), rig.read(0x3f6)]).toEqual([0, 0, 0]);
    expect(rig.read(0x177)).toBe(0x7f);
    rig.write(0x1f6, 0xb0);
    expect(rig.read(0x1f7)).toBe(0x7f);
    rig.write(0x1f7, 0xec);
    rig.write(0x3f6, 0x04);
    expect(rig.read(0x1f7)).toBe(0x7f);
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
      ...{ onEnd: nothing, onReset: nothing, onMode: nothing, onInterrupt: nothing },
    });
    expect(new FakePciHost(full.ports).read(31, 0, 4)).toBe(0x1000_1af4);
    expect(new FakePciHost(board.ports).read(31, 0, 4)).toBe(0xffff_ffff);
  });
});

describe("the image as a disk and as a CD", () => {
  const image = new FakeDisk(CD_SECTORS * 4);
  const SLOT = 1;
  const FUNCTION = 1;

  const start = (media: ImageMedia, hasDisk = true): FakePciHost => {
    rig = new Rig(media, hasDisk);
    return new FakePciHost(rig.board.ports);
  };

  it("are at the AT's channels, of which the controller decodes those that have something", () => {
    const pci = start({ cd: image }, false);
    expect(pci.read(SLOT, 0x00, 4, FUNCTION)).toBe(0x7010_8086);
    expect(pci.read(SLOT, 0x08, 4, FUNCTION) >>> 8).toBe(0x01_01_80);
    expect([0x40, 0x42].map((at) => pci.read(SLOT, at, 2, FUNCTION))).toEqual([0, 0x8000]);
    expect([rig.read(0x174), rig.read(0x175)]).toEqual([0x14, 0xeb]);
    expect([rig.read(0x1f7), rig.read(0x3f6)]).toEqual([0x7f, 0x7f]);
  });

  it("interrupt on lines 14 and 15", () => {
    start({ disk: image, cd: image });
    rig.unmaskAll();
    rig.write(0x1f7, 0xec);
    rig.clock.advance(MILLISECOND);
    expect(rig.takeInterrupt()).toBe(0x76);
    rig.write(0x177, 0xa1);
    rig.clock.advance(MILLISECOND);
    expect(rig.takeInterrupt()).toBe(0x77);
  });

  it("are a floppy in the first drive, which the clock's memory tells of", () => {
    start({ floppy: new FakeDisk(2880) }, false);
    const cmos = (at: number): number => {
      rig.write(0x70, at);
      return rig.read(0x71);
    };
    expect([cmos(0x10), cmos(0x14) & 1]).toEqual([0x40, 1]);
    rig.unmaskAll();
    rig.write(0x3f2, 0x0c);
    rig.clock.advance(MILLISECOND);
    expect(rig.takeInterrupt()).toBe(0x0e);
    expect([rig.read(0x3f4), rig.read(0x3f6)]).toEqual([0x80, 0x7f]);
    rig.write(0x3f2, 0x1c);
    expect(rig.read(0x3f7)).toBe(0x80);
    start({});
    expect([rig.read(0x3f4), cmos(0x10), cmos(0x14) & 1]).toEqual([0xff, 0, 0]);
  });

  it("leave room for the other disks", () => {
    const sectorOf = (deviceHead: number): number | undefined => {
      rig.write(0x1f6, deviceHead);
      for (const [port, value] of [0, 1, 0, 0, 0].entries()) rig.write(0x1f1 + port, value);
      rig.write(0x1f7, 0x20);
      return (rig.read(0x1f7) & 8) !== 0 ? rig.read(0x1f0, 2) : undefined;
    };
    image.bytes.fill(0x5a);
    start({ disk: image });
    rig.disk.bytes.fill(0xa5);
    expect([0xe0, 0xf0].map(sectorOf)).toEqual([0x5a5a, 0xa5a5]);
    for (const media of [{ cd: image }, { floppy: new FakeDisk(2880) }, { isKernel: true }]) {
      start(media);
      rig.disk.bytes.fill(0xa5);
      expect([0xe0, 0xf0].map(sectorOf)).toEqual([0xa5a5, undefined]);
    }
    start({});
    expect([0xe0, 0xf0].map(sectorOf)).toEqual([undefined, undefined]);
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
