/**
 * Reader of little-endian ELF files of both classes (System V gABI 4.1, chapters 4 and 5).
 * Virtual addresses are `bigint`: kernels live at the top of 64 bits. Everything else is an offset
 * or a physical address, and exact as a number wherever it can be valid.
 */

import { GuestError } from "../core/errors.ts";
import { type ByteSource, checkRange, readHead, readPart } from "./byte-source.ts";
import { alignUp, getUint64, viewOf } from "./data-view.ts";
import { decodeAscii, untilNul } from "./text.ts";

export const EM_386 = 3;
export const EM_X86_64 = 62;
export const ET_EXEC = 2;
export const ET_DYN = 3;
export const PT_LOAD = 1;
export const PT_INTERP = 3;
export const PT_NOTE = 4;
export const SHT_NOBITS = 8;

const ELFCLASS32 = 1;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const IDENT_SIZE = 16;

/** A table that a kernel file never exceeds; it keeps hostile files cheap. */
const MAX_NOTES = 256;

export interface ElfSegment {
  readonly type: number;
  /** 1 execute, 2 write, 4 read. */
  readonly flags: number;
  readonly offset: number;
  readonly virtualAddress: bigint;
  readonly physicalAddress: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly alignment: number;
}

export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: bigint;
  readonly offset: number;
  readonly size: number;
  /** Index of a related section: a symbol table's strings. */
  readonly link: number;
  readonly alignment: number;
  readonly entrySize: number;
}

export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly description: Uint8Array;
}

export interface ElfFile {
  /** Bits. */
  readonly class: 32 | 64;
  /** {@link ET_EXEC} and others. */
  readonly type: number;
  /** {@link EM_386}, {@link EM_X86_64} and others. */
  readonly machine: number;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly sectionTable: SectionTable;
}

/** Where the section header table is; `count` is 0 when there is none. */
export interface SectionTable {
  readonly offset: number;
  readonly entrySize: number;
  readonly count: number;
  /** Index of the section with the sections' names. */
  readonly namesIndex: number;
}

export const isElf = (source: ByteSource): boolean =>
  decodeAscii(readHead(source, 4)) === "\x7fELF";

/**
 * The ELF header and the program headers. Segments may reach past the end of the file: who loads
 * one finds out by reading it.
 * @throws GuestError `image` when the file is not little-endian ELF or its tables are cut off
 */
export function parseElf(source: ByteSource): ElfFile {
  if (!isElf(source)) throw new GuestError("image", "not an ELF file");
  const ident = readPart(source, 0, IDENT_SIZE, "truncated ELF: header");
  if (ident[5] !== ELFDATA2LSB) throw new GuestError("image", "ELF file is not little-endian");
  if (ident[4] === ELFCLASS32) return parseElf32(source);
  if (ident[4] === ELFCLASS64) return parseElf64(source);
  throw new GuestError("image", `ELF file of unknown class ${ident[4]}`);
}

/**
 * The section headers with their names. A broken name table leaves names empty.
 * @throws GuestError `image` when the table is cut off or its entries are too small
 */
export function readSections(source: ByteSource, elf: ElfFile): ElfSection[] {
  const { offset, count, namesIndex } = elf.sectionTable;
  const entrySize = checkEntrySize(elf.sectionTable.entrySize, elf.class === 64 ? 64 : 40, count);
  const table = readPart(source, offset, count * entrySize, "truncated ELF: section header table");
  const view = viewOf(table);
  const headers = Array.from({ length: count }, (_, index) =>
    elf.class === 64 ? section64(view, index * entrySize) : section32(view, index * entrySize),
  );
  const names = headers[namesIndex];
  const strings = names === undefined ? undefined : readStrings(source, names);
  return headers.map(({ nameOffset, ...section }) => ({
    ...section,
    name: strings === undefined ? "" : stringAt(strings, nameOffset),
  }));
}

/**
 * One without bytes in the file may name any place there.
 * @throws GuestError `image` when a segment is cut off
 */
export function checkSegment(source: ByteSource, { offset, fileSize }: ElfSegment): void {
  if (fileSize > 0) checkRange(source, offset, fileSize, "truncated ELF: segment");
}

/**
 * Notes of all PT_NOTE segments (gABI chapter 5, "Note Section").
 * @throws GuestError `image` when a segment is cut off; a malformed note ends its segment
 */
export function readNotes(source: ByteSource, elf: ElfFile): ElfNote[] {
  const notes: ElfNote[] = [];
  for (const segment of elf.segments) {
    if (segment.type !== PT_NOTE) continue;
    const bytes = readPart(source, segment.offset, segment.fileSize, "truncated ELF: notes");
    for (const note of notesIn(bytes, segment.alignment)) {
      if (notes.length >= MAX_NOTES) return notes;
      notes.push(note);
    }
  }
  return notes;
}

/** The path in PT_INTERP: the program that must load this one. */
export function readInterpreter(source: ByteSource, elf: ElfFile): string | undefined {
  const segment = elf.segments.find(({ type }) => type === PT_INTERP);
  if (segment === undefined) return undefined;
  const length = Math.min(segment.fileSize, 256);
  const bytes = readPart(source, segment.offset, length, "truncated ELF: interpreter");
  return decodeAscii(untilNul(bytes));
}

