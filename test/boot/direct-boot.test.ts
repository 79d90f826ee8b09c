import { describe, expect, it } from "vitest";
import { MemorySource } from "../../src/boot/byte-source.ts";
import { loadImage } from "../../src/boot/direct-boot.ts";
import { type IsoFile, writeIso9660 } from "../../src/boot/iso9660-writer.ts";
import { memoryMap } from "../../src/boot/memory-map.ts";
import { decodeUtf8, encodeUtf8, untilNul } from "../../src/boot/text.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa, MIB } from "../../src/core/units.ts";
import {
  buildElf,
  kernelElf64,
  multibootElf32,
  multibootHeader,
  SEGMENT_START,
} from "../support/elf-builder.ts";

const boot = (
  bytes: Uint8Array,
  commandLine: string[] = [],
  size = 8 * MIB,
  initrd?: Uint8Array,
) => {
  const memory = new GuestMemory(new ArrayBuffer(size));
  memory.fill(gpa(MIB), size - MIB, 0xee);
  const { registers, description } = loadImage({
    source: new MemorySource(bytes),
    memory,
    commandLine,
    initrd: initrd && new MemorySource(initrd),
  });
  const info = Number(registers.rbx);
  const field = (offset: number): number => memory.readU32(gpa(info + offset));
  const string = (address: number): string =>
    decodeUtf8(untilNul(memory.slice(gpa(address), memory.size - address)));
  const modules = Array.from({ length: field(20) }, (_, index) => {
    const entry = field(24) + 16 * index;
    return {
      start: memory.readU32(gpa(entry)),
      end: memory.readU32(gpa(entry + 4)),
      commandLine: string(memory.readU32(gpa(entry + 8))),
    };
  });
  return { memory, registers, description, field, string, modules };
};

const isoOf = (menu: string, files: Record<string, Uint8Array>): Uint8Array =>
  writeIso9660({
    files: [
      { path: "/boot/grub/menu.lst", data: encodeUtf8(menu) },
      ...Object.entries(files).map(([path, data]): IsoFile => ({ path, data })),
    ],
  });

