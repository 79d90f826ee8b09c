/** Builds small ELF files, so that tests need no binaries. */

import { alignUp, viewOf } from "../../src/boot/data-view.ts";
import { EM_386, EM_X86_64, ET_EXEC, PT_LOAD } from "../../src/boot/elf.ts";
import { encodeUtf8 } from "../../src/boot/text.ts";

export interface SegmentSpec {
  readonly type?: number;
  readonly flags?: number;
  readonly physicalAddress: number;
  /** The physical address unless given. */
  readonly virtualAddress?: bigint;
  readonly data: Uint8Array;
  /** The length of `data` unless given. */
  readonly memorySize?: number;
  readonly alignment?: number;
}

export interface SectionSpec {
  readonly name: string;
  readonly type: number;
  readonly address?: number;
  readonly data: Uint8Array;
  readonly link?: number;
  readonly alignment?: number;
}

export interface ElfSpec {
  readonly class: 32 | 64;
  readonly machine?: number;
  readonly type?: number;
  readonly entry: number | bigint;
  readonly segments: readonly SegmentSpec[];
  /** Section 0 and the section with the names are added: the first given has index 1. */
  readonly sections?: readonly SectionSpec[];
}

interface Placed {
  readonly offset: number;
  readonly data: Uint8Array;
}

/** Segment data start at file offset 0x1000 (as linkers do), or right after the headers. */
export const SEGMENT_START = 0x1000;

export function buildElf(spec: ElfSpec): Uint8Array {
  const wide = spec.class === 64;
  const headerSize = wide ? 64 : 52;
  const programHeaderSize = wide ? 56 : 32;
  const sectionHeaderSize = wide ? 64 : 40;
  let next = SEGMENT_START;
  const place = (data: Uint8Array, alignment: number): Placed => {
    const offset = alignUp(next, alignment);
    next = offset + data.length;
    return { offset, data };
  };
  const segments = spec.segments.map((segment) => place(segment.data, 16));

  const sections = withNames(spec.sections ?? []);
  const placedSections = sections.map(({ data }) => place(data, 4));
  const sectionTable = sections.length === 0 ? 0 : alignUp(next, 16);
  const size = sections.length === 0 ? next : sectionTable + sections.length * sectionHeaderSize;

  const bytes = new Uint8Array(size);
  const view = viewOf(bytes);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  view.setUint16(16, spec.type ?? ET_EXEC, true);
  view.setUint16(18, spec.machine ?? (wide ? EM_X86_64 : EM_386), true);
  view.setUint32(20, 1, true);
  const word = (offset: number, value: number | bigint): void => {
    if (wide) view.setBigUint64(offset, BigInt(value), true);
    else view.setUint32(offset, Number(value), true);
  };
  const step = wide ? 8 : 4;
  word(24, spec.entry);
  word(24 + step, headerSize);
  word(24 + 2 * step, sectionTable);
  const counts = 24 + 3 * step + 4;
  view.setUint16(counts, headerSize, true);
  view.setUint16(counts + 2, programHeaderSize, true);
  view.setUint16(counts + 4, segments.length, true);
  view.setUint16(counts + 6, sectionHeaderSize, true);
  view.setUint16(counts + 8, sections.length, true);
  view.setUint16(counts + 10, Math.max(0, sections.length - 1), true);

  for (const [index, segment] of spec.segments.entries()) {
    const base = headerSize + index * programHeaderSize;
    const { offset, data } = segments[index] as Placed;
    bytes.set(data, offset);
    view.setUint32(base, segment.type ?? PT_LOAD, true);
    view.setUint32(base + (wide ? 4 : 24), segment.flags ?? 7, true);
    const fields = base + (wide ? 8 : 4);
    word(fields, offset);
    word(fields + step, segment.virtualAddress ?? segment.physicalAddress);
    word(fields + 2 * step, segment.physicalAddress);
    word(fields + 3 * step, data.length);
    word(fields + 4 * step, segment.memorySize ?? data.length);
    word(base + (wide ? 48 : 28), segment.alignment ?? 4);
  }
  for (const [index, section] of sections.entries()) {
    const base = sectionTable + index * sectionHeaderSize;
    const { offset, data } = placedSections[index] as Placed;
    bytes.set(data, offset);
    view.setUint32(base, section.nameOffset, true);
    view.setUint32(base + 4, section.type, true);
    const fields = base + 8 + step;
    word(fields, section.address ?? 0);
    word(fields + step, offset);
    word(fields + 2 * step, data.length);
    view.setUint32(fields + 3 * step, section.link ?? 0, true);
    word(fields + 3 * step + 8, section.alignment ?? 1);
  }
  return bytes;
}

