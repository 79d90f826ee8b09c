import { beforeEach, describe, expect, it } from "vitest";
import { gpa } from "../../../src/core/units.ts";
import { AtaDisk } from "../../../src/devices/ata/ata-disk.ts";
import { AtaRig, STATUS } from "../../support/ata-rig.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";
import { FakeDisk } from "../../support/fake-backends.ts";

const SECTORS = 16 * 63 * 4;

let disk: FakeDisk;
let rig: AtaRig;

const use = (given: FakeDisk): void => {
  disk = given;
  rig = new AtaRig(new AtaDisk(disk));
};

const sector = (lba: number, count = 1) => disk.bytes.slice(512 * lba, 512 * (lba + count));
const pattern = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);

beforeEach(() => {
  use(new FakeDisk(SECTORS));
  disk.bytes.forEach((_, i) => {
    disk.bytes[i] = (i * 31 + (i >> 9)) & 0xff;
  });
});

describe("presence", () => {
  it("is ready after a reset, with a disk's signature", () => {
    expect([1, 2, 3, 4, 5].map((register) => rig.read(register))).toEqual([1, 1, 1, 0, 0]);
    expect(rig.status).toBe(STATUS.ready);
  });

  it("keeps what is written to its registers, and has no second device", () => {
    rig.write(2, 0x55);
    rig.write(3, 0xaa);
    expect([rig.read(2), rig.read(3)]).toEqual([0x55, 0xaa]);
    rig.write(6, 0xb0);
    expect([rig.read(2), rig.read(3), rig.status, rig.alternateStatus]).toEqual([0, 0, 0, 0]);
    rig.write(7, 0xec);
    expect(rig.irq.level).toBe(false);
    rig.write(6, 0xa0);
    expect(rig.status).toBe(STATUS.ready);
  });

  it("is busy while software resets it", () => {
    rig.write(2, 0x55);
    rig.control(4);
    expect(rig.alternateStatus).toBe(0x80);
    rig.control(0);
    expect([rig.alternateStatus, rig.read(2)]).toEqual([STATUS.ready, 1]);
  });

  it("describes itself", () => {
    rig.command(0xec);
    expect(rig.status).toBe(STATUS.data);
    const data = rig.readData(512);
    const words = new DataView(data.buffer);
    expect(words.getUint16(2 * 60, true) + words.getUint16(2 * 61, true) * 0x1_0000).toBe(SECTORS);
    expect(words.getUint32(2 * 100, true)).toBe(SECTORS);
    expect([1, 3, 6].map((word) => words.getUint16(2 * word, true))).toEqual([4, 16, 63]);
    const swapped = [...data.subarray(54, 94)].map((_, i) => data[54 + (i ^ 1)] as number);
    expect(String.fromCharCode(...swapped).trim()).toBe("solo5-kvm disk");
    expect([rig.status, rig.irq.level]).toEqual([STATUS.ready, false]);
  });

  it("aborts what it does not know", () => {
    for (const code of [0x00, 0xa0, 0xa1, 0xb0, 0xff]) {
      rig.command(code);
      expect([rig.status, rig.read(1)]).toEqual([STATUS.failed, 4]);
    }
  });
});

