import { describe, expect, it } from "vitest";
import { MemorySource } from "../../src/boot/byte-source.ts";
import { loadImage } from "../../src/boot/direct-boot.ts";
import { identify } from "../../src/boot/image.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa, MIB } from "../../src/core/units.ts";
import { buildElf } from "../support/elf-builder.ts";

const PHYSICAL = 0x20_0000;

const kernel = (virtualAddress: bigint, sections: string[] = []): MemorySource =>
  new MemorySource(
    buildElf({
      class: 64,
      entry: BigInt(PHYSICAL + 0x10),
      segments: [
        { physicalAddress: PHYSICAL, virtualAddress, data: new Uint8Array(64).fill(0x90) },
      ],
      sections: sections.map((name) => ({ name, type: 1, data: new Uint8Array(8) })),
    }),
  );

describe("an ELF kernel for Linux's boot protocol", () => {
  it("is entered in 64-bit mode, with RSI at the boot parameters", () => {
    const memory = new GuestMemory(new ArrayBuffer(16 * MIB));
    const source = kernel(0xffff_ffff_8020_0000n);
    expect(identify(source)).toMatchObject({ kind: "linux-elf" });
    const initrd = new MemorySource(new Uint8Array(100).fill(0x55));
    const { registers } = loadImage({ source, memory, commandLine: ["a", "b=c"], initrd });
    expect(registers.rip).toBe(BigInt(PHYSICAL + 0x10));
    expect([registers.efer & 0x500n, registers.cr0 & 0x8000_0001n]).toEqual([0x500n, 0x8000_0001n]);
    const parameters = Number(registers.rsi);
    const u32 = (offset: number): number => memory.readU32(gpa(parameters + offset));
    expect([u32(0x202), memory.readU16(gpa(parameters + 0x1fe))]).toEqual([0x5372_6448, 0xaa55]);
    expect(new TextDecoder().decode(memory.slice(gpa(u32(0x228)), 6).slice())).toBe("a b=c\0");
    expect([u32(0x21c), memory.readU8(gpa(u32(0x218) + 99))]).toEqual([100, 0x55]);
    expect(memory.readU8(gpa(parameters + 0x1e8))).toBe(4);
    expect(memory.readU64(gpa(parameters + 0x2d0 + 3 * 20 + 8))).toBe(15 * MIB);
  });

  it("is known by the higher half, or by Unikraft's section", () => {
    const flat = BigInt(PHYSICAL);
    expect(identify(kernel(flat)).kind).not.toBe("linux-elf");
    expect(identify(kernel(flat, [".uk_bootinfo"])).kind).toBe("linux-elf");
  });
});
