import { describe, expect, it } from "vitest";
import { MemorySource } from "../../src/boot/byte-source.ts";
import { loadImage } from "../../src/boot/direct-boot.ts";
import { parseElf, readNotes, readSections } from "../../src/boot/elf.ts";
import { identify } from "../../src/boot/image.ts";
import { inspectImage } from "../../src/boot/inspect.ts";
import { formatReport } from "../../src/boot/inspect-format.ts";
import { writeIso9660 } from "../../src/boot/iso9660-writer.ts";
import { loadTenderImage, readTenderImage } from "../../src/boot/solo5/tender-image.ts";
import { encodeUtf8 } from "../../src/boot/text.ts";
import { GuestError } from "../../src/core/errors.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { MIB } from "../../src/core/units.ts";
import { buildElf, kernelElf64, multibootElf32, multibootHeader } from "../support/elf-builder.ts";
import { multiboot2Header } from "../support/multiboot2-header.ts";
import { hvtImage } from "../support/solo5-builder.ts";

const RAM = 4 * MIB;
const GUARD = 64 * 1024;

/** Marsaglia's xorshift: the same mutations every time. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x20, 0x22, 0x7b, 0x0a];

/**
 * Changes a few bytes and now and then the length. Half of the changes go to the `hot` parts,
 * where the structure is.
 */
function mutate(
  bytes: Uint8Array,
  hot: readonly number[],
  random: (below: number) => number,
): Uint8Array {
  const mutated = bytes.slice();
  for (let changes = 1 + random(6); changes > 0; changes--) {
    const isHot = hot.length > 0 && random(2) === 0;
    const base = isHot ? (hot[random(hot.length)] ?? 0) + random(256) : random(bytes.length);
    const width = [1, 1, 2, 4][random(4)] ?? 1;
    for (let index = 0; index < width; index++) {
      mutated[base + index] =
        random(2) === 0 ? random(256) : (INTERESTING[random(INTERESTING.length)] ?? 0);
    }
  }
  return random(8) === 0 ? mutated.subarray(0, random(mutated.length)) : mutated;
}

const menuLst = "default 0\ntimeout 0\ntitle x\nkernel /boot/loader a b\nmodule /boot/kernel c\n";
const grubCfg =
  'set default="0"\nif true; then\nfi\nmenuentry "x" --id y { multiboot ($root)/boot/loader \'a b\' ; module /boot/kernel $c }\nmenuentry z { multiboot2 /boot/loader\nmodule2 /boot/kernel }\n';

const isoOf = (menuPath: string, menu: string): Uint8Array =>
  writeIso9660({
    files: [
      { path: menuPath, data: encodeUtf8(menu) },
      { path: "/boot/loader", data: multibootElf32() },
      { path: "/boot/kernel", data: kernelElf64(2 * MIB) },
      { path: `/boot/${"long".repeat(40)}`, data: new Uint8Array(10) },
    ],
    boot: { path: "/boot/loader" },
  });

const aoutKludge = (): Uint8Array => {
  const data = new Uint8Array(256);
  data.set(multibootHeader(0x1_0003, [MIB, MIB, MIB + 256, MIB + 512, MIB + 64]));
  return buildElf({ class: 64, entry: MIB, segments: [{ physicalAddress: MIB, data }] });
};

/** With every header tag that is read, in an ISO whose menu wants it. */
const multiboot2 = (): Uint8Array => {
  const data = new Uint8Array(512);
  data.set(
    multiboot2Header([
      { type: 1, words: [1, 3, 6, 8] },
      { type: 10, words: [MIB, 3 * MIB, 4096, 2] },
      { type: 6, words: [] },
      { type: 3, words: [MIB + 64] },
    ]),
  );
  const segments = [{ physicalAddress: MIB, data, memorySize: 0x2000 }];
  const sections = [{ name: ".symtab", type: 2, data: new Uint8Array(64) }];
  return buildElf({ class: 32, entry: MIB + 128, segments, sections });
};

const flatMultiboot2 = (): Uint8Array => {
  const data = new Uint8Array(512);
  const addresses = { type: 2, words: [MIB + 64, MIB, MIB + 512, MIB + 2048] };
  data.set(multiboot2Header([addresses, { type: 3, words: [MIB + 256] }]), 64);
  return data;
};