describe("direct boot", () => {
  it("loads an ELF32 kernel and clears its bss", () => {
    const { memory, registers, field, string } = boot(multibootElf32(), ["--one", "two words"]);
    expect(registers.rip).toBe(0x10_000cn);
    expect(memory.readU32(gpa(MIB))).toBe(0x1bad_b002);
    expect(memory.slice(gpa(MIB + 64), 0x1800 - 64).every((byte) => byte === 0)).toBe(true);
    expect(memory.readU8(gpa(MIB + 0x1800))).toBe(0xee);
    expect(string(field(16))).toBe("kernel --one two words");
    expect(string(field(64))).toBe("solo5-kvm");
  });

  it("gives an initrd to a Multiboot kernel as a module", () => {
    const { memory, modules } = boot(multibootElf32(), [], 8 * MIB, Uint8Array.of(7, 8, 9));
    expect(modules).toMatchObject([{ commandLine: "initrd" }]);
    const { start = 0, end = 0 } = modules[0] ?? {};
    expect([...memory.slice(gpa(start), end - start)]).toEqual([7, 8, 9]);
  });

  it("enters in flat protected mode as the specification says", () => {
    const { memory, registers } = boot(multibootElf32());
    expect(registers).toMatchObject({
      rax: 0x2bad_b002n,
      cr0: 0x11n,
      cr4: 0n,
      efer: 0n,
      rflags: 2n,
    });
    const gdt = Number(registers.gdtr.base);
    for (const { selector, base, limit, attributes } of [
      registers.cs,
      registers.ds,
      registers.ss,
    ]) {
      expect({ base, limit }).toEqual({ base: 0n, limit: 0xffff_ffff });
      expect(memory.readU32(gpa(gdt + selector))).toBe(0xffff);
      expect((memory.readU32(gpa(gdt + selector + 4)) >>> 8) & 0xf0ff).toBe(attributes);
    }
    expect(registers.gdtr.limit).toBe(23);
  });

  it("describes memory in 24-byte entries", () => {
    const { memory, field } = boot(multibootElf32());
    expect(field(0)).toBe(0x265);
    expect([field(4), field(8)]).toEqual([639, 7 * 1024]);
    const count = field(44) / 24;
    const entries = Array.from({ length: count }, (_, index) => {
      const entry = field(48) + 24 * index;
      expect(memory.readU32(gpa(entry))).toBe(20);
      const words = [entry + 4, entry + 12].map((address) => memory.readU64(gpa(address)));
      return [...words, memory.readU32(gpa(entry + 20))];
    });
    expect(entries).toEqual([
      [0, 0x9_fc00, 1],
      [0x9_fc00, 0x400, 2],
      [0xe_0000, 0x2_0000, 2],
      [MIB, 7 * MIB, 1],
    ]);
    expect(memoryMap(MIB)).toHaveLength(3);
  });

  it("puts section headers and symbols after the kernel", () => {
    const { memory, field } = boot(multibootElf32());
    expect([field(28), field(32), field(36), field(40)]).toEqual([5, 40, 0x10_2000, 4]);
    const symbols = memory.readU32(gpa(0x10_2000 + 2 * 40 + 12));
    const strings = memory.readU32(gpa(0x10_2000 + 3 * 40 + 12));
    expect(symbols).toBe(0x10_2000 + 5 * 40);
    expect(memory.readU32(gpa(symbols + 16 + 4))).toBe(MIB + 12);
    expect(decodeUtf8(memory.slice(gpa(strings), 13))).toBe("\0start\0stack\0");
  });

  it("places modules after the kernel, page-aligned and in order", () => {
    const one = new Uint8Array(5000).fill(1);
    const two = new Uint8Array(10).fill(2);
    const image = isoOf("kernel /k a\nmodule /m/one x y\nmodule (cd)/m/two\nmodule /m/none", {
      "/k": multibootElf32(),
      "/m/one": one,
      "/m/two": two,
      "/m/none": new Uint8Array(0),
    });
    const { memory, modules, field, string } = boot(image, ["b"]);
    expect(string(field(16))).toBe("/k a b");
    expect(modules).toMatchObject([
      { start: 0x10_3000, end: 0x10_3000 + 5000, commandLine: "/m/one x y" },
      { start: 0x10_5000, end: 0x10_500a, commandLine: "/m/two" },
      { commandLine: "/m/none" },
    ]);
    expect(memory.slice(gpa(0x10_3000), 5000)).toEqual(one);
    expect(memory.slice(gpa(0x10_5000), 10)).toEqual(two);
  });

  it("places an ELF64 module where it executes in place", () => {
    const kernel = kernelElf64(0x20_0000);
    const data = new Uint8Array(2 * MIB).fill(5);
    const image = isoOf("kernel /k\nmodule /data\nmodule /kernel", {
      "/k": multibootElf32(),
      "/kernel": kernel,
      "/data": data,
    });
    const { memory, modules, description } = boot(image);
    const [after, inPlace] = modules;
    expect(inPlace).toMatchObject({ start: 0x20_0000, end: 0x20_0000 + kernel.length });
    expect(memory.slice(gpa(0x20_0000), kernel.length)).toEqual(kernel);
    const bssEnd = 0x20_0000 + SEGMENT_START + 0x2100;
    expect(after?.start).toBe(Math.ceil(bssEnd / 4096) * 4096);
    expect(description).toMatch(
      /^Multiboot: \/k at 0x100000, entry 0x10000c; module \/data at 0x\w+; module \/kernel at 0x200000$/,
    );
  });

  it("places an ELF64 module like any other when its place is taken", () => {
    const files = { "/k": multibootElf32(), "/kernel": kernelElf64(MIB) };
    expect(boot(isoOf("kernel /k\nmodule /kernel", files)).modules[0]?.start).toBe(0x10_3000);
  });

  it("loads ELF64 files by the header's address fields", () => {
    const data = new Uint8Array(256).fill(0x90);
    data.set(multibootHeader(0x1_0003, [MIB, MIB, MIB + 256, MIB + 512, MIB + 64]));
    const image = buildElf({
      class: 64,
      entry: 0x1234,
      segments: [{ physicalAddress: 16 * MIB, data }],
    });
    const { memory, registers, field } = boot(image);
    expect(registers.rip).toBe(BigInt(MIB + 64));
    expect(memory.slice(gpa(MIB), 256)).toEqual(data);
    expect(memory.slice(gpa(MIB + 256), 256).every((byte) => byte === 0)).toBe(true);
    expect(memory.readU8(gpa(MIB + 512))).toBe(0xee);
    expect(field(0) & 0x20).toBe(0);
  });

  it("loads flat binaries whole when no end is given", () => {
    const image = new Uint8Array(1000).fill(0x90);
    image.set(multibootHeader(0x1_0000, [MIB + 0x10, MIB, 0, 0, MIB + 0x40]), 0x20);
    const { memory } = boot(image);
    expect(memory.slice(gpa(MIB), 1000 - 0x10)).toEqual(image.subarray(0x10));
    expect(memory.readU8(gpa(MIB + 1000 - 0x10))).toBe(0xee);
  });

  it("translates a virtual entry point", () => {
    const data = new Uint8Array(64);
    data.set(multibootHeader(0));
    const high = 0xffff_ffff_8000_0000n;
    const image = buildElf({
      class: 64,
      entry: high + 16n,
      segments: [{ physicalAddress: 2 * MIB, virtualAddress: high, data }],
    });
    expect(boot(image).registers.rip).toBe(BigInt(2 * MIB + 16));
  });

  it("does not mind where in the file a segment without bytes there would be", () => {
    const data = new Uint8Array(64);
    data.set(multibootHeader(0));
    const image = buildElf({
      class: 32,
      entry: MIB + 12,
      segments: [
        { physicalAddress: MIB, data },
        { physicalAddress: 2 * MIB, data: new Uint8Array(0), memorySize: 0x100 },
      ],
    });
    // The second program header's p_offset.
    new DataView(image.buffer).setUint32(52 + 32 + 4, image.length + 0x1000, true);
    const { memory } = boot(image);
    expect(memory.slice(gpa(2 * MIB), 0x100).every((byte) => byte === 0)).toBe(true);
  });

  it("leaves out what a kernel has where the firmware's ROM is", () => {
    const headers = new Uint8Array(0x100).fill(5);
    const across = new Uint8Array(0x300).fill(6);
    across.set(multibootHeader(0), 0x200);
    const image = buildElf({
      class: 32,
      entry: MIB + 12,
      segments: [
        { physicalAddress: MIB - 0x1000, data: headers },
        { physicalAddress: MIB - 0x200, data: across, memorySize: 0x400 },
      ],
    });
    const { memory } = boot(image);
    for (const address of [MIB - 0x1000, MIB - 0x200]) {
      expect(memory.readU8(gpa(address))).toBe(0);
    }
    expect(memory.slice(gpa(MIB), 0x100)).toEqual(across.subarray(0x200));
    expect(memory.readU8(gpa(MIB + 0x1ff))).toBe(0);
    expect(memory.readU8(gpa(MIB + 0x200))).toBe(0xee);
  });

  it("keeps boot information out of a kernel in low memory", () => {
    const data = new Uint8Array(0x2_0000).fill(7);
    data.set(multibootHeader(0));
    const image = buildElf({
      class: 32,
      entry: 0x7000,
      segments: [{ physicalAddress: 0x7000, data }],
    });
    const { memory, registers } = boot(image);
    expect(memory.slice(gpa(0x7000), data.length)).toEqual(data);
    expect(registers.rbx).toBeGreaterThan(0x2_7000n);
  });

  it.each([
    [
      "segments in the firmware area",
      { segments: [{ physicalAddress: 0xf_0000, data: multibootHeader(0) }] },
      /segment at 0xf0000 overlaps the PC's video/,
    ],
    [
      "segments over each other",
      {
        entry: MIB,
        segments: [
          { physicalAddress: MIB, data: multibootHeader(0) },
          { physicalAddress: MIB + 4, data: multibootHeader(0) },
        ],
      },
      /overlaps/,
    ],
    ["an entry outside", { entry: 0x1234 }, /entry point 0x1234 is outside the kernel/],
    ["another machine's code", { type: 3 }, /not an x86 executable/],
    [
      "unknown demands",
      { segments: [{ physicalAddress: MIB, data: multibootHeader(0x13) }] },
      /demands unknown features \(flags 0x10\)/,
    ],
    [
      "more file than memory",
      { segments: [{ physicalAddress: MIB, data: multibootHeader(0), memorySize: 4 }] },
      /more bytes in the file than in memory/,
    ],
  ] as const)("refuses %s", (_, overrides, message) => {
    const segments = "segments" in overrides ? overrides.segments : undefined;
    const entry = segments?.[0]?.physicalAddress ?? MIB;
    expect(() => boot(multibootElf32({ entry, ...overrides }))).toThrow(message);
  });
});
