import { describe, expect, it } from "vitest";
import { findBootImage } from "../../../src/boot/bios/boot-media.ts";
import { cdDrive, floppyDrive, hardDisk } from "../../../src/boot/bios/drive.ts";
import { OverlayDisk } from "../../../src/boot/bios/overlay-disk.ts";
import { MemorySource } from "../../../src/boot/byte-source.ts";
import { gpa, MILLISECOND } from "../../../src/core/units.ts";
import { SeededRandom } from "../../support/random.ts";
import { BiosRig } from "./rig.ts";

const VECTORS = [0x08, 0x09, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x1a, 0x70, 0x76];

describe("guests that ask for anything", () => {
  it("get some answer from every service", () => {
    const disk = (): OverlayDisk => new OverlayDisk(new MemorySource(new Uint8Array(700_000)));
    const rig = new BiosRig({
      drives: [floppyDrive(0, disk()), hardDisk(0x80, disk()), cdDrive(0xe0, disk())],
      display: true,
    });
    const random = new SeededRandom(1);
    const word = (): number => random.pick([0, 1, 0xffff, random.below(0x1_0000)]);
    for (let i = 0; i < 5000; i++) {
      for (let n = 0; n < 8; n++) rig.memory.writeU8(gpa(0x600 + random.below(64)), word() & 0xff);
      rig.memory.writeU8(gpa(0x400 + random.below(256)), word() & 0xff);
      let left = 20;
      const values = {
        ...{ eax: word() * 0x1_0000 + word(), ebx: word(), ecx: word(), edx: word() },
        ...{ esi: random.pick([0x600, word()]), edi: word(), bp: word() },
        ...{ es: word(), ds: random.pick([0, word()]) },
      };
      // Likely functions, and drives that are there.
      values.eax = random.chance(70) ? random.below(0x50) * 256 + random.below(4) : values.eax;
      values.edx = random.chance(50) ? random.pick([0, 0x80, 0xe0]) : values.edx;
      try {
        rig.int(random.pick(VECTORS), values, () => {
          rig.clock.advance(100 * MILLISECOND);
          if (--left === 0) throw new Error("enough");
        });
      } catch (error) {
        expect((error as Error).message).toBe("enough");
      }
    }
  });

  it("may call with a stack that is nowhere", () => {
    const rig = new BiosRig();
    const { registers } = rig;
    rig.registers = {
      ...registers,
      rip: BigInt(rig.memory.readU16(gpa(4 * 0x15))),
      rax: 0x5300n,
      ss: { ...registers.ss, base: 0xffff_0000n },
    };
    const before = rig.registers;
    rig.trap();
    expect(rig.registers).toBe(before);
  });
});

describe("images that a BIOS is to boot", () => {
  it("are one, or none, or are refused with a line", () => {
    const random = new SeededRandom(2);
    const original = new Uint8Array(20 * 2048);
    const write = (at: number, text: string): void => {
      original.set(new TextEncoder().encode(text), at);
    };
    // A volume with a boot record, and a catalog of one entry.
    const volume = new DataView(original.buffer, 16 * 2048);
    original[16 * 2048] = 1;
    write(16 * 2048 + 1, "CD001\x01");
    volume.setUint32(80, 20, true);
    volume.setUint16(128, 2048, true);
    // The root directory's record.
    volume.setUint8(156, 34);
    volume.setUint32(158, 18, true);
    volume.setUint32(166, 2048, true);
    volume.setUint8(181, 2);
    volume.setUint8(188, 1);
    write(17 * 2048 + 1, "CD001\x01EL TORITO SPECIFICATION");
    new DataView(original.buffer).setUint32(17 * 2048 + 0x47, 19, true);
    original.set([1, 0, 0, 0], 19 * 2048);
    original.set([0xaa, 0x55, 0x55, 0xaa], 19 * 2048 + 28);
    original.set([0x88, 0, 0, 0, 0, 0, 4, 0, 2], 19 * 2048 + 32);
    expect(findBootImage(new MemorySource(original))?.kind).toBe("cd");
    for (let i = 0; i < 3000; i++) {
      const bytes = original.slice(
        0,
        random.chance(10) ? random.below(original.length) : undefined,
      );
      const sector = random.pick([16, 17, 19]) * 2048;
      for (let n = random.below(4); n >= 0; n--)
        bytes[sector + random.below(256)] = random.below(256);
      try {
        const image = findBootImage(new MemorySource(bytes));
        if (image?.kind === "cd") image.boot.program.read(0, image.boot.program.size);
      } catch (error) {
        expect((error as Error).name).toBe("GuestError");
      }
    }
  });
});
