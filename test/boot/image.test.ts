import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { planBoot } from "../../src/boot/boot-plan.ts";
import { MemorySource } from "../../src/boot/byte-source.ts";
import { loadImage } from "../../src/boot/direct-boot.ts";
import { PT_INTERP } from "../../src/boot/elf.ts";
import { identify } from "../../src/boot/image.ts";
import { inspectImage } from "../../src/boot/inspect.ts";
import { formatReport } from "../../src/boot/inspect-format.ts";
import { type IsoFile, writeIso9660 } from "../../src/boot/iso9660-writer.ts";
import { packUnikernelIso } from "../../src/boot/pack-iso.ts";
import { encodeUtf8 } from "../../src/boot/text.ts";
import { GuestError } from "../../src/core/errors.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { MIB } from "../../src/core/units.ts";
import { buildElf, kernelElf64, multibootElf32, multibootHeader } from "../support/elf-builder.ts";

const unikernel = (): Uint8Array =>
  packUnikernelIso({
    loader: multibootElf32(),
    kernel: kernelElf64(2 * MIB),
    bootBlock: new Uint8Array(512),
  });

const isoWith = (files: Record<string, Uint8Array | string>): Uint8Array =>
  writeIso9660({
    files: Object.entries(files).map(
      ([path, data]): IsoFile => ({
        path,
        data: typeof data === "string" ? encodeUtf8(data) : data,
      }),
    ),
  });

const pe = (machine: number): Uint8Array => {
  const bytes = new Uint8Array(512);
  bytes.set(encodeUtf8("MZ"));
  bytes[0x3c] = 0x80;
  bytes.set(encodeUtf8("PE"), 0x80);
  new DataView(bytes.buffer).setUint16(0x84, machine, true);
  return bytes;
};

const at = (offset: number, data: number[]): Uint8Array =>
  Uint8Array.of(...new Uint8Array(offset), ...data);

const elf = (machine: number, bits: 32 | 64 = 64): Uint8Array =>
  buildElf({
    class: bits,
    machine,
    entry: MIB,
    segments: [{ physicalAddress: MIB, data: new Uint8Array(16) }],
  });

const hvt = (): Uint8Array =>
  buildElf({
    class: 64,
    entry: MIB,
    segments: [
      { type: PT_INTERP, physicalAddress: MIB, data: encodeUtf8("/nonexistent/solo5/\0") },
    ],
  });

function refusal(bytes: Uint8Array, ramMib = 8): string {
  const memory = new GuestMemory(new ArrayBuffer(ramMib * MIB));
  try {
    loadImage({ source: new MemorySource(bytes), memory, commandLine: [] });
  } catch (error) {
    if (error instanceof GuestError && error.code === "image") return error.message;
    throw error;
  }
  return "loaded";
}

const NOT = ", not an ISO image or a Multiboot kernel";

