import { beforeEach, describe, expect, it } from "vitest";
import { Bug } from "../../../src/core/errors.ts";
import { type ApicMessage, DELIVERY } from "../../../src/devices/irq/apic-message.ts";
import { IoApic } from "../../../src/devices/irq/ioapic.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";

const IOREGSEL = 0x00;
const IOWIN = 0x10;

const MASKED = 0x1_0000;
const LEVEL = 0x8000;
const REMOTE_IRR = 0x4000;
const LOGICAL = 0x800;
const VECTOR = 0x51;

class Rig {
  readonly sent: ApicMessage[] = [];
  /** Whether somebody takes the messages. */
  accepting = true;
  readonly ioapic = new IoApic((message) => {
    this.sent.push(message);
    return this.accepting;
  });

  read(index: number): number {
    this.ioapic.write(IOREGSEL, 4, index);
    return this.ioapic.read(IOWIN, 4);
  }

  write(index: number, value: number): void {
    this.ioapic.write(IOREGSEL, 4, index);
    this.ioapic.write(IOWIN, 4, value);
  }

  route(pin: number, entry: number): void {
    this.write(0x10 + 2 * pin, entry);
  }

  entry(pin: number): number {
    return this.read(0x10 + 2 * pin);
  }

  /** The vectors sent since the last call. */
  take(): number[] {
    return this.sent.splice(0).map(({ vector }) => vector);
  }
}

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});

describe("registers", () => {
  it("tell version and number of pins, and nobody can change them", () => {
    rig.write(1, 0xffff_ffff);
    expect(rig.read(1)).toBe(0x0017_0011);
  });

  it("have an ID of four bits, which is the arbitration ID too", () => {
    rig.write(0, 0xffff_ffff);
    expect([rig.read(0), rig.read(2)]).toEqual([0x0f00_0000, 0x0f00_0000]);
    rig.write(2, 0);
    expect(rig.read(2)).toBe(0x0f00_0000);
  });

  it("hold 24 entries, each its own, masked at first", () => {
    for (let pin = 0; pin < 24; pin++) {
      expect([rig.entry(pin), rig.read(0x11 + 2 * pin)]).toEqual([MASKED, 0]);
      rig.route(pin, MASKED | (0x40 + pin));
      rig.write(0x11 + 2 * pin, pin << 24);
    }
    for (let pin = 0; pin < 24; pin++) {
      expect(rig.entry(pin)).toBe(MASKED | (0x40 + pin));
      expect(rig.read(0x11 + 2 * pin)).toBe(pin * 2 ** 24);
    }
  });

  it("keep of an entry all but the status bits and what is reserved", () => {
    rig.write(0x10, 0xffff_ffff);
    rig.write(0x11, 0xffff_ffff);
    expect([rig.read(0x10), rig.read(0x11)]).toEqual([0x1_afff, 0xff00_0000]);
    rig.write(0x10, 0);
    rig.write(0x11, 0);
    expect([rig.read(0x10), rig.read(0x11)]).toEqual([0, 0]);
  });

  it("that do not exist read zero and swallow writes", () => {
    for (const index of [3, 0x0f, 0x40, 0xff]) {
      rig.write(index, 0xffff_ffff);
      expect(rig.read(index)).toBe(0);
    }
    rig.ioapic.write(0x40, 4, 0xffff_ffff);
    expect(rig.ioapic.read(0x40, 4)).toBe(0);
    expect(rig.ioapic.read(0xffc, 4)).toBe(0);
  });

  it("have an index of eight bits, and can be read and written in parts", () => {
    rig.ioapic.write(IOREGSEL, 4, 0xffff_ff11);
    expect(rig.ioapic.read(IOREGSEL, 4)).toBe(0x11);
    rig.ioapic.write(IOREGSEL, 1, 0x12);
    rig.ioapic.write(IOWIN, 1, 0x45);
    expect(rig.entry(1)).toBe(MASKED | 0x45);
    expect(rig.ioapic.read(IOWIN + 2, 1)).toBe(1);
  });

  it("take anything, in any size", () => {
    readWriteEverything(() => {
      const fuzzed = new Rig();
      const pins = Array.from({ length: 24 }, (_, pin) => fuzzed.ioapic.pin(pin));
      return {
        ranges: [[fuzzed.ioapic, 0x20]],
        advance: (time) => pins[time % 24]?.set(time % 2 === 0),
      };
    });
  });
});

