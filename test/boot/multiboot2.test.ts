import { describe, expect, it } from "vitest";
import { RSDP_ADDRESS } from "../../src/boot/acpi/tables.ts";
import { MemorySource } from "../../src/boot/byte-source.ts";
import { alignUp, viewOf } from "../../src/boot/data-view.ts";
import { loadImage } from "../../src/boot/direct-boot.ts";
import { ET_DYN, SHT_NOBITS } from "../../src/boot/elf.ts";
import { identify } from "../../src/boot/image.ts";
import { type IsoFile, writeIso9660 } from "../../src/boot/iso9660-writer.ts";
import { memoryMap } from "../../src/boot/memory-map.ts";
import { decodeUtf8, encodeUtf8, untilNul } from "../../src/boot/text.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa, MIB } from "../../src/core/units.ts";
import { buildElf, multibootHeader } from "../support/elf-builder.ts";
import { type HeaderTag, multiboot2Header } from "../support/multiboot2-header.ts";

const SIZE = 8 * MIB;
const ENTRY = MIB + 0x200;

/** An ELF32 kernel of a page, and as much bss, with its header at the start. */
const kernel = (tags: readonly HeaderTag[] = [], given: { address?: number; type?: number } = {}) =>
  buildElf({
    class: 32,
    type: given.type ?? 2,
    entry: (given.address ?? MIB) + 0x200,
    segments: [
      {
        physicalAddress: given.address ?? MIB,
        data: padded(multiboot2Header(tags), 0x1000),
        memorySize: 0x2000,
      },
    ],
    sections: [
      { name: ".symtab", type: 2, data: Uint8Array.from([1, 2, 3, 4]) },
      { name: ".bss", type: SHT_NOBITS, data: new Uint8Array(0) },
    ],
  });

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const all = new Uint8Array(length).fill(0x90);
  all.set(bytes);
  return all;
}

const boot = (bytes: Uint8Array, commandLine: readonly string[] = [], size = SIZE) => {
  const memory = new GuestMemory(new ArrayBuffer(size));
  const loaded = loadImage({ source: new MemorySource(bytes), memory, commandLine });
  const info = Number(loaded.registers.rbx);
  memory.fill(gpa(RSDP_ADDRESS), 36, 0x77);
  loaded.complete?.();
  const total = memory.readU32(gpa(info));
  const tags: { type: number; view: DataView; bytes: Uint8Array }[] = [];
  for (let at = info + 8; at < info + total; ) {
    const length = memory.readU32(gpa(at + 4));
    const content = memory.slice(gpa(at + 8), length - 8);
    tags.push({ type: memory.readU32(gpa(at)), view: viewOf(content), bytes: content });
    at += alignUp(length, 8);
  }
  const tag = (type: number) => tags.find((one) => one.type === type);
  const text = (type: number, skip = 0) =>
    decodeUtf8(untilNul((tag(type)?.bytes ?? new Uint8Array(1)).subarray(skip)));
  return { ...loaded, memory, info, tags, tag, text };
};

describe("the start", () => {
  it("is where the file says, with the loader's magic", () => {
    const { registers, memory } = boot(kernel());
    expect(registers).toMatchObject({ rip: BigInt(ENTRY), rax: 0x36d7_6289n, cr0: 0x11n });
    expect(memory.readU32(gpa(MIB))).toBe(0xe852_50d6);
    expect(memory.readU32(gpa(MIB + 0x1000))).toBe(0);
    expect(Number(registers.rbx) % 8).toBe(0);
  });

  it("is where the entry tag says", () => {
    const { registers } = boot(kernel([{ type: 3, words: [MIB + 0x300] }]));
    expect(registers.rip).toBe(BigInt(MIB + 0x300));
  });

  it("is by the addresses of the header, whatever the file is", () => {
    const file = new Uint8Array(0x1000);
    const address = { type: 2, words: [MIB + 0x40, MIB + 0x20, MIB + 0x820, MIB + 0x1820] };
    file.set(multiboot2Header([address, { type: 3, words: [MIB + 0x100] }]), 0x40);
    file[0x20] = 0xaa;
    const { registers, memory } = boot(file);
    expect(registers.rip).toBe(BigInt(MIB + 0x100));
    expect(memory.readU8(gpa(MIB + 0x20))).toBe(0xaa);
    expect(memory.readU32(gpa(MIB + 0x40))).toBe(0xe852_50d6);
  });

  it("takes the whole file where no load address is given", () => {
    const file = new Uint8Array(0x1000).fill(0x11);
    const address = { type: 2, words: [MIB + 0x40, 0xffff_ffff, 0, 0] };
    file.set(multiboot2Header([address, { type: 3, words: [MIB + 0x100] }]), 0x40);
    const { memory } = boot(file);
    expect(memory.readU8(gpa(MIB))).toBe(0x11);
    expect(memory.readU8(gpa(MIB + 0xfff))).toBe(0x11);
  });

  it("prefers version 1 where a kernel has both, unless the menu wants version 2", () => {
    const both = multiboot2Header([]);
    const data = padded(both, 0x1000);
    data.set(multibootHeader(3), 0x80);
    const file = buildElf({
      class: 32,
      entry: ENTRY,
      segments: [{ physicalAddress: MIB, data }],
    });
    const memory = new GuestMemory(new ArrayBuffer(SIZE));
    const { registers } = loadImage({ source: new MemorySource(file), memory, commandLine: [] });
    expect(registers.rax).toBe(0x2bad_b002n);
    const iso = isoOf("multiboot2 /k", { "/k": file });
    expect(boot(iso).registers.rax).toBe(0x36d7_6289n);
    const first = isoOf("multiboot /k", { "/k": kernel() });
    expect(() => boot(first)).toThrow("/k has no header for Multiboot 1");
  });
});

