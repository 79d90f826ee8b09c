import { beforeEach, describe, expect, it } from "vitest";
import { Bug } from "../../../src/core/errors.ts";
import { irq } from "../../../src/core/units.ts";
import { PicPair } from "../../../src/devices/irq/pic8259.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";

const EOI = 0x20;

describe("interrupt controllers", () => {
  let pic: PicPair;

  const initialise = ({ icw1 = 0x11, icw4 = 0x01, mask = 0x00 } = {}): void => {
    for (const [chip, base, wiring] of [
      [pic.primary, 0x20, 0x04],
      [pic.secondary, 0x28, 0x02],
    ] as const) {
      chip.write(0, 1, icw1);
      chip.write(1, 1, base);
      if ((icw1 & 2) === 0) chip.write(1, 1, wiring);
      if ((icw1 & 1) !== 0) chip.write(1, 1, icw4);
      chip.write(1, 1, mask);
    }
  };
  const raise = (line: number): void => pic.line(irq(line)).set(true);
  const lower = (line: number): void => pic.line(irq(line)).set(false);
  const pulse = (line: number): void => {
    raise(line);
    lower(line);
  };
  /** The vectors of all interrupts that come through, in order, none being ended. */
  const acknowledgeAll = (): number[] => {
    const vectors: number[] = [];
    while (pic.pending) vectors.push(pic.acknowledge());
    return vectors;
  };

  beforeEach(() => {
    pic = new PicPair();
    initialise();
  });

  it("delivers nothing before it is initialised", () => {
    pic = new PicPair();
    raise(0);
    raise(8);
    expect(pic.pending).toBe(false);
  });

  it("gives each line its vector", () => {
    for (const line of [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]) {
      pulse(line);
      expect(pic.pending).toBe(true);
      expect(pic.acknowledge()).toBe(0x20 + line);
      expect(pic.pending).toBe(false);
      if (line >= 8) pic.secondary.write(0, 1, EOI);
      pic.primary.write(0, 1, EOI);
    }
  });

  it("takes the vectors' upper five bits only from ICW2", () => {
    pic.primary.write(0, 1, 0x11);
    for (const value of [0x47, 0x04, 0x01]) pic.primary.write(1, 1, value);
    pulse(3);
    expect(pic.acknowledge()).toBe(0x43);
  });

  it("takes no ICW4 when ICW1 says that none comes, and no ICW3 when there is one chip", () => {
    pic.primary.write(0, 1, 0x12);
    pic.primary.write(1, 1, 0x60);
    pic.primary.write(1, 1, 0xfb);
    expect(pic.primary.read(1, 1)).toBe(0xfb);
    pulse(9);
    expect(pic.acknowledge()).toBe(0x62);
  });

  it("serves the most urgent first and holds the less urgent up until the end of interrupt", () => {
    pulse(5);
    pulse(3);
    expect(acknowledgeAll()).toEqual([0x23]);
    pulse(1);
    expect(acknowledgeAll()).toEqual([0x21]);
    pic.primary.write(0, 1, EOI);
    expect(pic.pending).toBe(false);
    pic.primary.write(0, 1, EOI);
    expect(acknowledgeAll()).toEqual([0x25]);
  });

  it("puts the secondary's lines between IRQ 1 and IRQ 3", () => {
    for (const line of [3, 8, 1, 15]) pulse(line);
    const order: number[] = [];
    while (pic.pending) {
      const vector = pic.acknowledge();
      order.push(vector);
      if (vector >= 0x28) pic.secondary.write(0, 1, EOI);
      pic.primary.write(0, 1, EOI);
    }
    expect(order).toEqual([0x21, 0x28, 0x2f, 0x23]);
  });

  it("masks, and keeps a masked request", () => {
    pic.primary.write(1, 1, 0x10);
    pulse(4);
    expect(pic.pending).toBe(false);
    expect(pic.primary.read(0, 1)).toBe(0x10);
    pic.primary.write(1, 1, 0x00);
    expect(acknowledgeAll()).toEqual([0x24]);
  });

  it("masks the whole secondary at the cascade", () => {
    pic.primary.write(1, 1, 0x04);
    pulse(11);
    expect(pic.pending).toBe(false);
    pic.primary.write(1, 1, 0x00);
    expect(acknowledgeAll()).toEqual([0x2b]);
  });

  it("shows requests and interrupts in service", () => {
    pulse(6);
    expect(pic.primary.read(0, 1)).toBe(0x40);
    pic.acknowledge();
    expect(pic.primary.read(0, 1)).toBe(0x00);
    pic.primary.write(0, 1, 0x0b);
    expect(pic.primary.read(0, 1)).toBe(0x40);
    pic.primary.write(0, 1, EOI);
    expect(pic.primary.read(0, 1)).toBe(0x00);
    pulse(1);
    pic.primary.write(0, 1, 0x0a);
    expect(pic.primary.read(0, 1)).toBe(0x02);
  });

  it("ends the interrupt that a specific end of interrupt names", () => {
    pulse(5);
    pic.acknowledge();
    pulse(1);
    pic.acknowledge();
    pic.primary.write(0, 1, 0x65);
    pic.primary.write(0, 1, 0x0b);
    expect(pic.primary.read(0, 1)).toBe(0x02);
  });

  describe("edges and levels", () => {
    it("interrupts once for an edge, however long the line stays up", () => {
      raise(4);
      expect(acknowledgeAll()).toEqual([0x24]);
      pic.primary.write(0, 1, EOI);
      expect(pic.pending).toBe(false);
      lower(4);
      expect(pic.pending).toBe(false);
      raise(4);
      expect(pic.pending).toBe(true);
    });

    it("keeps an edge whose line has fallen again", () => {
      pulse(0);
      expect(acknowledgeAll()).toEqual([0x20]);
    });

    it("forgets edges at ICW1, and wants a new one", () => {
      raise(4);
      initialise();
      expect(pic.pending).toBe(false);
      lower(4);
      raise(4);
      expect(pic.pending).toBe(true);
    });

    it("interrupts as long as a level-triggered line is up", () => {
      pic.edgeLevel.write(1, 1, 0x08);
      raise(11);
      expect(acknowledgeAll()).toEqual([0x2b]);
      pic.secondary.write(0, 1, EOI);
      pic.primary.write(0, 1, EOI);
      expect(acknowledgeAll()).toEqual([0x2b]);
      lower(11);
      pic.secondary.write(0, 1, EOI);
      pic.primary.write(0, 1, EOI);
      expect(pic.pending).toBe(false);
    });

    it("withdraws a level-triggered request with its line", () => {
      pic.edgeLevel.write(0, 2, 0x0800);
      raise(11);
      expect(pic.pending).toBe(true);
      lower(11);
      expect(pic.pending).toBe(false);
    });

    it("makes all lines level-triggered when ICW1 says so", () => {
      initialise({ icw1: 0x19 });
      raise(3);
      pic.acknowledge();
      pic.primary.write(0, 1, EOI);
      expect(pic.pending).toBe(true);
      lower(3);
      expect(pic.pending).toBe(false);
    });

    it("keeps ELCR over ICW1, and its bits for system lines at zero", () => {
      pic.edgeLevel.write(0, 2, 0xffff);
      initialise();
      expect(pic.edgeLevel.read(0, 2)).toBe(0xdef8);
    });
  });

  describe("spurious interrupts", () => {
    it("answers an acknowledge without a request with IRQ 7's vector, not in service", () => {
      expect(pic.acknowledge()).toBe(0x27);
      pic.primary.write(0, 1, 0x0b);
      expect(pic.primary.read(0, 1)).toBe(0);
    });

    it("answers with IRQ 7's vector when a level goes away before the acknowledge", () => {
      pic.edgeLevel.write(1, 1, 0x08);
      raise(11);
      lower(11);
      expect(pic.acknowledge()).toBe(0x27);
      pic.secondary.write(0, 1, 0x0b);
      expect(pic.secondary.read(0, 1)).toBe(0);
    });
  });

  describe("priorities", () => {
    it("puts a line at the end when it is told", () => {
      pic.primary.write(0, 1, 0xc3);
      pulse(0);
      pulse(4);
      expect(pic.acknowledge()).toBe(0x24);
    });

    it("rotates on a non-specific end of interrupt", () => {
      pulse(0);
      pic.acknowledge();
      pic.primary.write(0, 1, 0xa0);
      pulse(0);
      pulse(1);
      expect(pic.acknowledge()).toBe(0x21);
    });

    it("rotates on a specific end of interrupt", () => {
      pulse(4);
      pic.acknowledge();
      pic.primary.write(0, 1, 0xe4);
      pulse(4);
      pulse(5);
      expect(pic.acknowledge()).toBe(0x25);
    });

    it("goes back to IRQ 0 first at ICW1", () => {
      pic.primary.write(0, 1, 0xc3);
      initialise();
      pulse(4);
      pulse(0);
      expect(pic.acknowledge()).toBe(0x20);
    });
  });

  describe("automatic end of interrupt", () => {
    beforeEach(() => initialise({ icw4: 0x03 }));

    it("leaves nothing in service", () => {
      pulse(4);
      pulse(9);
      expect(acknowledgeAll()).toEqual([0x29, 0x24]);
      pic.primary.write(0, 1, 0x0b);
      expect(pic.primary.read(0, 1)).toBe(0);
    });

    it("delivers all of the secondary's requests", () => {
      pulse(12);
      pulse(9);
      expect(acknowledgeAll()).toEqual([0x29, 0x2c]);
    });

    it("rotates if told so", () => {
      pic.primary.write(0, 1, 0x80);
      pulse(0);
      pic.acknowledge();
      pulse(0);
      pulse(1);
      expect(acknowledgeAll()).toEqual([0x21, 0x20]);
      pic.primary.write(0, 1, 0x00);
      pulse(5);
      pic.acknowledge();
      pulse(1);
      pulse(5);
      expect(pic.acknowledge()).toBe(0x21);
    });
  });

  it("leaves every mode at an ICW1 without ICW4", () => {
    initialise({ icw4: 0x13 });
    pic.primary.write(0, 1, 0x80);
    pic.primary.write(0, 1, 0x6b);
    initialise({ icw1: 0x10 });
    // Requests are read, not interrupts in service.
    expect(pic.primary.read(0, 1)).toBe(0);
    pulse(4);
    expect(pic.acknowledge()).toBe(0x24);
    expect(pic.primary.read(0, 1)).toBe(0);
    pic.primary.write(1, 1, 0x10);
    pulse(5);
    expect(pic.pending).toBe(false);
    pic.primary.write(0, 1, EOI);
    expect(pic.pending).toBe(true);
    // Nor do priorities rotate when interrupts end by themselves again.
    pic.primary.write(0, 1, 0x80);
    initialise({ icw4: 0x03 });
    pulse(4);
    pic.acknowledge();
    pulse(4);
    pulse(5);
    expect(pic.acknowledge()).toBe(0x24);
  });

  it("lets less urgent interrupts through in special mask mode", () => {
    pulse(3);
    pic.acknowledge();
    pic.primary.write(1, 1, 0x08);
    pulse(6);
    expect(pic.pending).toBe(false);
    pic.primary.write(0, 1, 0x68);
    expect(acknowledgeAll()).toEqual([0x26]);
    // A non-specific end of interrupt does not touch what is masked.
    pic.primary.write(0, 1, EOI);
    pic.primary.write(0, 1, 0x0b);
    expect(pic.primary.read(0, 1)).toBe(0x08);
    pulse(7);
    pic.primary.write(0, 1, 0x48);
    expect(pic.pending).toBe(false);
  });

  it("lets the secondary's more urgent requests through in special fully nested mode", () => {
    pulse(12);
    pic.acknowledge();
    pulse(9);
    expect(pic.pending).toBe(false);
    initialise({ icw4: 0x11 });
    pulse(12);
    pic.acknowledge();
    pulse(9);
    expect(acknowledgeAll()).toEqual([0x29]);
    initialise({ icw1: 0x10 });
    pulse(12);
    pic.acknowledge();
    pulse(9);
    expect(pic.pending).toBe(false);
  });

  it("acknowledges by polling", () => {
    pulse(5);
    pulse(3);
    pic.primary.write(0, 1, 0x0c);
    expect(pic.primary.read(0, 1)).toBe(0x83);
    expect(pic.pending).toBe(false);
    pic.primary.write(0, 1, EOI);
    pic.primary.write(0, 1, 0x0c);
    expect(pic.primary.read(1, 1)).toBe(0x85);
    pic.primary.write(0, 1, 0x0c);
    expect(pic.primary.read(0, 1)).toBe(0x00);
    // Only the one read after the command polls.
    expect(pic.primary.read(1, 1)).toBe(0x00);
  });

  it("starts in the state that a BIOS leaves", () => {
    pic = new PicPair();
    pic.setFirmwareState();
    expect([pic.primary.read(1, 1), pic.secondary.read(1, 1)]).toEqual([0xb8, 0x8f]);
    pulse(12);
    pulse(0);
    expect(pic.acknowledge()).toBe(0x08);
    pic.primary.write(0, 1, EOI);
    expect(pic.acknowledge()).toBe(0x74);
  });

  it("forgets everything at reset but the levels of its wires", () => {
    raise(4);
    pulse(1);
    pic.acknowledge();
    pic.edgeLevel.write(1, 1, 0x08);
    pic.reset();
    initialise();
    expect(pic.edgeLevel.read(0, 2)).toBe(0);
    expect(pic.pending).toBe(false);
    raise(4);
    expect(pic.pending).toBe(false);
  });

  it("has no line for a device where the cascade is", () => {
    expect(() => pic.line(irq(2))).toThrow(Bug);
    expect(() => pic.line(irq(16))).toThrow(Bug);
  });

  it("lives through any access", () => {
    readWriteEverything(() => {
      const fresh = new PicPair();
      let random = 1;
      return {
        ranges: [
          [fresh.primary, 2],
          [fresh.secondary, 2],
          [fresh.edgeLevel, 2],
        ],
        advance: (nanoseconds) => {
          random = (random * 1103515245 + 12345 + nanoseconds) & 0x7fffffff;
          const line = (random >> 8) & 15;
          if (line !== 2) fresh.line(irq(line)).set((random & 0x4000) !== 0);
          if (fresh.pending) expect(fresh.acknowledge()).toBeLessThan(256);
        },
      };
    });
  });
});
