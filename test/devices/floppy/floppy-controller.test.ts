import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../src/core/clock.ts";
import { GuestMemory } from "../../../src/core/guest-memory.ts";
import { gpa, MILLISECOND } from "../../../src/core/units.ts";
import { DmaChannel } from "../../../src/devices/dma/dma-channel.ts";
import { Dma8237 } from "../../../src/devices/dma/dma8237.ts";
import { FloppyController } from "../../../src/devices/floppy/floppy-controller.ts";
import { FloppyDrive } from "../../../src/devices/floppy/floppy-drive.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";
import { FakeDisk } from "../../support/fake-backends.ts";
import { FakeIrqLine } from "../../support/fake-irq-line.ts";

const SECTOR = 512;
const CHANNEL = 2;
const BUFFER = 0x1_fe00;
const GEOMETRY = { cylinders: 80, heads: 2, sectors: 18 };
const RUNNING = 0x1c; // Motor, DMA, no reset.

let clock: VirtualClock;
let memory: GuestMemory;
let dma: Dma8237;
let irq: FakeIrqLine;
let disk: FakeDisk;
let fdc: FloppyController;

function make(): FloppyController {
  const channel = new DmaChannel({ memory, controller: dma, channel: CHANNEL, page: () => 1 });
  return new FloppyController({ irq, clock, dma: channel, drive: new FloppyDrive(disk, GEOMETRY) });
}

beforeEach(() => {
  clock = new VirtualClock();
  memory = new GuestMemory(new ArrayBuffer(0x4_0000));
  dma = new Dma8237(1);
  irq = new FakeIrqLine();
  disk = new FakeDisk(80 * 2 * 18);
  for (let sector = 0; sector < 80 * 36; sector++) {
    new DataView(disk.bytes.buffer).setUint32(sector * SECTOR, sector, true);
  }
  fdc = make();
  fdc.write(2, 1, RUNNING);
  clock.advance(MILLISECOND);
  for (let drive = 0; drive < 4; drive++) command(0x08);
});

/** Sends a command, waits until it is done, and returns what it answers. */
function command(...bytes: number[]): number[] {
  for (const byte of bytes) {
    expect(fdc.read(4, 1) & 0xc0).toBe(0x80);
    fdc.write(5, 1, byte);
  }
  clock.advance(MILLISECOND);
  const answer: number[] = [];
  while ((fdc.read(4, 1) & 0xd0) === 0xd0) answer.push(fdc.read(5, 1));
  return answer;
}

/** Lets the channel move so many bytes. @param mode 0x46 to memory, 0x4a from it */
function program(bytes: number, mode: number): void {
  dma.write(12, 1, 0);
  dma.write(11, 1, mode);
  for (const part of [BUFFER & 0xff, (BUFFER >> 8) & 0xff]) dma.write(2 * CHANNEL, 1, part);
  for (const part of [(bytes - 1) & 0xff, (bytes - 1) >> 8]) dma.write(2 * CHANNEL + 1, 1, part);
  dma.write(10, 1, CHANNEL);
}

const word = (at: number): number => memory.readU32(gpa(at));

