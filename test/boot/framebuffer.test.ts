import { describe, expect, it } from "vitest";
import { MemorySource } from "../../src/boot/byte-source.ts";
import { loadImage } from "../../src/boot/direct-boot.ts";
import { modeFor } from "../../src/boot/framebuffer.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa, MIB } from "../../src/core/units.ts";
import { buildElf, multibootHeader } from "../support/elf-builder.ts";

const RAM = 8 * MIB;
const VIDEO = 16 * MIB;
const VBE = 1 << 11;
const FRAMEBUFFER = 1 << 12;

/** What a Multiboot kernel finds that asks for this mode: type, width, height, depth. */
function started(asked: readonly number[] | undefined, display = true) {
  const data = new Uint8Array(0x1000);
  data.set(multibootHeader(asked === undefined ? 0 : 4));
  asked?.forEach((value, i) => {
    new DataView(data.buffer).setUint32(32 + 4 * i, value, true);
  });
  const segments = [{ physicalAddress: MIB, data }];
  const source = new MemorySource(buildElf({ class: 32, entry: MIB + 0x100, segments }));
  const video = display ? { address: VIDEO, length: 16 * MIB } : undefined;
  const memory = new GuestMemory(new ArrayBuffer(32 * MIB), 0, RAM, video);
  const { registers, graphics } = loadImage({ source, memory, commandLine: ["one", "two"] });
  const info = Number(registers.rbx);
  const u32 = (offset: number): number => memory.readU32(gpa(info + offset));
  const u8 = (offset: number): number => memory.readU8(gpa(info + offset));
  return { graphics, memory, u32, u8 };
}

describe("Multiboot's fields of the screen", () => {
  it("are not there for kernels that do not ask", () => {
    const { u32, graphics } = started(undefined);
    expect(u32(0) & (VBE | FRAMEBUFFER)).toBe(0);
    expect(graphics).toBeUndefined();
  });

  it("describe video memory, for VBE's users too", () => {
    const { u32, u8, memory, graphics } = started([0, 800, 600, 32]);
    expect(graphics).toEqual({ width: 800, height: 600, depth: 32 });
    expect(u32(0) & (VBE | FRAMEBUFFER)).toBe(VBE | FRAMEBUFFER);
    expect([u32(88), u32(92), u32(96), u32(100), u32(104)]).toEqual([VIDEO, 0, 3200, 800, 600]);
    expect([108, 109, 110, 111, 112, 113, 114, 115].map(u8)).toEqual([32, 1, 16, 8, 8, 8, 0, 8]);
    expect(memory.slice(gpa(u32(72)), 4)).toEqual(new TextEncoder().encode("VESA"));
    const mode = u32(76);
    expect(memory.readU16(gpa(mode + 0x12))).toBe(800);
    expect(memory.readU32(gpa(mode + 0x28))).toBe(VIDEO);
    expect(u32(80) & 0xffff).toBe(0x4143);
    // The strings are where they were said to be.
    const text = memory.slice(gpa(u32(16)), 14);
    expect(new TextDecoder().decode(text)).toBe("kernel one two");
  });

  it("have no VBE mode where VBE has none of that size", () => {
    const { u32 } = started([0, 808, 600, 32]);
    expect(u32(0) & (VBE | FRAMEBUFFER)).toBe(FRAMEBUFFER);
    expect(u32(100)).toBe(808);
  });

  it.each([
    ["without a display", [0, 800, 600, 32], false],
    ["for kernels that ask for it", [1, 80, 25, 0], true],
  ] as const)("describe text %s", (_when, asked, display) => {
    const { u32, u8 } = started(asked, display);
    expect(u32(0) & (VBE | FRAMEBUFFER)).toBe(FRAMEBUFFER);
    expect([u32(88), u32(96), u32(100), u32(104)]).toEqual([0xb_8000, 160, 80, 25]);
    expect([u8(108), u8(109)]).toEqual([16, 2]);
  });
});

it("a mode is what was asked for, or a usual one", () => {
  const usual = { width: 1024, height: 768, depth: 32 };
  expect(modeFor({ width: 0, height: 0, depth: 0 })).toEqual(usual);
  expect(modeFor({ width: 0xffff_ffff, height: 600, depth: 8 })).toEqual(usual);
  expect(modeFor({ width: 801, height: 600, depth: 32 })).toEqual(usual);
  expect(modeFor({ width: 1920, height: 1080, depth: 16 })).toMatchObject({
    depth: 16,
    width: 1920,
  });
});