const isoOf = (menu: string, files: Record<string, Uint8Array>): Uint8Array =>
  writeIso9660({
    files: [
      { path: "/boot/grub/grub.cfg", data: encodeUtf8(menu) },
      ...Object.entries(files).map(([path, data]): IsoFile => ({ path, data })),
    ],
  });

describe("the information", () => {
  it("has memory, command line, loader, text screen, and an end", () => {
    const { tag, text, tags } = boot(kernel(), ["a", "b c"]);
    expect(text(1)).toBe("a b c");
    expect(text(2)).toBe("solo5-kvm");
    expect([0, 4].map((at) => tag(4)?.view.getUint32(at, true))).toEqual([639, SIZE / 1024 - 1024]);
    const map = tag(6)?.view as DataView;
    expect([map.getUint32(0, true), map.getUint32(4, true)]).toEqual([24, 0]);
    const entries = memoryMap(SIZE).map((_, i) => ({
      address: Number(map.getBigUint64(8 + 24 * i, true)),
      length: Number(map.getBigUint64(16 + 24 * i, true)),
      type: map.getUint32(24 + 24 * i, true),
    }));
    expect(entries).toEqual(memoryMap(SIZE));
    expect(map.byteLength).toBe(8 + 24 * entries.length);
    const screen = tag(8)?.view as DataView;
    expect([0, 4, 8, 12, 16].map((at) => screen.getUint32(at, true))).toEqual([
      ...[0xb_8000, 0, 160, 80, 25],
    ]);
    expect([screen.getUint8(20), screen.getUint8(21)]).toEqual([16, 2]);
    expect(tags.at(-1)).toMatchObject({ type: 0 });
    expect(tag(21)).toBeUndefined();
  });

  it("has copies of ACPI's root pointer, old and new", () => {
    const { tag } = boot(kernel());
    expect(tag(14)?.bytes).toEqual(new Uint8Array(20).fill(0x77));
    expect(tag(15)?.bytes).toEqual(new Uint8Array(36).fill(0x77));
  });

  it("has the section headers, with addresses for those that were not in memory", () => {
    const { tag, memory } = boot(kernel());
    const view = tag(9)?.view as DataView;
    const [count = 0, size = 0] = [0, 4].map((at) => view.getUint32(at, true));
    expect([count, size, view.byteLength]).toEqual([4, 40, 12 + 4 * 40]);
    const symbols = view.getUint32(12 + size + 12, true);
    expect(memory.readU32(gpa(symbols))).toBe(0x0403_0201);
  });

  it("has modules on pages of their own, with their arguments", () => {
    const iso = isoOf("multiboot2 /k one\nmodule2 /m1 x y\nmodule2 /m2", {
      "/k": kernel(),
      "/m1": Uint8Array.of(1, 2, 3),
      "/m2": Uint8Array.of(4),
    });
    const { tags, memory, text } = boot(iso);
    expect(text(1)).toBe("one");
    const modules = tags.filter(({ type }) => type === 3);
    expect(modules.map(({ bytes }) => decodeUtf8(untilNul(bytes.subarray(8))))).toEqual([
      "x y",
      "",
    ]);
    const starts = modules.map(({ view }) => view.getUint32(0, true));
    expect(starts.every((start) => start % 4096 === 0 && start >= MIB + 0x2000)).toBe(true);
    expect([...memory.slice(gpa(starts[0] ?? 0), 3)]).toEqual([1, 2, 3]);
    expect(modules.map(({ view }) => view.getUint32(4, true) - view.getUint32(0, true))).toEqual([
      3, 1,
    ]);
  });
});

