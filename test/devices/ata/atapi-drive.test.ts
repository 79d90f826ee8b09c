import { beforeEach, describe, expect, it } from "vitest";
import { HostError } from "../../../src/core/errors.ts";
import { gpa } from "../../../src/core/units.ts";
import { AtapiDrive } from "../../../src/devices/ata/atapi-drive.ts";
import { AtaRig, STATUS } from "../../support/ata-rig.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";
import { FakeDisk } from "../../support/fake-backends.ts";

/** Forty sectors and a bit. */
const BYTES = 40 * 2048 + 100;
const image = Uint8Array.from({ length: BYTES }, (_, i) => (i * 13 + (i >> 11)) & 0xff);
const sectors = (first: number, count: number) => {
  const data = new Uint8Array(2048 * count);
  data.set(image.subarray(2048 * first, 2048 * (first + count)));
  return data;
};

let rig: AtaRig;
let broken = false;

beforeEach(() => {
  broken = false;
  const read = (offset: number, into: Uint8Array): void => {
    if (broken) throw new HostError("cannot read", { errno: "EIO" });
    into.set(image.subarray(offset, offset + into.length));
  };
  rig = new AtaRig(new AtapiDrive({ capacity: BYTES, read }));
});

const read10 = (lba: number, count: number) => [0x28, 0, 0, 0, 0, lba, 0, 0, count];
const text = (bytes: Uint8Array) => String.fromCharCode(...bytes);
/** Key, code and qualifier of the last failure. */
const sense = () => {
  const data = rig.answer([0x03, 0, 0, 0, 18]);
  return [data[2], data[12], data[13]];
};
const fails = (packet: readonly number[]) => {
  rig.packet(packet);
  expect(rig.status).toBe(STATUS.failed);
  const key = rig.read(1) >> 4;
  const all = sense();
  expect(all[0]).toBe(key);
  expect(sense()).toEqual([0, 0, 0]);
  return all;
};

describe("the ATA side", () => {
  it("has the signature of a packet device after every reset, and answers ATA's question with it", () => {
    const signature = () => [rig.read(4), rig.read(5), rig.alternateStatus];
    expect(signature()).toEqual([0x14, 0xeb, 0]);
    rig.answer([0x00]);
    rig.command(0xec);
    expect(rig.status).toBe(STATUS.failed);
    expect(signature().slice(0, 2)).toEqual([0x14, 0xeb]);
    rig.answer([0x12, 0, 0, 0, 36]);
    rig.write(7, 0x08);
    expect(signature()).toEqual([0x14, 0xeb, 0]);
    rig.write(7, 0x90);
    expect(signature()).toEqual([0x14, 0xeb, 0]);
    expect(rig.irq.level).toBe(true);
  });

  it("describes itself as a CD-ROM", () => {
    rig.command(0xa1);
    const data = rig.readData(512);
    expect([data[0], data[1]]).toEqual([0xc0, 0x85]);
    expect(rig.status).toBe(STATUS.ready);
  });

  it("takes the modes that it has", () => {
    const set = (mode: number) => {
      rig.command(0xef, { features: 3, count: mode });
      return rig.status;
    };
    expect(set(0x22)).toBe(STATUS.ready);
    expect(set(0x0c)).toBe(STATUS.ready);
    expect(set(0x45)).toBe(STATUS.failed);
    rig.command(0xa1);
    expect(rig.readData(512)[2 * 63 + 1]).toBe(4);
  });

  it("may be told what a software reset is to leave", () => {
    for (const [features, status] of [
      [0xcc, STATUS.ready],
      [0x66, STATUS.ready],
      [0x67, STATUS.failed],
    ] as const) {
      rig.command(0xef, { features });
      expect(rig.status).toBe(status);
    }
  });
});