describe("an edge-triggered pin", () => {
  it("sends at its rising edge", () => {
    rig.route(4, VECTOR);
    const pin = rig.ioapic.pin(4);
    pin.set(true);
    pin.set(true);
    expect(rig.take()).toEqual([VECTOR]);
    pin.set(false);
    expect(rig.take()).toEqual([]);
    pin.set(true);
    expect(rig.take()).toEqual([VECTOR]);
    expect(rig.entry(4)).toBe(VECTOR);
  });

  it("says what its entry says", () => {
    rig.write(0x11 + 2 * 23, 0x8700_0000);
    rig.route(23, (DELIVERY.LOWEST_PRIORITY << 8) | LOGICAL | VECTOR);
    rig.ioapic.pin(23).set(true);
    expect(rig.sent).toEqual([
      { mode: 1, vector: VECTOR, level: false, destination: 0x87, logical: true },
    ]);
    rig.write(0x11, 0xff00_0000);
    rig.route(0, VECTOR);
    rig.ioapic.pin(0).set(true);
    expect(rig.sent[1]).toEqual({
      ...{ mode: 0, vector: VECTOR, level: false, destination: 0xff, logical: false },
    });
  });

  it("is ignored while it is masked", () => {
    const pin = rig.ioapic.pin(4);
    pin.set(true);
    rig.route(4, VECTOR);
    expect(rig.take()).toEqual([]);
    pin.set(false);
    rig.route(4, MASKED | VECTOR);
    pin.set(true);
    pin.set(false);
    rig.route(4, VECTOR);
    expect(rig.take()).toEqual([]);
  });

  it("takes no notice of the end of its interrupt", () => {
    rig.route(4, VECTOR);
    rig.ioapic.pin(4).set(true);
    rig.take();
    rig.ioapic.endOfInterrupt(VECTOR);
    expect(rig.take()).toEqual([]);
  });
});

describe("a level-triggered pin", () => {
  it("sends once until the handler is done, and again if it is still high", () => {
    rig.route(11, LEVEL | VECTOR);
    const pin = rig.ioapic.pin(11);
    pin.set(true);
    expect(rig.sent[0]).toMatchObject({ level: true });
    expect(rig.take()).toEqual([VECTOR]);
    expect(rig.entry(11)).toBe(LEVEL | REMOTE_IRR | VECTOR);
    pin.set(false);
    pin.set(true);
    expect(rig.take()).toEqual([]);
    rig.ioapic.endOfInterrupt(VECTOR);
    expect(rig.take()).toEqual([VECTOR]);
    pin.set(false);
    rig.ioapic.endOfInterrupt(VECTOR);
    expect(rig.take()).toEqual([]);
    expect(rig.entry(11)).toBe(LEVEL | VECTOR);
  });

  it("looks at the ends of its own vector only", () => {
    rig.route(11, LEVEL | VECTOR);
    rig.ioapic.pin(11).set(true);
    rig.take();
    rig.ioapic.endOfInterrupt(VECTOR + 1);
    expect(rig.take()).toEqual([]);
    expect(rig.entry(11) & REMOTE_IRR).toBe(REMOTE_IRR);
  });

  it("that is high sends when it is unmasked", () => {
    rig.ioapic.pin(11).set(true);
    rig.route(11, LEVEL | VECTOR);
    expect(rig.take()).toEqual([VECTOR]);
  });

  it("stays silent while it is masked, also at the end of its interrupt", () => {
    rig.route(11, LEVEL | VECTOR);
    rig.ioapic.pin(11).set(true);
    rig.take();
    rig.route(11, MASKED | LEVEL | VECTOR);
    expect(rig.entry(11) & REMOTE_IRR).toBe(REMOTE_IRR);
    rig.ioapic.endOfInterrupt(VECTOR);
    expect(rig.take()).toEqual([]);
    rig.route(11, LEVEL | VECTOR);
    expect(rig.take()).toEqual([VECTOR]);
  });

  it("waits for nobody's end when nobody took the message", () => {
    rig.accepting = false;
    rig.route(11, LEVEL | VECTOR);
    const pin = rig.ioapic.pin(11);
    pin.set(true);
    expect(rig.entry(11) & REMOTE_IRR).toBe(0);
    rig.accepting = true;
    pin.set(false);
    pin.set(true);
    expect(rig.entry(11) & REMOTE_IRR).toBe(REMOTE_IRR);
  });

  it("forgets that it waits when it is made edge-triggered and level-triggered again", () => {
    rig.route(11, LEVEL | VECTOR);
    rig.ioapic.pin(11).set(true);
    rig.take();
    rig.route(11, MASKED | VECTOR);
    expect(rig.entry(11)).toBe(MASKED | VECTOR);
    rig.route(11, LEVEL | VECTOR);
    expect(rig.take()).toEqual([VECTOR]);
  });

  it("shares a vector with another", () => {
    for (const pin of [10, 11]) {
      rig.route(pin, LEVEL | VECTOR);
      rig.ioapic.pin(pin).set(true);
    }
    rig.take();
    rig.ioapic.endOfInterrupt(VECTOR);
    expect(rig.take()).toEqual([VECTOR, VECTOR]);
  });

  it("is asserted by a high level whatever the polarity bit says", () => {
    rig.route(11, LEVEL | 0x2000 | VECTOR);
    expect(rig.take()).toEqual([]);
    rig.ioapic.pin(11).set(true);
    expect(rig.take()).toEqual([VECTOR]);
    expect(rig.entry(11) & 0x2000).toBe(0x2000);
  });
});