describe("a kernel that can run anywhere", () => {
  const relocatable = (lowest: number, highest: number, alignment: number, preference: number) => ({
    type: 10,
    words: [lowest, highest, alignment, preference],
  });
  const baseOf = (bytes: Uint8Array) => {
    const { tag, registers, memory } = boot(bytes);
    const base = tag(21)?.view.getUint32(0, true) ?? 0;
    expect(memory.readU32(gpa(base))).toBe(0xe852_50d6);
    expect(registers.rip).toBe(BigInt(base + 0x200));
    return base;
  };

  it("stays where it was linked, if it does not mind", () => {
    expect(baseOf(kernel([relocatable(MIB, 0xffff_ffff, 4096, 0)]))).toBe(MIB);
  });

  it("goes to the lowest place that it can have, or the highest", () => {
    expect(baseOf(kernel([relocatable(3 * MIB, 0xffff_ffff, 4096, 0)]))).toBe(3 * MIB);
    expect(baseOf(kernel([relocatable(MIB + 1, 0xffff_ffff, MIB, 1)]))).toBe(2 * MIB);
    expect(baseOf(kernel([relocatable(0, 5 * MIB - 1, 4096, 2)]))).toBe(5 * MIB - 0x2000);
    expect(baseOf(kernel([relocatable(0, 0xffff_ffff, 4096, 2)]))).toBe(SIZE - 0x2000);
  });

  it("has its modules and symbols below it when it is at the end of RAM", () => {
    const iso = isoOf("multiboot2 /k\nmodule2 /m", {
      "/k": kernel([relocatable(0, 0xffff_ffff, 4096, 2)]),
      "/m": Uint8Array.of(1, 2, 3),
    });
    const { tag, memory } = boot(iso);
    const start = tag(3)?.view.getUint32(0, true) ?? 0;
    expect(start).toBeGreaterThanOrEqual(MIB);
    expect(start).toBeLessThan(SIZE - 0x2000);
    expect([...memory.slice(gpa(start), 3)]).toEqual([1, 2, 3]);
    expect(tag(9)).toBeDefined();
  });

  it("may be linked to nowhere", () => {
    const file = kernel([relocatable(MIB, 0xffff_ffff, 4096, 0)], { address: 0, type: ET_DYN });
    expect(baseOf(file)).toBe(MIB);
    expect(() => boot(kernel([], { type: ET_DYN }))).toThrow("kernel is not an x86 executable");
  });

  it("is refused where there is no room", () => {
    expect(() => boot(kernel([relocatable(7 * MIB, 7 * MIB + 0x1000, 16, 0)]))).toThrow(
      "kernel does not fit where it can run",
    );
    expect(() => boot(kernel([relocatable(0, MIB, 3, 0)]))).toThrow("alignment of 0x3");
  });
});

describe("a header", () => {
  it("is told apart from no header", () => {
    const source = (bytes: Uint8Array) => new MemorySource(bytes);
    expect(identify(source(kernel())).description).toBe(
      "an ELF32 executable for x86 with a Multiboot 2 header",
    );
    const flat = padded(multiboot2Header([{ type: 2, words: [0, 0, 0, 0] }]), 0x400);
    expect(identify(source(flat)).kind).toBe("multiboot");
    // Nothing says where such a file would go.
    expect(identify(source(padded(multiboot2Header([]), 0x400))).kind).toBe("other");
    const wrong = multiboot2Header([]);
    wrong[12] = (wrong[12] ?? 0) + 1;
    expect(identify(source(padded(wrong, 0x400))).kind).toBe("other");
  });

  it("may demand what is known and ask for anything", () => {
    const request = (wanted: number, flags = 0) => kernel([{ type: 1, flags, words: [wanted] }]);
    expect(() => boot(request(21))).not.toThrow();
    expect(() => boot(request(99, 1))).not.toThrow();
    expect(() => boot(request(99))).toThrow("demands unknown information (99)");
    expect(() => boot(kernel([{ type: 77, words: [] }]))).toThrow("unknown features (tag 77)");
    expect(() => boot(kernel([{ type: 77, flags: 1, words: [] }]))).not.toThrow();
    const harmless = [4, 5, 6, 7, 8, 9].map((type) => ({ type, words: [0, 0, 0] }));
    expect(() => boot(kernel(harmless))).not.toThrow();
  });

  it("is refused when it is broken", () => {
    expect(() => boot(kernel([{ type: 2, words: [MIB, MIB, 0, 0] }]))).toThrow(
      "addresses without an entry address",
    );
    expect(() => boot(kernel([{ type: 10, words: [1] }]))).toThrow("broken tag of type 10");
  });
});
