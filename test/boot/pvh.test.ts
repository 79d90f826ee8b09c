import { describe, expect, it } from "vitest";
import { MemorySource } from "../../src/boot/byte-source.ts";
import { loadImage } from "../../src/boot/direct-boot.ts";
import { PT_NOTE } from "../../src/boot/elf.ts";
import { identify } from "../../src/boot/image.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa, MIB } from "../../src/core/units.ts";
import { buildElf } from "../support/elf-builder.ts";

/** A kernel at 1 MiB with a note that says where its 32-bit entry is. */
function kernel(entry: number): MemorySource {
  const note = new Uint8Array(12 + 4 + 4);
  const view = new DataView(note.buffer);
  view.setUint32(0, 4, true);
  view.setUint32(4, 4, true);
  view.setUint32(8, 18, true);
  note.set(new TextEncoder().encode("Xen\0"), 12);
  view.setUint32(16, entry, true);
  const segments = [
    { physicalAddress: 0x10_0000, data: new Uint8Array(64).fill(0x90), memorySize: 0x3000 },
    { type: PT_NOTE, physicalAddress: 0x20_0000, data: note, alignment: 4 },
  ];
  return new MemorySource(buildElf({ class: 64, entry: 0xffff_ffff_8010_0000n, segments }));
}

describe("PVH", () => {
  it("is entered in 32 bits with EBX at the start information", () => {
    const memory = new GuestMemory(new ArrayBuffer(8 * MIB));
    const source = kernel(0x10_0010);
    expect(identify(source)).toMatchObject({ kind: "pvh" });
    const initrd = new MemorySource(new Uint8Array(100).fill(0x55));
    const { registers } = loadImage({ source, memory, commandLine: ["a", "b=c"], initrd });
    expect([registers.rip, registers.cr0 & 0x8000_0001n]).toEqual([0x10_0010n, 1n]);
    const info = Number(registers.rbx);
    const u32 = (offset: number): number => memory.readU32(gpa(info + offset));
    expect([u32(0), u32(4), u32(12), u32(32)]).toEqual([0x336e_c578, 1, 1, 0xe_0000]);
    expect(new TextDecoder().decode(memory.slice(gpa(u32(24)), 6).slice())).toBe("a b=c\0");
    const module = memory.readU32(gpa(u32(16)));
    expect(memory.readU32(gpa(u32(16) + 8))).toBe(100);
    expect([module % 4096, memory.readU8(gpa(module + 99))]).toEqual([0, 0x55]);
    expect(u32(48)).toBe(4);
    expect(memory.readU64(gpa(u32(40) + 3 * 24 + 8))).toBe(7 * MIB);
  });

  it("is refused with an entry outside of the kernel", () => {
    const memory = new GuestMemory(new ArrayBuffer(8 * MIB));
    const request = { source: kernel(0x30_0000), memory, commandLine: [] };
    expect(() => loadImage(request)).toThrow("entry point 0x300000 is outside the kernel");
  });
});