describe("programmed input and output", () => {
  it("reads sectors, with an interrupt for each", () => {
    rig.command(0x20, { lba: 5, count: 3 });
    for (let i = 0; i < 3; i++) {
      expect(rig.irq.takeRises()).toBe(1);
      expect(rig.status).toBe(STATUS.data);
      expect(rig.irq.level).toBe(false);
      expect(rig.readData(512)).toEqual(sector(5 + i));
    }
    expect([rig.status, rig.irq.takeRises()]).toEqual([STATUS.ready, 0]);
  });

  it("reads 32 bits at once", () => {
    rig.command(0x20, { lba: 1 });
    const expected = new DataView(sector(1).buffer);
    for (let at = 0; at < 512; at += 4) {
      expect(rig.channel.commandBlock.read(0, 4)).toBe(expected.getUint32(at, true));
    }
    expect(rig.status).toBe(STATUS.ready);
  });

  it("writes sectors, and interrupts when it has taken one", () => {
    const data = pattern(1024, 3);
    rig.command(0x30, { lba: 9, count: 2 });
    expect([rig.status, rig.irq.takeRises()]).toEqual([STATUS.data, 0]);
    rig.writeData(data.subarray(0, 512));
    expect([rig.irq.takeRises(), rig.status]).toEqual([1, STATUS.data]);
    rig.writeData(data.subarray(512));
    expect([rig.irq.takeRises(), rig.status]).toEqual([1, STATUS.ready]);
    expect(sector(9, 2)).toEqual(data);
  });

  it("lets its interrupt be awaited, unless somebody looks whether it has come", () => {
    const { line, clock } = rig;
    rig.command(0x20, { lba: 5 });
    clock.pass(49_000);
    clock.fireDue();
    expect(line.takeRises()).toBe(0);
    clock.pass(1_000);
    clock.fireDue();
    expect([line.takeRises(), rig.status, line.level]).toEqual([1, STATUS.data, false]);
    rig.command(0x20, { lba: 5 });
    expect([line.takeRises(), rig.alternateStatus, line.takeRises()]).toEqual([0, STATUS.data, 1]);
    clock.pass(50_000);
    clock.fireDue();
    expect([line.takeRises(), line.level]).toEqual([0, true]);
  });

  it("forgets an interrupt that has not come when it is reset", () => {
    const { line, clock } = rig;
    rig.command(0x20, { lba: 5 });
    rig.channel.reset();
    clock.pass(50_000);
    clock.fireDue();
    expect(line.takeRises()).toBe(0);
  });

  it("finds sectors by cylinder, head and sector", () => {
    // Cylinder 1, head 2, sector 3.
    rig.command(0x20, { lba: (1 << 8) | 3, device: 0xa2 });
    expect(rig.readData(512)).toEqual(sector((1 * 16 + 2) * 63 + 2));
    rig.command(0x91, { count: 10, device: 0xa3 });
    expect(rig.status).toBe(STATUS.ready);
    rig.command(0x20, { lba: (1 << 8) | 3, device: 0xa2 });
    expect(rig.readData(512)).toEqual(sector((1 * 4 + 2) * 10 + 2));
    rig.command(0x20, { lba: 1 << 8, device: 0xa0 });
    expect([rig.status, rig.read(1)]).toEqual([STATUS.failed, 0x10]);
  });

  it("moves several sectors in a block once it has been told how many", () => {
    rig.command(0xc4, { lba: 1, count: 5 });
    expect(rig.status).toBe(STATUS.failed);
    rig.command(0xc6, { count: 3 });
    expect(rig.status).toBe(STATUS.failed);
    rig.command(0xc6, { count: 4 });
    rig.irq.takeRises();
    rig.command(0xc4, { lba: 1, count: 5 });
    expect([rig.irq.takeRises(), rig.status]).toEqual([1, STATUS.data]);
    expect(rig.readData(2048)).toEqual(sector(1, 4));
    expect([rig.irq.takeRises(), rig.status]).toEqual([1, STATUS.data]);
    expect(rig.readData(512)).toEqual(sector(5));
    expect([rig.irq.takeRises(), rig.status]).toEqual([0, STATUS.ready]);
    rig.command(0xc5, { lba: 2, count: 4 });
    rig.writeData(pattern(2048, 8));
    expect(sector(2, 4)).toEqual(pattern(2048, 8));
  });

  it("has 48-bit addresses", () => {
    rig.command48(0x24, 300, 257);
    expect(rig.readData(512)).toEqual(sector(300));
    for (let i = 1; i < 257; i++) rig.readData(512);
    expect(rig.status).toBe(STATUS.ready);
    rig.command48(0x34, 8, 1);
    rig.writeData(pattern(512, 1));
    expect(sector(8)).toEqual(pattern(512, 1));
    rig.command48(0x24, 2 ** 40, 1);
    expect([rig.status, rig.read(1)]).toEqual([STATUS.failed, 0x10]);
  });

  it("tells its last sector", () => {
    rig.command(0xf8);
    expect(rig.read(3) | (rig.read(4) << 8)).toBe(SECTORS - 1);
    rig.command48(0x27, 0, 0);
    expect(rig.read(3)).toBe((SECTORS - 1) & 0xff);
    rig.control(0x80);
    expect(rig.read(3)).toBe(0);
  });

  it("does not go past its end", () => {
    rig.command(0x20, { lba: SECTORS - 1, count: 2 });
    expect([rig.status, rig.read(1)]).toEqual([STATUS.failed, 0x10]);
    rig.command(0x40, { lba: SECTORS - 1, count: 1 });
    expect(rig.status).toBe(STATUS.ready);
    // Zero is 256.
    rig.command(0x40, { lba: SECTORS - 255, count: 0 });
    expect(rig.status).toBe(STATUS.failed);
  });

  it("reports what the host cannot do, and flushes", () => {
    rig.command(0xe7);
    expect([rig.status, disk.flushes]).toEqual([STATUS.ready, 1]);
    disk.broken = true;
    rig.command(0x20);
    expect([rig.status, rig.read(1)]).toEqual([STATUS.failed, 0x40]);
    rig.command(0xea);
    expect(rig.status).toBe(STATUS.failed);
    rig.command(0x30);
    rig.writeData(new Uint8Array(512));
    expect([rig.status, rig.read(1)]).toEqual([STATUS.failed, 0x40]);
  });

  it("does not write to what may only be read", () => {
    use(new FakeDisk(8, true));
    rig.command(0x30);
    expect([rig.status, rig.read(1)]).toEqual([STATUS.failed, 4]);
    rig.command(0xca);
    expect(rig.status).toBe(STATUS.failed);
  });

  it("interrupts nobody who does not want it", () => {
    rig.control(2);
    rig.command(0xe7);
    expect(rig.irq.level).toBe(false);
    rig.control(0);
    expect(rig.irq.level).toBe(true);
  });

  it("takes a new command in the middle of a transfer", () => {
    rig.command(0x20, { count: 2 });
    rig.readData(100);
    rig.command(0x20, { lba: 7 });
    expect(rig.readData(512)).toEqual(sector(7));
    // What nobody asked for reads as nothing.
    expect(rig.channel.commandBlock.read(0, 2)).toBe(0xffff);
  });
});