describe("delivery modes", () => {
  it("with NMI are edges, even where the entry says level", () => {
    rig.route(3, LEVEL | (DELIVERY.NMI << 8));
    rig.ioapic.pin(3).set(true);
    expect(rig.sent).toMatchObject([{ mode: DELIVERY.NMI, level: false }]);
    expect(rig.entry(3) & REMOTE_IRR).toBe(0);
    rig.ioapic.endOfInterrupt(0);
    expect(rig.sent).toHaveLength(1);
  });

  it("with ExtINT pass the level on, and send nothing", () => {
    const pin = rig.ioapic.pin(0);
    rig.route(0, DELIVERY.EXTINT << 8);
    expect(rig.ioapic.extInt).toBe(false);
    pin.set(true);
    expect(rig.ioapic.extInt).toBe(true);
    rig.route(0, MASKED | (DELIVERY.EXTINT << 8));
    expect(rig.ioapic.extInt).toBe(false);
    rig.route(0, DELIVERY.EXTINT << 8);
    expect(rig.ioapic.extInt).toBe(true);
    pin.set(false);
    expect(rig.ioapic.extInt).toBe(false);
    expect(rig.sent).toEqual([]);
  });
});

describe("a reset", () => {
  it("masks everything, but pins keep their levels", () => {
    rig.write(0, 0x0500_0000);
    rig.write(0x11, 0x0500_0000);
    rig.route(0, DELIVERY.EXTINT << 8);
    rig.ioapic.pin(0).set(true);
    rig.route(11, LEVEL | VECTOR);
    rig.ioapic.pin(11).set(true);
    rig.take();
    rig.ioapic.reset();
    expect(rig.ioapic.read(IOREGSEL, 4)).toBe(0);
    expect([rig.read(0), rig.entry(0), rig.read(0x11), rig.entry(11)]).toEqual([
      ...[0, MASKED, 0, MASKED],
    ]);
    expect(rig.ioapic.extInt).toBe(false);
    rig.route(11, LEVEL | VECTOR);
    expect(rig.take()).toEqual([VECTOR]);
  });
});

it("a board that wires a pin which does not exist is wrong", () => {
  expect(() => rig.ioapic.pin(24)).toThrow(Bug);
  expect(() => rig.ioapic.pin(-1)).toThrow(Bug);
});