function parseElf32(source: ByteSource): ElfFile {
  const view = viewOf(readPart(source, 0, 52, "truncated ELF: header"));
  const segments = readProgramHeaders(source, {
    offset: view.getUint32(28, true),
    entrySize: view.getUint16(42, true),
    count: view.getUint16(44, true),
    minimum: 32,
    parse: segment32,
  });
  return {
    class: 32,
    type: view.getUint16(16, true),
    machine: view.getUint16(18, true),
    entry: BigInt(view.getUint32(24, true)),
    segments,
    sectionTable: {
      offset: view.getUint32(32, true),
      entrySize: view.getUint16(46, true),
      count: view.getUint16(48, true),
      namesIndex: view.getUint16(50, true),
    },
  };
}

function parseElf64(source: ByteSource): ElfFile {
  const view = viewOf(readPart(source, 0, 64, "truncated ELF: header"));
  const segments = readProgramHeaders(source, {
    offset: getUint64(view, 32),
    entrySize: view.getUint16(54, true),
    count: view.getUint16(56, true),
    minimum: 56,
    parse: segment64,
  });
  return {
    class: 64,
    type: view.getUint16(16, true),
    machine: view.getUint16(18, true),
    entry: view.getBigUint64(24, true),
    segments,
    sectionTable: {
      offset: getUint64(view, 40),
      entrySize: view.getUint16(58, true),
      count: view.getUint16(60, true),
      namesIndex: view.getUint16(62, true),
    },
  };
}

interface ProgramHeaderTable {
  readonly offset: number;
  readonly entrySize: number;
  readonly count: number;
  /** Bytes of an entry that `parse` reads. */
  readonly minimum: number;
  readonly parse: (view: DataView, position: number) => ElfSegment;
}

function readProgramHeaders(source: ByteSource, table: ProgramHeaderTable): ElfSegment[] {
  const entrySize = checkEntrySize(table.entrySize, table.minimum, table.count);
  const length = table.count * entrySize;
  const bytes = readPart(source, table.offset, length, "truncated ELF: program header table");
  const view = viewOf(bytes);
  return Array.from({ length: table.count }, (_, index) => table.parse(view, index * entrySize));
}

function checkEntrySize(entrySize: number, minimum: number, count: number): number {
  if (count === 0 || entrySize >= minimum) return entrySize;
  throw new GuestError("image", `ELF table entries have ${entrySize} bytes, not ${minimum}`);
}

const segment32 = (view: DataView, position: number): ElfSegment => ({
  type: view.getUint32(position, true),
  offset: view.getUint32(position + 4, true),
  virtualAddress: BigInt(view.getUint32(position + 8, true)),
  physicalAddress: view.getUint32(position + 12, true),
  fileSize: view.getUint32(position + 16, true),
  memorySize: view.getUint32(position + 20, true),
  flags: view.getUint32(position + 24, true),
  alignment: view.getUint32(position + 28, true),
});

const segment64 = (view: DataView, position: number): ElfSegment => ({
  type: view.getUint32(position, true),
  flags: view.getUint32(position + 4, true),
  offset: getUint64(view, position + 8),
  virtualAddress: view.getBigUint64(position + 16, true),
  physicalAddress: getUint64(view, position + 24),
  fileSize: getUint64(view, position + 32),
  memorySize: getUint64(view, position + 40),
  alignment: getUint64(view, position + 48),
});

type SectionHeader = Omit<ElfSection, "name"> & { readonly nameOffset: number };

const section32 = (view: DataView, position: number): SectionHeader => ({
  nameOffset: view.getUint32(position, true),
  type: view.getUint32(position + 4, true),
  flags: view.getUint32(position + 8, true),
  address: BigInt(view.getUint32(position + 12, true)),
  offset: view.getUint32(position + 16, true),
  size: view.getUint32(position + 20, true),
  link: view.getUint32(position + 24, true),
  alignment: view.getUint32(position + 32, true),
  entrySize: view.getUint32(position + 36, true),
});

const section64 = (view: DataView, position: number): SectionHeader => ({
  nameOffset: view.getUint32(position, true),
  type: view.getUint32(position + 4, true),
  flags: getUint64(view, position + 8),
  address: view.getBigUint64(position + 16, true),
  offset: getUint64(view, position + 24),
  size: getUint64(view, position + 32),
  link: view.getUint32(position + 40, true),
  alignment: getUint64(view, position + 48),
  entrySize: getUint64(view, position + 56),
});

/** @returns `undefined` when the section is not inside the file */
function readStrings(
  source: ByteSource,
  section: { readonly offset: number; readonly size: number },
): Uint8Array | undefined {
  if (section.offset + section.size > source.size) return undefined;
  return source.read(section.offset, section.size);
}

const MAX_NAME = 256;

const stringAt = (strings: Uint8Array, offset: number): string =>
  decodeAscii(untilNul(strings.subarray(offset, offset + MAX_NAME)));

function* notesIn(bytes: Uint8Array, segmentAlignment: number): Generator<ElfNote> {
  // gABI says 8 for class 64, everybody writes 4; the segment's alignment tells them apart.
  const alignment = segmentAlignment === 8 ? 8 : 4;
  const view = viewOf(bytes);
  let position = 0;
  while (position + 12 <= bytes.length) {
    const nameSize = view.getUint32(position, true);
    const descriptionSize = view.getUint32(position + 4, true);
    const nameStart = position + 12;
    const descriptionStart = alignUp(nameStart + nameSize, alignment);
    const end = descriptionStart + descriptionSize;
    if (end > bytes.length) return;
    yield {
      name: decodeAscii(
        untilNul(bytes.subarray(nameStart, nameStart + nameSize)).subarray(0, MAX_NAME),
      ),
      type: view.getUint32(position + 8, true),
      description: bytes.subarray(descriptionStart, end),
    };
    position = alignUp(end, alignment);
  }
}