describe("refusal of images", () => {
  it.each([
    ["an empty file", new Uint8Array(0), `image is an empty file${NOT}`],
    ["a text file", encodeUtf8("#!/bin/sh\necho hällo\n"), `image is a text file${NOT}`],
    ["a 32-bit PE", pe(332), `image is a 32-bit PE executable for x86${NOT}`],
    ["a 64-bit PE", pe(34404), `image is a 64-bit PE executable for x86-64${NOT}`],
    ["an ELF for arm64", elf(183), `image is an ELF64 executable for arm64${NOT}`],
    [
      "an ELF without header",
      elf(3, 32),
      `image is an ELF32 executable for x86 without a Multiboot header${NOT}`,
    ],
    [
      "a Solo5 hvt binary",
      hvt(),
      `image is an ELF64 executable for x86-64 for a Solo5 tender${NOT}`,
    ],
    ["a gzip file", gzipSync("x"), `image is a gzip-compressed file (decompress it first)${NOT}`],
    ["a zip archive", encodeUtf8("PK\x03\x04"), `image is a zip archive (unpack it first)${NOT}`],
    [
      "a VDI image",
      at(64, [0x7f, 0x10, 0xda, 0xbe]),
      `image is a VDI disk image (convert it to a raw one first)${NOT}`,
    ],
    [
      "a file system without a boot loader",
      at(1080, [0x53, 0xef]),
      `image is an ext2, ext3 or ext4 file system${NOT}`,
    ],
    [
      "zeros",
      new Uint8Array(40_000),
      `image is a file that starts with 4096 zeros and has no ISO volume descriptor (40000 bytes)${NOT}`,
    ],
    ["noise", Uint8Array.of(1, 2, 200, 4), `image is a file of unknown format (4 bytes)${NOT}`],
    [
      "half an ELF",
      multibootElf32().subarray(0, 60),
      `image is a broken ELF file (truncated ELF: program header table at byte 52, 32 bytes long, reaches past the end of the file (60 bytes))${NOT}`,
    ],
    [
      "an ISO without a menu",
      isoWith({ "/boot/x": "x" }),
      "ISO has no kernel to boot: none of /boot/grub/menu.lst, /boot/grub/grub.cfg, /boot/grub/grub.conf, /boot/grub2/grub.cfg is in it",
    ],
    [
      "a menu without a kernel",
      isoWith({ "/boot/grub/menu.lst": "title x\nboot" }),
      'entry "x" of /boot/grub/menu.lst names no kernel',
    ],
    [
      "an empty menu",
      isoWith({ "/boot/grub/menu.lst": "" }),
      "menu /boot/grub/menu.lst has no entries",
    ],
    [
      "a menu that names a missing file",
      isoWith({ "/boot/grub/menu.lst": "kernel /k" }),
      "/boot/grub/menu.lst names /k, which is not in the ISO",
    ],
    [
      "a menu that names a missing module",
      isoWith({ "/boot/grub/menu.lst": "kernel /k\nmodule /boot", "/k": multibootElf32() }),
      "/boot/grub/menu.lst names /boot, which is a directory",
    ],
    [
      "a menu for Multiboot 2",
      isoWith({ "/boot/grub/grub.cfg": "menuentry x { linux /k }" }),
      'entry "x" of /boot/grub/grub.cfg uses linux: only Multiboot kernels are supported',
    ],
    [
      "a kernel in the ISO that is text",
      isoWith({ "/boot/grub/menu.lst": "kernel /k", "/k": "hello" }),
      `/k in the ISO is a text file${NOT}`,
    ],
  ])("says what is wrong with %s", (_, bytes, message) => {
    expect(refusal(bytes)).toBe(message);
  });

  it("says to a BIOS, too, what the file is", () => {
    const source = new MemorySource(gzipSync("x"));
    const memory = new GuestMemory(new ArrayBuffer(8 * MIB));
    expect(() => planBoot({ source, memory, commandLine: [] }, "bios")).toThrow(
      "image is a gzip-compressed file (decompress it first): nothing that a BIOS would boot",
    );
  });

  it("says that an ISO is truncated wherever it is cut, but for padding", () => {
    const whole = unikernel();
    let refusals = 0;
    for (let length = 16 * 2048 + 6; length < whole.length; length += 1000) {
      const said = refusal(whole.subarray(0, length));
      if (whole.subarray(length).every((byte) => byte === 0) && said === "loaded") continue;
      expect(said).toMatch(/^truncated ISO: \S.*(past the end of the file|missing at the end)/);
      refusals++;
    }
    expect(refusals).toBeGreaterThan(2);
  });

  it("says how much memory an image needs", () => {
    const message = "image does not fit: needs 3 MiB, has 2; raise --mem";
    expect(refusal(unikernel(), 2)).toBe(message);
    const kernel = multibootElf32({
      segments: [{ physicalAddress: MIB, data: multibootHeader(3), memorySize: 99 * MIB }],
    });
    expect(refusal(kernel)).toBe("image does not fit: needs 100 MiB, has 8; raise --mem");
  });

  it("leaves a kernel behind the boot sector of a disk to that one", () => {
    const header = multibootHeader(0x1_0000, [MIB + 0x20, MIB, 0, 0, MIB + 0x40]);
    const disk = new Uint8Array(64 * 512);
    disk.set([0x55, 0xaa], 510);
    disk.set(header, 512 + 0x20);
    const plan = (bytes: Uint8Array): string => {
      const memory = new GuestMemory(new ArrayBuffer(8 * MIB));
      return planBoot({ source: new MemorySource(bytes), memory, commandLine: [] }, "auto").kind;
    };
    expect(plan(disk)).toBe("bios");
    expect(plan(disk.subarray(512))).toBe("direct");
  });

  it("loads the image that the others are made of", () => {
    expect(refusal(unikernel())).toBe("loaded");
    expect(identify(new MemorySource(multibootElf32())).kind).toBe("multiboot");
  });
});

describe("inspection", () => {
  it("describes an ISO with its menu and files", () => {
    const report = inspectImage(new MemorySource(unikernel()));
    expect(report.problems).toEqual([]);
    expect(formatReport(report)).toEqual([
      "an ISO 9660 image, 200704 bytes",
      'volume "SOLO5", 200704 bytes, Rock Ridge names',
      "boot record for PC: no emulation, 1 sectors at 32",
      "menu /boot/grub/menu.lst",
      "  * SOLO5",
      "      kernel /boot/loader",
      "      module /boot/kernel",
      "files",
      expect.stringMatching(/^ +\d+ {2}\/boot\/grub\/menu\.lst$/),
      expect.stringMatching(/^ +4352 {2}\/boot\/kernel {2}an ELF64 executable for x86-64 without/),
      expect.stringMatching(
        /^ +\d+ {2}\/boot\/loader {2}an ELF32 executable for x86 with a Multiboot/,
      ),
      expect.stringMatching(/^ +512 {2}\/boot\/solo5\.boot$/),
    ]);
  });

  it("describes a Multiboot ELF file", () => {
    expect(formatReport(inspectImage(new MemorySource(multibootElf32())))).toEqual([
      expect.stringMatching(/^an ELF32 executable for x86 with a Multiboot header, \d+ bytes$/),
      "entry 0x10000c",
      "segment load rwx at 0x100000 (virtual 0x100000), 6144 bytes, 64 from 0x1000",
      "Multiboot header at 0x1000, flags 0x3",
    ]);
  });

  it("lists the problems of a truncated ISO", () => {
    const whole = unikernel();
    const report = inspectImage(new MemorySource(whole.subarray(0, 26 * 2048)));
    expect(report.problems[0]).toMatch(
      /^truncated ISO: \d+ of 200704 bytes are missing at the end$/,
    );
  });
});
