import { describe, expect, it } from "vitest";
import { bootMedia, findBootImage } from "../../../src/boot/bios/boot-media.ts";
import { MemorySource } from "../../../src/boot/byte-source.ts";
import { KIB } from "../../../src/core/units.ts";

/** An image with a boot sector, which may say what floppy it is on. */
function imageOf(size: number, told?: { sectors: number; track: number; heads: number }) {
  const bytes = new Uint8Array(size).fill(0xcc);
  const view = new DataView(bytes.buffer);
  view.setUint16(0x0b, 512, true);
  view.setUint16(0x13, told?.sectors ?? 0, true);
  view.setUint16(0x18, told?.track ?? 0, true);
  view.setUint16(0x1a, told?.heads ?? 0, true);
  view.setUint16(510, 0xaa55, true);
  return findBootImage(new MemorySource(bytes));
}

const driveOf = (image: ReturnType<typeof imageOf>) => {
  const [drive] = bootMedia(image, []).drives;
  if (drive === undefined) throw new Error("no drive");
  return drive;
};

/** 1440 KiB. */
const FLOPPY = { sectors: 2880, track: 18, heads: 2 };

describe("an image that a BIOS boots", () => {
  it.each([10 * KIB + 3, 1440 * KIB + 512])(
    "is a floppy if its boot sector says so, cut off or too long: %d bytes",
    (size) => {
      const { number, geometry, disk } = driveOf(imageOf(size, FLOPPY));
      expect(number).toBe(0);
      expect(geometry).toEqual({ cylinders: 80, heads: 2, sectors: 18 });
      expect(disk.capacity).toBe(1440 * KIB);
    },
  );

  it.each([
    ["contradicts itself", imageOf(10 * KIB, { ...FLOPPY, track: 9 })],
    ["tells of a size that no floppy has", imageOf(10 * KIB, { ...FLOPPY, sectors: 2879 })],
    ["tells of a floppy and there is far more", imageOf(4096 * KIB, FLOPPY)],
    ["tells nothing", imageOf(10 * KIB)],
  ])("is a hard disk if its boot sector %s", (_, image) => {
    expect(driveOf(image).number).toBe(0x80);
  });

  it("is a floppy by its size, whatever its boot sector tells", () => {
    const { number, geometry } = driveOf(imageOf(360 * KIB, FLOPPY));
    expect([number, geometry.sectors]).toEqual([0, 9]);
  });

  it("needs no signature on a floppy that begins with code", () => {
    const image = (size: number, ...head: number[]) => {
      const bytes = new Uint8Array(size);
      bytes.set(head);
      return findBootImage(new MemorySource(bytes));
    };
    expect(driveOf(image(160 * KIB, 0xfa, 0xfc)).number).toBe(0);
    const add = [0x05, 0xfa];
    const formatted = new Array<number>(16).fill(0xf6);
    expect([image(160 * KIB, ...add), image(160 * KIB, ...formatted)]).toEqual([
      undefined,
      undefined,
    ]);
    expect(image(161 * KIB, 0xfa, 0xfc)).toBeUndefined();
  });

  it("reads as zeros where it was cut off", () => {
    const { geometry, disk } = driveOf(imageOf(700));
    const { cylinders, heads, sectors } = geometry;
    expect(disk.capacity).toBe(cylinders * heads * sectors * 512);
    const sector = new Uint8Array(1024).fill(0xee);
    disk.read(512, sector);
    expect([...new Set(sector.subarray(0, 188))]).toEqual([0xcc]);
    expect([...new Set(sector.subarray(188))]).toEqual([0]);
  });
});
