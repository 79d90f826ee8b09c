import { beforeEach, describe, expect, it } from "vitest";
import { WINDOW_FUNCTION } from "../../../src/boot/bios/rom.ts";
import { gpa, KIB, MIB } from "../../../src/core/units.ts";
import { BiosRig } from "./rig.ts";

const VIDEO = 64 * MIB;
const BLOCK = 0x5000;
const WINDOW = 0xa_0000;
const LINEAR = 0x4000;
const KEEP = 0x8000;

let rig: BiosRig;

beforeEach(() => {
  rig = new BiosRig({ display: true });
});

type Values = Parameters<BiosRig["int"]>[1];
/** AX after a function of VBE's: 0x4f for success. */
const vbe = (al: number, values: Values = {}): number =>
  rig.int(0x10, { ax: 0x4f00 | al, es: BLOCK >> 4, di: 0, ...values }).get("ax");
const u16 = (offset: number): number => rig.memory.readU16(gpa(BLOCK + offset));
const u32 = (offset: number): number => rig.memory.readU32(gpa(BLOCK + offset));
const far = (offset: number): number => u16(offset + 2) * 16 + u16(offset);
const pixel = (x: number, y: number): number[] => {
  const picture = rig.board.picture();
  const at = 3 * (y * (picture?.width ?? 0) + x);
  return [...(picture?.pixels.subarray(at, at + 3) ?? [])];
};

it("mode 13h is a picture with the VGA's colours, and mode 3 is none", () => {
  rig.int(0x10, { ah: 0, al: 0x13 });
  rig.memory.writeU8(gpa(WINDOW + 321), 0x28);
  expect(rig.board.picture()).toMatchObject({ width: 320, height: 200 });
  expect([pixel(0, 0), pixel(1, 1)]).toEqual([
    [0, 0, 0],
    [255, 0, 0],
  ]);
  // Four planes, of which there is one here.
  rig.board.ports.write(0x3c4, 2, 0x0604);
  expect(rig.board.picture()).toBeUndefined();
  rig.int(0x10, { ah: 0, al: 3 });
  expect(rig.board.picture()).toBeUndefined();
});