const sectors = (...numbers: number[]): number[] => numbers.map((sector) => sector * 2048);
const isoStructure = sectors(16, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27);

const seeds: readonly (readonly [string, () => Uint8Array, readonly number[], number])[] = [
  ["an ISO with menu.lst", () => isoOf("/boot/grub/menu.lst", menuLst), isoStructure, 6000],
  ["an ISO with grub.cfg", () => isoOf("/boot/grub/grub.cfg", grubCfg), isoStructure, 3000],
  ["a 32-bit Multiboot ELF", () => multibootElf32(), [0, 0x1000, 0x1040, 0x1100], 6000],
  ["a 64-bit ELF with address fields", aoutKludge, [0, 0x1000], 3000],
  ["a Multiboot 2 ELF", multiboot2, [0, 0x1000], 4000],
  ["a flat Multiboot 2 kernel", flatMultiboot2, [], 3000],
  ["a unikernel for Solo5's hvt", () => hvtImage(), [0, 64, 120, 232, 344, 0x1200], 6000],
];

function expectGuestError(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    expect(error.code).toBe("image");
    expect(error.message).not.toMatch(/[\n\r]/);
    expect(error.message.length).toBeLessThan(500);
  }
}

function load(source: MemorySource, memory: GuestMemory): void {
  if (identify(source).kind === "tender") {
    loadTenderImage(readTenderImage(source), memory, memory.size);
  } else loadImage({ source, memory, commandLine: ["x"] });
}

function readEverything(bytes: Uint8Array): void {
  const source = new MemorySource(bytes);
  const elf = parseElf(source);
  readNotes(source, elf);
  readSections(source, elf);
}

describe("mutated images", () => {
  it.each(seeds)("give a result or one line: %s", (_, build, hot, runs) => {
    const original = build();
    const buffer = new ArrayBuffer(RAM + GUARD);
    const outside = new Uint8Array(buffer, RAM).fill(0x5a);
    const memory = new GuestMemory(buffer, 0, RAM);
    const random = randomNumbers(0x2015);
    let slowest = 0;
    let loaded = 0;
    for (let run = 0; run < runs; run++) {
      const mutated = mutate(original, hot, random);
      const source = new MemorySource(mutated);
      const start = performance.now();
      expectGuestError(() => {
        load(source, memory);
        loaded++;
      });
      expectGuestError(() => readEverything(mutated));
      for (const line of formatReport(inspectImage(source))) expect(line).not.toContain("\n");
      slowest = Math.max(slowest, performance.now() - start);
    }
    expect(outside.every((byte) => byte === 0x5a)).toBe(true);
    expect(loaded).toBeGreaterThan(runs / 100);
    expect(loaded).toBeLessThan(runs);
    expect(slowest).toBeLessThan(2000);
  });

  it("give a result or one line: menus of any bytes", () => {
    const memory = new GuestMemory(new ArrayBuffer(RAM));
    const random = randomNumbers(7);
    for (const [path, menu] of [
      ["/boot/grub/menu.lst", menuLst],
      ["/boot/grub/grub.cfg", grubCfg],
    ] as const) {
      for (let run = 0; run < 1500; run++) {
        const data = mutate(encodeUtf8(menu.repeat(1 + random(3))), [], random);
        const files = [
          { path, data },
          { path: "/boot/loader", data: multibootElf32() },
        ];
        const source = new MemorySource(writeIso9660({ files }));
        expectGuestError(() => loadImage({ source, memory, commandLine: [] }));
      }
    }
  });

  it("are refused in time when everything in them is as large as it can be", () => {
    const memory = new GuestMemory(new ArrayBuffer(RAM));
    const words = `multiboot ${"$a ".repeat(15_000)}`;
    const modules = "module /m\n".repeat(6000);
    for (const menu of [
      `set a=${"x".repeat(400)}\n${words}`,
      modules,
      "{".repeat(60_000),
      "$".repeat(60_000),
    ]) {
      const files = [
        { path: "/boot/grub/grub.cfg", data: encodeUtf8(menu) },
        { path: "/m", data: new Uint8Array(0) },
      ];
      const source = new MemorySource(writeIso9660({ files }));
      const start = performance.now();
      expect(() => loadImage({ source, memory, commandLine: [] })).toThrow(GuestError);
      inspectImage(source);
      expect(performance.now() - start).toBeLessThan(2000);
    }
  });
});
