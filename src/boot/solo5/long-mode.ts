/**
 * The processor as Solo5's tenders hand it over: in 64-bit mode with memory mapped to itself, so
 * that a unikernel has nothing of its own to set up before C code runs.
 */

import type { Registers, Segment } from "../../core/cpu.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { GIB, gpa, MIB, PAGE_SIZE } from "../../core/units.ts";
import { powerOnState } from "../entry-state.ts";

/** Where the tender's own structures lie, below everything that is mapped. */
const GDT_BASE = 0x1000;
const PML4_BASE = 0x2000;
const PDPTE_BASE = 0x3000;
const PDE_BASE = 0x4000;
const PT0_BASE = 0x8000;

const ENTRY_SIZE = 8;
const LARGE_PAGE = 2 * MIB;

/** Bits of paging-structure entries (Intel SDM vol. 3A §4.5). */
const PRESENT = 1 << 0;
const WRITABLE = 1 << 1;
const PAGE_SIZE_BIT = 1 << 7;

const CR0_PE = 1n << 0n;
const CR0_NE = 1n << 5n;
const CR0_WP = 1n << 16n;
const CR0_PG = 1n << 31n;
const CR4_PAE = 1n << 5n;
const CR4_OSFXSR = 1n << 9n;
const CR4_OSXMMEXCPT = 1n << 10n;
const EFER_LME = 1n << 8n;
const EFER_LMA = 1n << 10n;

const CODE_SELECTOR = 0x08;
const DATA_SELECTOR = 0x10;
/** Present, ring 0, accessed, granularity 4 KiB: execute-only and 64-bit; writable and 32-bit. */
const CODE_ATTRIBUTES = 0xa099;
const DATA_ATTRIBUTES = 0xc093;
const FLAT_LIMIT = 0xffff_ffff;

/** How one generation of tenders maps the first 2 MiB; what is above is always writable. */
export interface LowMemoryMap {
  /** Nothing is mapped below. 0: the first 2 MiB are one page, which is writable. */
  readonly mappedFrom: number;
  /** Read-only below. */
  readonly writableFrom: number;
  /** CR0.WP: whether level 0 heeds read-only pages. */
  readonly writeProtect: boolean;
}

/** Page tables that map all of memory to itself, and the descriptor table. */
export function writeLongModeTables(memory: GuestMemory, low: LowMemoryMap): void {
  const entry = (table: number, index: number, value: number): void =>
    memory.writeU64(gpa(table + ENTRY_SIZE * index), value);
  entry(PML4_BASE, 0, PDPTE_BASE | PRESENT | WRITABLE);
  for (let gib = 0; gib * GIB < memory.size; gib++) {
    entry(PDPTE_BASE, gib, (PDE_BASE + PAGE_SIZE * gib) | PRESENT | WRITABLE);
  }
  for (let page = 0; page * LARGE_PAGE < memory.size; page++) {
    entry(PDE_BASE, page, page * LARGE_PAGE + (PRESENT | WRITABLE | PAGE_SIZE_BIT));
  }
  if (low.mappedFrom > 0) {
    entry(PDE_BASE, 0, PT0_BASE | PRESENT | WRITABLE);
    for (let page = low.mappedFrom; page < LARGE_PAGE; page += PAGE_SIZE) {
      const rights = page < low.writableFrom ? PRESENT : PRESENT | WRITABLE;
      entry(PT0_BASE, page / PAGE_SIZE, page | rights);
    }
  }
  memory.write(gpa(GDT_BASE), gdt());
}

const GDT_SIZE = 24;

function gdt(): Uint8Array {
  const table = new Uint8Array(GDT_SIZE);
  const view = new DataView(table.buffer);
  for (const { selector, attributes } of [CODE, DATA]) {
    view.setUint32(selector, 0x0000_ffff, true);
    view.setUint32(selector + 4, (attributes << 8) | 0x000f_0000, true);
  }
  return table;
}

const flat = (selector: number, attributes: number): Segment => ({
  selector,
  base: 0n,
  limit: FLAT_LIMIT,
  attributes,
});
const CODE = flat(CODE_SELECTOR, CODE_ATTRIBUTES);
const DATA = flat(DATA_SELECTOR, DATA_ATTRIBUTES);

/**
 * @param entry address of the first instruction, a function of one argument in C's convention
 * @param argument address of the boot information
 * @param stackTop 16-byte aligned; a return address that nobody uses lies below it
 */
export function longModeEntryState(
  entry: number,
  argument: number,
  stackTop: number,
  low: LowMemoryMap,
): Registers {
  return {
    ...powerOnState(),
    rdi: BigInt(argument),
    rsp: BigInt(stackTop - 8),
    rip: BigInt(entry),
    cr0: CR0_PE | CR0_NE | CR0_PG | (low.writeProtect ? CR0_WP : 0n),
    cr3: BigInt(PML4_BASE),
    cr4: CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT,
    efer: EFER_LME | EFER_LMA,
    cs: CODE,
    ds: DATA,
    es: DATA,
    fs: DATA,
    gs: DATA,
    ss: DATA,
    gdtr: { base: BigInt(GDT_BASE), limit: GDT_SIZE - 1 },
  };
}
