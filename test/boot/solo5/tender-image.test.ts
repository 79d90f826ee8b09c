import { describe, expect, it } from "vitest";
import { MemorySource } from "../../../src/boot/byte-source.ts";
import { identify } from "../../../src/boot/image.ts";
import { inspectImage } from "../../../src/boot/inspect.ts";
import { formatReport } from "../../../src/boot/inspect-format.ts";
import { MFT_LAYOUT, parseManifest } from "../../../src/boot/solo5/manifest.ts";
import {
  loadTenderImage,
  manifestOf,
  readTenderImage,
} from "../../../src/boot/solo5/tender-image.ts";
import { GuestMemory } from "../../../src/core/guest-memory.ts";
import { gpa, MIB } from "../../../src/core/units.ts";
import { buildElf, multibootElf32, type SegmentSpec } from "../../support/elf-builder.ts";
import {
  abiNote,
  DEVICES,
  hvtImage,
  hvtSegments,
  manifestBytes,
  manifestNote,
} from "../../support/solo5-builder.ts";

const read = (image: Uint8Array) => readTenderImage(new MemorySource(image));
const load = (image: Uint8Array, memory = new GuestMemory(new ArrayBuffer(4 * MIB))) =>
  loadTenderImage(read(image), memory, memory.size);
/** The usual segments, one of them changed. */
const withSegment = (index: number, change: Partial<SegmentSpec>): Uint8Array =>
  hvtImage({ segments: hvtSegments().map((s, i) => (i === index ? { ...s, ...change } : s)) });
const withNotes = (...notes: Uint8Array[]): Uint8Array => hvtImage({ notes });
const changed = (offset: number, ...values: number[]): Uint8Array => {
  const manifest = manifestBytes(DEVICES);
  manifest.set(values, offset);
  return manifest;
};
const entry = (index: number): number => MFT_LAYOUT.header + index * MFT_LAYOUT.entry;