describe("the floppy disk controller", () => {
  it("tells of four drives after a reset, by one interrupt", () => {
    fdc.write(2, 1, 0x08);
    expect(fdc.read(4, 1)).toBe(0);
    fdc.write(2, 1, RUNNING);
    clock.advance(MILLISECOND);
    expect(irq.level).toBe(true);
    expect([command(0x08), irq.level]).toEqual([[0xc0, 0], false]);
    expect([1, 2, 3].map(() => command(0x08)[0])).toEqual([0xc1, 0xc2, 0xc3]);
    expect(command(0x08)).toEqual([0x80]);
  });

  it("seeks, and the disk counts as changed until then", () => {
    expect(fdc.read(7, 1)).toBe(0x80);
    expect(command(0x0f, 0, 40)).toEqual([]);
    expect([irq.level, fdc.read(7, 1)]).toEqual([true, 0]);
    expect(command(0x08)).toEqual([0x20, 40]);
    command(0x07, 0);
    expect(command(0x08)).toEqual([0x20, 0]);
    command(0x07, 1);
    expect(command(0x08)).toEqual([0x71, 0]);
  });

  it("reads sectors until the DMA controller has counted enough, over both heads", () => {
    command(0x0f, 0, 3);
    command(0x08);
    program(3 * SECTOR, 0x46);
    expect(command(0xe6, 0, 3, 0, 17, 2, 18, 0x1b, 0xff)).toEqual([4, 0, 0, 3, 1, 2, 2]);
    expect(irq.level).toBe(false);
    const first = 3 * 36 + 16;
    // The address has 16 bits: the last two sectors are at the beginning of the page.
    expect([word(BUFFER), word(0x1_0000), word(0x1_0200)]).toEqual([first, first + 1, first + 2]);
    expect(dma.read(8, 1)).toBe(1 << CHANNEL);
  });

  it("writes what memory holds", () => {
    memory.fill(gpa(BUFFER), SECTOR, 0x5a);
    program(SECTOR, 0x4a);
    expect(command(0x45, 0, 0, 0, 5, 2, 18, 0x1b, 0xff)).toEqual([0, 0, 0, 0, 0, 6, 2]);
    expect(disk.bytes.subarray(4 * SECTOR, 5 * SECTOR).every((byte) => byte === 0x5a)).toBe(true);
    expect(disk.bytes[5 * SECTOR]).toBe(5);
  });

  it.each<[string, number[], number[], () => void]>([
    ["another cylinder", [0xe6, 0, 9, 0, 1, 2, 18, 0x1b, 0xff], [0x40, 0x04, 0], () => {}],
    ["no such sector", [0xe6, 0, 0, 0, 19, 2, 19, 0x1b, 0xff], [0x40, 0x04, 0], () => {}],
    ["the end of the track", [0x46, 0, 0, 0, 18, 2, 18, 0x1b, 0xff], [0x40, 0x80, 0], () => {}],
    ["a rate of another disk", [0x4a, 0], [0x40, 0x01, 0], () => fdc.write(7, 1, 2)],
    ["a drive that is not there", [0x4a, 1], [0x41, 0x01, 0], () => {}],
    [
      "a channel that is masked",
      [0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff],
      [0x40, 0x80, 0],
      () => {
        dma.write(10, 1, 4 | CHANNEL);
      },
    ],
  ])("says what is wrong: %s", (_what, bytes, status, prepare) => {
    program(2 * SECTOR, 0x46);
    prepare();
    expect(command(...bytes).slice(0, 3)).toEqual(status);
    expect(irq.level).toBe(false);
  });

  it("formats a track with the sectors that memory names", () => {
    memory.write(gpa(BUFFER), Uint8Array.of(0, 1, 2, 2, 0, 1, 4, 2));
    program(8, 0x4a);
    expect(command(0x4d, 4, 2, 2, 0x54, 0xf6).slice(0, 3)).toEqual([4, 0, 0]);
    const filled = [18, 19, 20, 21].map((sector) => disk.bytes[sector * SECTOR]);
    expect(filled).toEqual([18, 0xf6, 20, 0xf6]);
  });

  it("knows the commands by which it is recognised, and says so of others", () => {
    expect(command(0x10)).toEqual([0x90]);
    expect([command(0x94), command(0x14)]).toEqual([[0x10], [0]]);
    expect(command(0x04, 0)).toEqual([0x38]);
    expect(command(0x03, 0xaf, 0x02)).toEqual([]);
    expect(command(0x0e)).toHaveLength(10);
    expect(command(0x4a, 4)).toEqual([4, 0, 0, 0, 1, 1, 2]);
    expect(command(0x1f)).toEqual([0x80]);
  });

  it("lives through any access", () => {
    readWriteEverything(() => {
      const fresh = make();
      return { ranges: [[fresh, fresh.length]] };
    });
  });
});
