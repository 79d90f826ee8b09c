/**
 * The kernel's section headers and the sections that are not part of its segments, symbols and
 * strings above all, placed after it as GRUB legacy does (Multiboot 0.6.96 §3.3, `elf_sec`): a
 * page-aligned copy of the header table, each section after it, and `sh_addr` set in the copy.
 */

import { hex } from "../core/units.ts";
import { type ByteSource, readPart } from "./byte-source.ts";
import { alignUp, viewOf } from "./data-view.ts";
import { type ElfFile, readSections, SHT_NOBITS } from "./elf.ts";

export interface SymbolLayout {
  /** Guest physical address of the section header table. */
  readonly address: number;
  readonly count: number;
  readonly entrySize: number;
  readonly namesIndex: number;
  /** The table with the new addresses in it. */
  readonly table: Uint8Array;
  readonly sections: readonly {
    readonly address: number;
    readonly fileOffset: number;
    readonly size: number;
  }[];
  /** First address after it all. */
  readonly end: number;
}

const MAX_ALIGNMENT = 4096;

/**
 * @param address page-aligned
 * @param limit end of RAM
 * @returns `undefined` when there are no sections, or they are broken or do not fit: a kernel
 *   starts without its symbols
 */
export function layoutSymbols(
  source: ByteSource,
  elf: ElfFile,
  address: number,
  limit: number,
): SymbolLayout | undefined {
  const { count, entrySize, namesIndex, offset } = elf.sectionTable;
  const length = count * entrySize;
  if (count === 0 || offset + length > source.size) return undefined;
  if (entrySize < (elf.class === 64 ? 64 : 40)) return undefined;
  const table = readPart(source, offset, length, `section headers at ${hex(offset)}`).slice();
  const view = viewOf(table);

  const sections: { address: number; fileOffset: number; size: number }[] = [];
  let next = address + length;
  for (const [index, section] of readSections(source, elf).entries()) {
    if (section.address !== 0n || section.size === 0 || section.type === SHT_NOBITS) continue;
    if (section.offset + section.size > source.size) return undefined;
    const start = alignUp(next, clampAlignment(section.alignment));
    next = start + section.size;
    if (next > limit) return undefined;
    sections.push({ address: start, fileOffset: section.offset, size: section.size });
    if (elf.class === 64) view.setBigUint64(index * entrySize + 16, BigInt(start), true);
    else view.setUint32(index * entrySize + 12, start, true);
  }
  return next > limit
    ? undefined
    : { address, count, entrySize, namesIndex, table, sections, end: next };
}

const clampAlignment = (alignment: number): number =>
  Math.min(Math.max(1, alignment), MAX_ALIGNMENT);