function withNames(
  sections: readonly SectionSpec[],
): (SectionSpec & { readonly nameOffset: number })[] {
  if (sections.length === 0) return [];
  const all = [
    { name: "", type: 0, data: new Uint8Array(0) },
    ...sections,
    { name: ".shstrtab", type: 3, data: new Uint8Array(0) },
  ];
  let names = "";
  const named = all.map((section) => {
    const nameOffset = names.length;
    names += `${section.name}\0`;
    return { ...section, nameOffset };
  });
  return named.map((section, index) =>
    index === named.length - 1 ? { ...section, data: encodeUtf8(names) } : section,
  );
}

/** Symbol table entries of 32-bit files, and the string table for them. */
export function symbolTable32(symbols: readonly { name: string; value: number }[]): {
  readonly table: Uint8Array;
  readonly strings: Uint8Array;
} {
  const table = new Uint8Array(16 * (symbols.length + 1));
  const view = viewOf(table);
  let strings = "\0";
  for (const [index, { name, value }] of symbols.entries()) {
    view.setUint32(16 * (index + 1), strings.length, true);
    view.setUint32(16 * (index + 1) + 4, value, true);
    view.setUint32(16 * (index + 1) + 8, 4, true);
    strings += `${name}\0`;
  }
  return { table, strings: encodeUtf8(strings) };
}

/** A note: name, type and description, each padded to four bytes. */
export function note(name: string, type: number, description: Uint8Array): Uint8Array {
  const nameBytes = encodeUtf8(`${name}\0`);
  const descriptionStart = 12 + alignUp(nameBytes.length, 4);
  const bytes = new Uint8Array(descriptionStart + alignUp(description.length, 4));
  const view = viewOf(bytes);
  view.setUint32(0, nameBytes.length, true);
  view.setUint32(4, description.length, true);
  view.setUint32(8, type, true);
  bytes.set(nameBytes, 12);
  bytes.set(description, descriptionStart);
  return bytes;
}

/** Multiboot header: header, load, load end, bss end and entry address where given. */
export function multibootHeader(flags: number, addresses: readonly number[] = []): Uint8Array {
  const words = [0x1bad_b002, flags, -(0x1bad_b002 + flags), ...addresses];
  const bytes = new Uint8Array(4 * words.length);
  for (const [index, value] of words.entries())
    viewOf(bytes).setUint32(4 * index, value >>> 0, true);
  return bytes;
}

const MIB = 0x10_0000;

/** A 32-bit Multiboot kernel at 1 MiB with a bss and a symbol table: the loader's kind. */
export function multibootElf32(overrides: Partial<ElfSpec> = {}): Uint8Array {
  const data = new Uint8Array(64).fill(0x90);
  data.set(multibootHeader(0x3));
  const { table, strings } = symbolTable32([
    { name: "start", value: MIB + 12 },
    { name: "stack", value: MIB + 0x100 },
  ]);
  return buildElf({
    class: 32,
    entry: MIB + 12,
    segments: [{ physicalAddress: MIB, data, memorySize: 0x1800 }],
    sections: [
      { name: ".text", type: 1, address: MIB, data: new Uint8Array(0) },
      { name: ".symtab", type: 2, data: table, link: 3, alignment: 4 },
      { name: ".strtab", type: 3, data: strings },
    ],
    ...overrides,
  });
}

/** A 64-bit executable without Multiboot header, to be executed in place: the kernel proper's kind. */
export function kernelElf64(address: number, size = 0x100): Uint8Array {
  return buildElf({
    class: 64,
    entry: address + SEGMENT_START,
    segments: [
      {
        physicalAddress: address + SEGMENT_START,
        data: new Uint8Array(size).fill(0xcc),
        memorySize: size + 0x2000,
      },
    ],
  });
}