describe("bus master", () => {
  it("reads into several places, started after the command", () => {
    rig.command(0xc8, { lba: 3, count: 3 });
    expect(rig.irq.level).toBe(false);
    rig.startDma(true, [
      [0x8000, 512],
      [0x1_0000, 1024],
    ]);
    expect(rig.master.read(2, 1)).toBe(4);
    expect(rig.irq.level).toBe(true);
    expect(rig.status).toBe(STATUS.ready);
    expect(rig.memory.slice(gpa(0x8000), 512)).toEqual(sector(3));
    expect(rig.memory.slice(gpa(0x1_0000), 1024)).toEqual(sector(4, 2));
    rig.master.write(2, 1, 4);
    expect(rig.master.read(2, 1)).toBe(0);
  });

  it("writes, started before the command", () => {
    rig.memory.write(gpa(0x8000), pattern(512, 9));
    rig.startDma(false, [[0x8000, 512]]);
    expect(rig.master.read(2, 1)).toBe(1);
    rig.command(0xca, { lba: 11 });
    expect(sector(11)).toEqual(pattern(512, 9));
    expect(rig.master.read(2, 1)).toBe(4);
  });

  it("stays active when its table has room left", () => {
    rig.startDma(true, [[0x8000, 0]]);
    rig.command48(0x25, 1, 1);
    expect([rig.status, rig.master.read(2, 1)]).toEqual([STATUS.ready, 5]);
    rig.master.write(0, 1, 0);
    expect(rig.master.read(2, 1)).toBe(4);
  });

  it.each([
    ["a table that ends early", [[0x8000, 512]]],
    ["a place outside memory", [[0xf000_0000, 1024]]],
  ] as const)("fails on %s", (_, entries) => {
    rig.command(0xc8, { count: 2 });
    rig.startDma(true, entries);
    expect(rig.status).toBe(STATUS.failed);
    expect(rig.master.read(2, 1) & 3).toBe(2);
  });

  it("fails on the wrong direction and on a table outside memory", () => {
    rig.command(0xc8);
    rig.startDma(false, [[0x8000, 512]]);
    expect(rig.status).toBe(STATUS.failed);
    rig.command(0xc8);
    rig.master.write(0, 1, 0);
    rig.master.write(4, 4, 0xffff_fff0);
    rig.master.write(0, 1, 9);
    expect(rig.status).toBe(STATUS.failed);
  });

  it("keeps what software notes about the drives", () => {
    rig.master.write(2, 1, 0x60);
    expect(rig.master.read(2, 1)).toBe(0x60);
    rig.master.write(4, 4, 0x1234_5677);
    expect(rig.master.read(4, 4)).toBe(0x1234_5674);
  });
});

it("survives any order of accesses", () => {
  readWriteEverything(() => {
    const { channel, master } = new AtaRig(new AtaDisk(new FakeDisk(8)));
    return {
      ranges: [
        [channel.commandBlock, 8],
        [channel.controlBlock, 1],
        [master, master.length],
      ],
    };
  });
});