describe("VBE's functions", () => {
  it("describe the controller, and its modes in a list", () => {
    rig.memory.write(gpa(BLOCK), new TextEncoder().encode("VBE2"));
    expect(vbe(0)).toBe(0x4f);
    expect(rig.memory.slice(gpa(BLOCK), 4)).toEqual(new TextEncoder().encode("VESA"));
    expect([u16(4), u16(0x12)]).toEqual([0x300, 256]);
    expect(rig.memory.readU8(gpa(far(6)))).toBe("s".charCodeAt(0));
    const modes: number[] = [];
    for (let at = far(0x0e); rig.memory.readU16(gpa(at)) !== 0xffff; at += 2) {
      modes.push(rig.memory.readU16(gpa(at)));
    }
    expect(modes).toEqual(expect.arrayContaining([0x101, 0x112, 0x115, 0x118, 0x11b, 0x144]));
    expect(modes).toEqual([...modes].sort((a, b) => a - b));
    for (const number of modes) expect(vbe(1, { cx: number })).toBe(0x4f);
  });

  it("write no more than a caller of VBE 1.2 has room for", () => {
    rig.memory.fill(gpa(BLOCK), 512, 0xaa);
    vbe(0);
    expect(u32(256)).toBe(0xaaaa_aaaa);
    expect(u32(0x16)).toBe(0);
  });

  it("describe a mode", () => {
    expect(vbe(1, { cx: 0x144 | LINEAR })).toBe(0x4f);
    expect([u16(0x10), u16(0x12), u16(0x14), u32(0x28)]).toEqual([4096, 1024, 768, VIDEO]);
    expect([...rig.memory.slice(gpa(BLOCK + 0x1f), 8)]).toEqual([8, 16, 8, 8, 8, 0, 8, 24]);
    expect(u16(0) & 0x99).toBe(0x99);
    expect(rig.memory.readU8(gpa(BLOCK + 0x19))).toBe(32);
    expect(vbe(1, { cx: 0x111 })).toBe(0x4f);
    expect([...rig.memory.slice(gpa(BLOCK + 0x1f), 8)]).toEqual([5, 11, 6, 5, 5, 0, 0, 0]);
    expect(vbe(1, { cx: 0x1ab })).toBe(0x14f);
  });

  it("set a mode, tell of it and leave it", () => {
    expect(vbe(2, { bx: 0x144 | LINEAR })).toBe(0x4f);
    expect(rig.modes).toEqual(["1024x768x32"]);
    expect(rig.int(0x10, { ax: 0x4f03 }).get("bx")).toBe(0x4144);
    expect(rig.board.picture()).toMatchObject({ width: 1024, height: 768 });
    rig.memory.writeU32(gpa(VIDEO + 4096 * 2 + 4 * 3), 0x11_2233);
    expect(pixel(3, 2)).toEqual([0x11, 0x22, 0x33]);
    expect(vbe(2, { bx: 0x144 | LINEAR | KEEP })).toBe(0x4f);
    expect(pixel(3, 2)).toEqual([0x11, 0x22, 0x33]);
    expect(vbe(2, { bx: 0x144 | LINEAR })).toBe(0x4f);
    expect(pixel(3, 2)).toEqual([0, 0, 0]);
    expect(vbe(2, { bx: 3 })).toBe(0x4f);
    expect(rig.board.picture()).toBeUndefined();
    expect(rig.int(0x10, { ax: 0x4f03 }).get("bx")).toBe(3);
    expect(vbe(2, { bx: 0x1ab })).toBe(0x14f);
  });

  it("leave the mode when the VGA's service sets one", () => {
    vbe(2, { bx: 0x101 | LINEAR });
    rig.int(0x10, { ah: 0, al: 3 });
    expect(rig.board.picture()).toBeUndefined();
    expect(rig.int(0x10, { ax: 0x4f03 }).get("bx")).toBe(3);
  });

  it("move the window, which shows one bank and keeps the others", () => {
    vbe(2, { bx: 0x101 });
    rig.memory.writeU8(gpa(WINDOW), 15);
    expect(vbe(5, { bx: 0, dx: 1 })).toBe(0x4f);
    expect(rig.memory.readU8(gpa(WINDOW))).toBe(0);
    rig.memory.writeU8(gpa(WINDOW + 1), 4);
    expect(rig.int(0x10, { ax: 0x4f05, bx: 0x100 }).get("dx")).toBe(1);
    expect(pixel(0, 0)).toEqual([255, 255, 255]);
    const second = 64 * KIB + 1;
    expect(pixel(second % 640, Math.floor(second / 640))).toEqual([170, 0, 0]);
    vbe(5, { bx: 0, dx: 0 });
    expect(rig.memory.readU8(gpa(WINDOW))).toBe(15);
    expect(vbe(5, { bx: 1, dx: 0 })).toBe(0x14f);
  });

  it("have no window where all of video memory is in a row", () => {
    vbe(2, { bx: 0x101 | LINEAR });
    expect(vbe(5, { bx: 0, dx: 1 })).toBe(0x34f);
  });

  it("have the window's function be called far, too", () => {
    const { segment, offset } = WINDOW_FUNCTION;
    vbe(1, { cx: 0x101 });
    expect(far(0x0c)).toBe(segment * 16 + offset);
    const code = rig.memory.slice(gpa(segment * 16 + offset), 6);
    expect([...code]).toEqual([0xb8, 0x05, 0x4f, 0xcd, 0x10, 0xcb]);
  });

  it("lengthen lines, and show any part of video memory", () => {
    vbe(2, { bx: 0x143 | LINEAR });
    const length = rig.int(0x10, { ax: 0x4f06, bl: 0, cx: 1000 });
    expect([length.get("bx"), length.get("cx"), length.get("dx")]).toEqual([4000, 1000, 4194]);
    expect(rig.int(0x10, { ax: 0x4f06, bl: 2, cx: 4001 }).get("cx")).toBe(1001);
    expect(vbe(6, { bl: 0, cx: 0xffff })).toBe(0x14f);
    vbe(6, { bl: 0, cx: 1000 });
    rig.memory.writeU32(gpa(VIDEO + 4 * (1000 * 600 + 10)), 0xff_ffff);
    expect(pixel(0, 0)).toEqual([0, 0, 0]);
    expect(vbe(7, { bl: 0, cx: 10, dx: 600 })).toBe(0x4f);
    expect(pixel(0, 0)).toEqual([255, 255, 255]);
    const start = rig.int(0x10, { ax: 0x4f07, bl: 1 });
    expect([start.get("cx"), start.get("dx")]).toEqual([10, 600]);
  });

  it("set colours of six or eight bits", () => {
    vbe(2, { bx: 0x103 | LINEAR });
    rig.memory.writeU32(gpa(BLOCK), 0x00_3f_20_01);
    expect(vbe(9, { bl: 0, cx: 1, dx: 0 })).toBe(0x4f);
    expect(pixel(0, 0)).toEqual([255, 130, 4]);
    const wide = rig.int(0x10, { ax: 0x4f08, bl: 0, bh: 8 });
    expect(wide.get("bh")).toBe(8);
    rig.memory.writeU32(gpa(BLOCK), 0x00_ff_80_01);
    vbe(9, { bl: 0, cx: 1, dx: 0 });
    expect(pixel(0, 0)).toEqual([255, 128, 1]);
    rig.memory.writeU32(gpa(BLOCK), 0);
    expect(vbe(9, { bl: 1, cx: 1, dx: 0 })).toBe(0x4f);
    expect(u32(0)).toBe(0x00_ff_80_01);
    expect(vbe(9, { bl: 0, cx: 2, dx: 255 })).toBe(0x14f);
    vbe(2, { bx: 0x144 | LINEAR });
    expect(vbe(8, { bl: 1 })).toBe(0x34f);
  });

  it("know no monitor, no power and no protected mode", () => {
    expect(vbe(0x15, { bl: 1 })).toBe(0x14f);
    expect([vbe(0x0a), vbe(0x10)]).toEqual([0x4f0a, 0x4f10]);
  });

  it("are refused outside of a mode of theirs", () => {
    expect([vbe(5), vbe(6), vbe(7), vbe(8)]).toEqual([0x34f, 0x14f, 0x14f, 0x34f]);
  });
});