describe("packets", () => {
  it("go through the phases that the interrupt reason names", () => {
    rig.command(0xa0, { lba: 8 << 8, count: 0, device: 0xa0 });
    expect([rig.read(2), rig.status, rig.irq.takeRises()]).toEqual([1, STATUS.data, 0]);
    rig.writeData(Uint8Array.from([0x12, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0]));
    expect([rig.irq.takeRises(), rig.read(2), rig.status]).toEqual([1, 2, STATUS.data]);
    expect([rig.read(4), rig.read(5)]).toEqual([8, 0]);
    for (let i = 0; i < 4; i++) rig.readData(8);
    expect(rig.irq.takeRises()).toBe(1);
    expect([rig.read(4), rig.status]).toEqual([4, STATUS.data]);
    rig.readData(4);
    expect([rig.irq.takeRises(), rig.read(2), rig.status]).toEqual([1, 3, STATUS.ready]);
  });

  it("give no more than is asked for", () => {
    expect(rig.answer([0x12, 0, 0, 0, 5]).length).toBe(5);
    expect(text(rig.answer([0x12, 0, 0, 0, 36]).subarray(8, 26))).toBe("solo5   kvm CD-ROM");
    expect(rig.answer([0x12, 0, 0, 0, 0]).length).toBe(0);
  });

  it("read sectors", () => {
    expect(rig.answer([0x25])).toEqual(Uint8Array.from([0, 0, 0, 40, 0, 0, 8, 0]));
    expect(rig.answer(read10(3, 2))).toEqual(sectors(3, 2));
    expect(rig.answer(read10(3, 3), 2048)).toEqual(sectors(3, 3));
    expect(rig.answer(read10(0, 41), 0)).toEqual(sectors(0, 41));
    expect(rig.answer([0xa8, 0, 0, 0, 0, 40, 0, 0, 0, 1])).toEqual(sectors(40, 1));
    expect(rig.answer([0xbe, 0, 0, 0, 0, 2, 0, 0, 1, 0x10])).toEqual(sectors(2, 1));
    expect(rig.answer(read10(3, 0)).length).toBe(0);
    expect(rig.status).toBe(STATUS.ready);
  });

  it("read by DMA", () => {
    rig.packet(read10(5, 2), { dma: true });
    rig.startDma(true, [[0x8000, 4096]]);
    expect([rig.irq.level, rig.read(2), rig.status]).toEqual([true, 3, STATUS.ready]);
    expect(rig.memory.slice(gpa(0x8000), 4096)).toEqual(sectors(5, 2));
  });

  it("fail beyond the end, and on what there is not", () => {
    expect(fails(read10(40, 2))).toEqual([5, 0x21, 0]);
    expect(fails([0x2b, 0, 0, 0, 0, 41])).toEqual([5, 0x21, 0]);
    expect(fails([0xff])).toEqual([5, 0x20, 0]);
    expect(fails([0x12, 1, 0x80, 0, 36])).toEqual([5, 0x24, 0]);
    expect(fails([0x5a, 0, 0x19, 0, 0, 0, 0, 0, 99])).toEqual([5, 0x24, 0]);
    expect(fails([0x43, 0, 5, 0, 0, 0, 0, 0, 99])).toEqual([5, 0x24, 0]);
    expect(fails([0xbe, 0, 0, 0, 0, 2, 0, 0, 1, 0xf8])).toEqual([5, 0x24, 0]);
  });

  it("fail when the host does", () => {
    broken = true;
    expect(fails(read10(1, 1))).toEqual([3, 0x11, 0]);
    rig.packet(read10(1, 1), { dma: true });
    rig.startDma(true, [[0x8000, 2048]]);
    expect(rig.status).toBe(STATUS.failed);
  });
});

describe("the disc and its tray", () => {
  it("has one track of data, and one session", () => {
    const toc = [0x43, 0, 0, 0, 0, 0, 0, 0, 99];
    const tracks = [0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 0, 41];
    expect([...rig.answer(toc)]).toEqual([0, 18, 1, 1, ...tracks]);
    expect([...rig.answer([0x43, 2, 0, 0, 0, 0, 0xaa, 0, 99])].slice(-4)).toEqual([0, 0, 2, 41]);
    expect([...rig.answer([0x43, 0, 1, 0, 0, 0, 0, 0, 99])]).toEqual([
      ...[0, 10, 1, 1],
      ...[0, 0x14, 1, 0, 0, 0, 0, 0],
    ]);
  });

  it("tells its features and its pages", () => {
    const features = rig.answer([0x46, 0, 0, 0, 0, 0, 0, 1, 0]);
    expect([...features.subarray(0, 8)]).toEqual([0, 0, 0, features.length - 4, 0, 0, 0, 8]);
    expect([...rig.answer([0x46, 2, 0, 3, 0, 0, 0, 1, 0])].slice(8)).toEqual([
      ...[0, 3, 3, 4],
      ...[0x29, 0, 0, 0],
    ]);
    const page = rig.answer([0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 99]);
    expect([page[1], page[8], page[9]]).toEqual([page.length - 2, 0x2a, page.length - 10]);
    const all = rig.answer([0x1a, 0, 0x3f, 0, 99]);
    expect(all[0]).toBe(all.length - 1);
    expect(rig.answer([0x51, 0, 0, 0, 0, 0, 0, 0, 99]).length).toBe(34);
    expect(rig.answer([0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8]).length).toBe(8);
  });

  it("opens unless it is locked", () => {
    const eject = [0x1b, 0, 0, 0, 2];
    const media = () => rig.answer([0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8])[5];
    expect(media()).toBe(2);
    rig.packet([0x1e, 0, 0, 0, 1]);
    expect(fails(eject)).toEqual([5, 0x53, 2]);
    rig.packet([0x1e, 0, 0, 0, 0]);
    rig.packet(eject);
    expect([rig.status, media()]).toEqual([STATUS.ready, 1]);
    expect(fails([0x00])).toEqual([2, 0x3a, 0]);
    expect(fails(read10(1, 1))).toEqual([2, 0x3a, 0]);
    rig.packet([0x1b, 0, 0, 0, 3]);
    expect([rig.status, media()]).toEqual([STATUS.ready, 2]);
    expect(fails([0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8])).toEqual([5, 0x24, 0]);
  });
});

it("survives any order of accesses", () => {
  readWriteEverything(() => {
    const { channel, master } = new AtaRig(new AtapiDrive(new FakeDisk(8)));
    return {
      ranges: [
        [channel.commandBlock, 8],
        [channel.controlBlock, 1],
        [master, master.length],
      ],
    };
  });
});
