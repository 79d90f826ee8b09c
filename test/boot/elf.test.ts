import { describe, expect, it } from "vitest";
import { MemorySource } from "../../src/boot/byte-source.ts";
import {
  PT_INTERP,
  PT_NOTE,
  parseElf,
  readInterpreter,
  readNotes,
  readSections,
} from "../../src/boot/elf.ts";
import { encodeUtf8 } from "../../src/boot/text.ts";
import { buildElf, multibootElf32, note, SEGMENT_START } from "../support/elf-builder.ts";

const HIGH = 0xffff_ffff_8010_0000n;

describe("ELF reader", () => {
  it("reads header and segments of both classes", () => {
    for (const bits of [32, 64] as const) {
      const data = Uint8Array.of(1, 2, 3);
      const elf = parseElf(
        new MemorySource(
          buildElf({
            class: bits,
            entry: 0x20_0010,
            segments: [{ physicalAddress: 0x20_0000, data, memorySize: 100, flags: 5 }],
          }),
        ),
      );
      expect(elf).toMatchObject({ class: bits, type: 2, machine: bits === 32 ? 3 : 62 });
      expect(elf.entry).toBe(0x20_0010n);
      expect(elf.segments).toEqual([
        {
          type: 1,
          flags: 5,
          offset: SEGMENT_START,
          virtualAddress: 0x20_0000n,
          physicalAddress: 0x20_0000,
          fileSize: 3,
          memorySize: 100,
          alignment: 4,
        },
      ]);
    }
  });

  it("keeps all 64 bits of virtual addresses", () => {
    const data = new Uint8Array(4);
    const spec = {
      class: 64,
      entry: HIGH,
      segments: [{ physicalAddress: 0x10_0000, virtualAddress: HIGH, data }],
    } as const;
    const elf = parseElf(new MemorySource(buildElf(spec)));
    expect(elf.entry).toBe(HIGH);
    expect(elf.segments[0]?.virtualAddress).toBe(HIGH);
  });

  it("names sections", () => {
    const source = new MemorySource(multibootElf32());
    const elf = parseElf(source);
    const names = readSections(source, elf).map(({ name }) => name);
    expect(names).toEqual(["", ".text", ".symtab", ".strtab", ".shstrtab"]);
  });

  it("reads notes and the interpreter", () => {
    const notes = new Uint8Array([
      ...note("Solo5", 0x3154_4d53, Uint8Array.of(1, 2, 3, 4, 5)),
      ...note("Other", 7, new Uint8Array(0)),
    ]);
    const source = new MemorySource(
      buildElf({
        class: 64,
        entry: 0,
        segments: [
          { type: PT_INTERP, physicalAddress: 0, data: encodeUtf8("/nonexistent/solo5/\0") },
          { type: PT_NOTE, physicalAddress: 0, data: notes },
        ],
      }),
    );
    const elf = parseElf(source);
    expect(readInterpreter(source, elf)).toBe("/nonexistent/solo5/");
    expect(
      readNotes(source, elf).map(({ name, type, description }) => [name, type, ...description]),
    ).toEqual([
      ["Solo5", 0x3154_4d53, 1, 2, 3, 4, 5],
      ["Other", 7],
    ]);
  });

  it("says what is cut off", () => {
    const whole = multibootElf32();
    const parse = (length: number) => () => parseElf(new MemorySource(whole.subarray(0, length)));
    expect(parse(3)).toThrow("not an ELF file");
    expect(parse(20)).toThrow(/truncated ELF: header/);
    expect(parse(60)).toThrow(/truncated ELF: program header table/);
  });

  it("refuses big-endian files", () => {
    const bytes = multibootElf32();
    bytes[5] = 2;
    expect(() => parseElf(new MemorySource(bytes))).toThrow("not little-endian");
  });
});
