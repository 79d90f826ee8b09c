import { beforeEach, expect, it } from "vitest";
import { GuestMemory } from "../../../src/core/guest-memory.ts";
import { gpa, KIB, MIB } from "../../../src/core/units.ts";
import { DispiAdapter } from "../../../src/devices/video/dispi.ts";
import { wide } from "../../../src/devices/video/pixel-formats.ts";

const RAM = 2 * MIB;
const ENABLED = 0x41;
const palette = Uint8Array.from({ length: 768 }, (_, i) => i % 256);
const vga = { palette, wideDac: false, isPicture: false };

let memory: GuestMemory;
let adapter: DispiAdapter;
let modes: string[];

beforeEach(() => {
  modes = [];
  const videoMemory = { address: RAM, length: 256 * KIB };
  memory = new GuestMemory(new ArrayBuffer(RAM + 256 * KIB), 0, RAM, videoMemory);
  const onMode = (...mode: number[]): number => modes.push(mode.join("x"));
  adapter = new DispiAdapter({ memory, videoMemory, vga, onMode });
});

const write = (index: number, value: number): void => {
  adapter.write(0, 2, index);
  adapter.write(1, 2, value);
};
const read = (index: number): number => {
  adapter.write(0, 2, index);
  return adapter.read(1, 2);
};
const set = (width: number, height: number, depth: number, flags = ENABLED): void => {
  write(4, 0);
  [width, height, depth, flags].forEach((value, i) => {
    write(i + 1, value);
  });
};

it("says which it is, and what it can", () => {
  expect([read(0), read(10), adapter.read(0, 2)]).toEqual([0xb0c5, 4, 10]);
  write(4, 2);
  expect([read(1), read(2), read(3)]).toEqual([2560, 1600, 32]);
  expect(read(99)).toBe(0);
});

it.each([
  [8, [0x02], [6, 7, 8]],
  [15, [0xe0, 0x7f], [255, 255, 0]],
  [16, [0x1f, 0xf8], [255, 0, 255]],
  [24, [1, 2, 3], [3, 2, 1]],
  [32, [1, 2, 3, 9], [3, 2, 1]],
])("shows pixels of %i bits", (depth, bytes, colours) => {
  set(16, 4, depth);
  const at = RAM + bytes.length * (16 + 5);
  memory.write(gpa(at), Uint8Array.from(bytes));
  const picture = adapter.picture();
  expect(picture).toMatchObject({ width: 16, height: 4 });
  expect([...(picture?.pixels.subarray(63, 66) ?? [])]).toEqual(colours);
  expect(modes).toEqual([`16x4x${depth}`]);
});

it("makes eight bits of fewer, all of their range", () => {
  expect([wide(0, 5), wide(31, 5), wide(16, 5), wide(63, 6)]).toEqual([0, 255, 132, 255]);
});

it("has nothing to show when it is off, without a size, or in a depth that there is not", () => {
  expect(adapter.picture()).toBeUndefined();
  set(0, 4, 32);
  expect(adapter.picture()).toBeUndefined();
  set(16, 4, 7);
  expect(adapter.picture()).toBeUndefined();
  expect(modes).toEqual([]);
  set(16, 4, 32);
  adapter.reset();
  expect(adapter.picture()).toBeUndefined();
});

it("leaves the screen to a VGA, which may have a picture", () => {
  memory.writeU8(gpa(0xa_0000 + 320 * 199 + 5), 1);
  set(16, 4, 32);
  write(4, 0);
  vga.isPicture = true;
  const picture = adapter.picture();
  vga.isPicture = false;
  expect(picture).toMatchObject({ width: 320, height: 200 });
  const at = 3 * (320 * 199 + 5);
  expect([...(picture?.pixels.subarray(at, at + 3) ?? [])]).toEqual([3, 4, 5]);
});

it("shows black beyond its memory", () => {
  set(2560, 1600, 32);
  memory.fill(gpa(RAM), 256 * KIB, 0xff);
  const { pixels = new Uint8Array(0) } = adapter.picture() ?? {};
  expect(pixels.lastIndexOf(255)).toBe(3 * 64 * KIB - 1);
  write(8, 0xffff);
  write(9, 0xffff);
  expect(adapter.picture()?.pixels.every((value) => value === 0)).toBe(true);
});

it("keeps what is in the window when it is switched off", () => {
  set(320, 200, 8, 0x01);
  write(5, 3);
  memory.writeU8(gpa(0xa_0000), 7);
  write(4, 0);
  expect(memory.readU8(gpa(RAM + 3 * 64 * KIB))).toBe(7);
  set(320, 200, 8, 0x01);
  // As many banks as there are; others are these again.
  write(5, 7);
  memory.writeU8(gpa(0xa_0000), 9);
  write(5, 0);
  expect(memory.readU8(gpa(RAM + 3 * 64 * KIB))).toBe(9);
});