describe("an image for Solo5's hvt", () => {
  it("is recognised, and says what it wants", () => {
    const source = new MemorySource(hvtImage());
    expect(identify(source)).toMatchObject({
      kind: "tender",
      description: "an ELF64 executable for x86-64 for Solo5's hvt",
    });
    expect(readTenderImage(source)).toMatchObject({
      abi: "hvt",
      manifest: {
        devices: [
          { kind: "block", name: "storage", handle: 1 },
          { kind: "net", name: "service0", handle: 2 },
          { kind: "net", name: "service1", handle: 3 },
        ],
      },
    });
    expect(formatReport(inspectImage(source)).slice(-5)).toEqual([
      "Solo5 hvt, ABI version 2",
      "manifest",
      "  block  storage",
      "  net    service0",
      "  net    service1",
    ]);
  });

  it.each([1, 2])(
    "is taken whichever version of the calls it wants that has these: %d",
    (version) => {
      const image = withNotes(abiNote(1, version), manifestNote(manifestBytes([])));
      expect(readTenderImage(new MemorySource(image)).abi).toBe("hvt");
    },
  );

  it("is put where its segments say, with what they say of their pages", () => {
    const memory = new GuestMemory(new ArrayBuffer(4 * MIB));
    memory.fill(gpa(MIB + 0x2064), 100, 0xee);
    expect(load(hvtImage(), memory)).toMatchObject({ entry: MIB, end: MIB + 0x4000 });
    expect(memory.readU8(gpa(MIB + 63))).toBe(0xcc);
    expect(memory.readU8(gpa(MIB + 0x2063))).toBe(1);
    expect(memory.readU8(gpa(MIB + 0x2064))).toBe(0);
    expect(memory.protections).toEqual([
      { start: MIB, end: MIB + 0x1000, read: false, write: false, execute: true },
      { start: MIB + 0x1000, end: MIB + 0x2000, read: true, write: false, execute: false },
      { start: MIB + 0x2000, end: MIB + 0x4000, read: true, write: true, execute: false },
    ]);
  });

  it.each([
    ["for spt", withNotes(abiNote(2)), /for Solo5's spt target/],
    ["for a target to come", withNotes(abiNote(77)), /for Solo5's target 77 target/],
    ["of another version", withNotes(abiNote(1, 3)), /wants version 3 of Solo5's hvt ABI/],
    ["without ABI", withNotes(manifestNote(manifestBytes([]))), /no Solo5 ABI information/],
    ["without manifest", withNotes(abiNote()), /no Solo5 manifest/],
    ["with half a note", withNotes(abiNote().subarray(0, 8)), /note does not fall within valid/],
    ["with padding alone", withNotes(abiNote(), manifestNote(new Uint8Array(0))), /valid size/],
    ["with a long note", withNotes(abiNote(), manifestNote(new Uint8Array(7000))), /valid size/],
    ["that is writable code", withSegment(0, { flags: 3 }), /both writable and executable/],
    ["below 1 MiB", withSegment(0, { physicalAddress: 0xf_f000 }), /lies below 0x100000/],
    ["with overlaps", withSegment(1, { physicalAddress: MIB }), /lies over another/],
    ["out of order", withSegment(2, { physicalAddress: MIB }), /lies over another/],
    ["not in pages", withSegment(1, { alignment: 16 }), /aligned to 16 bytes, not to pages/],
    ["not in powers of two", withSegment(1, { alignment: 0x1800 }), /not to pages/],
    ["unaligned", withSegment(1, { alignment: 0 }), /not to pages/],
    ["larger than memory", withSegment(2, { memorySize: 16 * MIB }), /needs 18 MiB, has 4; raise/],
    ["beyond all memory", withSegment(2, { virtualAddress: 1n << 63n }), /outside of memory/],
    ["with less room than bytes", withSegment(2, { memorySize: 10 }), /more bytes in the file/],
    ["entered elsewhere", hvtImage({ entry: 3 * MIB }), /entry point 0x300000 is in no segment/],
    ["with no segments", hvtImage({ segments: [] }), /entry point/],
  ])("is refused in one line: %s", (_name, image, message) => {
    const memory = new GuestMemory(new ArrayBuffer(4 * MIB));
    expect(() => load(image, memory)).toThrow(message);
    expect(memory.slice(gpa(0), memory.size).every((byte) => byte === 0)).toBe(true);
  });
});

describe("a manifest", () => {
  it("has 63 devices at most", () => {
    const names = Array.from({ length: 63 }, (_, i) => [1, `storage${i}`] as const);
    expect(parseManifest(manifestBytes(names)).devices).toHaveLength(63);
    const many = [...names, [1, "one more"] as const];
    expect(() => parseManifest(manifestBytes(many))).toThrow("65 entries");
  });

  it.each([
    ["too short", changed(0).subarray(0, 7), /7 bytes/],
    ["of another version", changed(0, 2), /version 2, not 1/],
    ["without entries", changed(4, 0), /0 entries/],
    ["with too many entries", changed(4, 0xff, 0xff), /65535 entries/],
    ["of another length", changed(4, 3), /3 entries in 424 bytes/],
    [
      "with a first entry of a type",
      changed(entry(0) + MFT_LAYOUT.type, 1, 0, 0, 0),
      /first entry/,
    ],
    ["with a first entry of a name", changed(entry(0), 0x41), /first entry/],
    ["with a name without end", changed(entry(1) + 67, 0x41), /entry 1: its name/],
    ["attached already", changed(entry(2) + MFT_LAYOUT.attached, 1), /entry 2 is attached/],
    [
      "of an unknown type",
      changed(entry(1) + MFT_LAYOUT.type, 9),
      /entry 1 has the unknown type 9/,
    ],
    ["with a name twice", manifestBytes([DEVICES[0], DEVICES[0]]), /two block devices are called/],
  ])("is refused in one line: %s", (_name, bytes, message) => {
    expect(() => parseManifest(bytes)).toThrow(message);
    const source = new MemorySource(withNotes(abiNote(), manifestNote(bytes)));
    expect(manifestOf(source)).toBeUndefined();
    expect(inspectImage(source).problems).toEqual([expect.stringMatching(message)]);
  });
});

describe("an image for ukvm", () => {
  const ukvm = (change: Partial<SegmentSpec> = {}, entryPoint = MIB): Uint8Array =>
    buildElf({
      class: 64,
      entry: entryPoint,
      segments: [
        { ...{ physicalAddress: MIB, data: new Uint8Array(64), alignment: 0x1000 }, ...change },
      ],
    });

  it("is an executable that is linked like one", () => {
    const source = new MemorySource(ukvm({ flags: 7 }));
    expect(identify(source)).toMatchObject({ kind: "tender" });
    expect(readTenderImage(source)).toMatchObject({ abi: "ukvm", manifest: undefined });
    expect(load(ukvm({ flags: 7 }))).toMatchObject({ entry: MIB, end: MIB + 0x1000 });
  });

  it.each([
    ["linked elsewhere", ukvm({ physicalAddress: 4 * MIB }, 4 * MIB)],
    ["entered outside", ukvm({}, MIB + 64)],
    ["with a Multiboot header", multibootElf32()],
  ])("is no other: %s", (_name, image) => {
    expect(identify(new MemorySource(image)).kind).not.toBe("tender");
  });
});
