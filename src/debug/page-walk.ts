/** The guest's page tables, read as the processor would, without leaving a trace in them. */
import type { Registers } from "../core/cpu.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa } from "../core/units.ts";

const CR0_PG = 1n << 31n;
const CR4_PSE = 1n << 4n;
const CR4_PAE = 1n << 5n;
const EFER_LMA = 1n << 10n;
const EFER_NXE = 1n << 11n;

/** Bits of a page-table entry (Intel SDM vol. 3A §4.5.4). */
const PRESENT = 1n << 0n;
const WRITABLE = 1n << 1n;
const USER = 1n << 2n;
/** Of an entry above the last level: it maps a page itself. */
const PAGE_SIZE = 1n << 7n;
const NO_EXECUTE = 1n << 63n;
/** Bits 51 to 12. */
const ADDRESS = 0x000f_ffff_ffff_f000n;

/** How linear addresses become physical ones (Intel SDM vol. 3A §4.1.1). */
export type PagingMode = "none" | "32-bit" | "PAE" | "4-level";

export interface PageTableStep {
  /** The table: `PML4`, `PDPT`, `PD` or `PT`. */
  readonly table: string;
  /** Guest physical address of the entry. */
  readonly address: number;
  /** Undefined where there is no RAM. */
  readonly entry: bigint | undefined;
}

export interface PageMapping {
  /** Guest physical address of the linear one. */
  readonly physical: bigint;
  /** Bytes that this entry maps. */
  readonly size: bigint;
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
}

export interface PageWalk {
  readonly mode: PagingMode;
  /** The entries on the way; the last one says why there is no mapping, if so. */
  readonly steps: readonly PageTableStep[];
  readonly mapping: PageMapping | undefined;
}

/** What a walk depends on. */
export type PagingRegisters = Pick<Registers, "cr0" | "cr3" | "cr4" | "efer">;

interface Level {
  readonly table: string;
  /** The lowest bit of the address that chooses the entry, and how many do. */
  readonly shift: bigint;
  readonly bits: bigint;
  /** Whether an entry may map a page of this size itself. */
  readonly mayMap: boolean;
  /** Bytes of an entry. */
  readonly width: 4 | 8;
}

const level = (table: string, shift: number, bits: number, mayMap: boolean, width: 4 | 8 = 8) =>
  ({ table, shift: BigInt(shift), bits: BigInt(bits), mayMap, width }) satisfies Level;

const PAGE_TABLE = level("PT", 12, 9, true);
const LEVELS: Readonly<Record<Exclude<PagingMode, "none">, readonly Level[]>> = {
  "4-level": [
    level("PML4", 39, 9, false),
    level("PDPT", 30, 9, true),
    level("PD", 21, 9, true),
    PAGE_TABLE,
  ],
  PAE: [level("PDPT", 30, 2, false), level("PD", 21, 9, true), PAGE_TABLE],
  "32-bit": [level("PD", 22, 10, true, 4), level("PT", 12, 10, true, 4)],
};

export function pagingMode({ cr0, cr4, efer }: PagingRegisters): PagingMode {
  if ((cr0 & CR0_PG) === 0n) return "none";
  if ((cr4 & CR4_PAE) === 0n) return "32-bit";
  return (efer & EFER_LMA) !== 0n ? "4-level" : "PAE";
}

/**
 * @param linear canonical or not; outside long mode its low 32 bits count. PAE's four entries are
 *   taken from memory, where the processor has them from its last load of CR3.
 */
export function walkPages(
  registers: PagingRegisters,
  memory: GuestMemory,
  linear: bigint,
): PageWalk {
  const mode = pagingMode(registers);
  const address = BigInt.asUintN(64, linear);
  if (mode === "none") return { mode, steps: [], mapping: identity(address) };
  if (mode === "4-level" && BigInt.asUintN(64, BigInt.asIntN(48, address)) !== address) {
    return { mode, steps: [], mapping: undefined };
  }
  const rights = { writable: true, user: true, executable: true };
  const steps: PageTableStep[] = [];
  let table = registers.cr3 & (mode === "PAE" ? 0xffff_ffe0n : ADDRESS);
  for (const [i, { table: name, shift, bits, mayMap, width }] of LEVELS[mode].entries()) {
    const index = (address >> shift) & ((1n << bits) - 1n);
    const at = Number(table + index * BigInt(width));
    const entry = readEntry(memory, at, width);
    steps.push({ table: name, address: at, entry });
    if (entry === undefined || (entry & PRESENT) === 0n) break;
    // PAE's first level has no rights of its own.
    if (mode !== "PAE" || i > 0) {
      rights.writable &&= (entry & WRITABLE) !== 0n;
      rights.user &&= (entry & USER) !== 0n;
      rights.executable &&= (registers.efer & EFER_NXE) === 0n || (entry & NO_EXECUTE) === 0n;
    }
    const last = name === PAGE_TABLE.table;
    if (last || (mayMap && (entry & PAGE_SIZE) !== 0n && largePages(mode, registers))) {
      const size = 1n << shift;
      const frame = mode === "32-bit" && !last ? pse36Frame(entry) : entry & ADDRESS;
      const physical = (frame & ~(size - 1n)) | (address & (size - 1n));
      return { mode, steps, mapping: { physical, size, ...rights } };
    }
    table = entry & ADDRESS;
  }
  return { mode, steps, mapping: undefined };
}

const identity = (address: bigint): PageMapping => ({
  physical: BigInt.asUintN(32, address),
  size: 1n << 32n,
  ...{ writable: true, user: true, executable: true },
});

const largePages = (mode: PagingMode, { cr4 }: PagingRegisters): boolean =>
  mode !== "32-bit" || (cr4 & CR4_PSE) !== 0n;

/** A 4 MiB page's bits 39 to 32 are the entry's bits 20 to 13 (Intel SDM vol. 3A table 4-4). */
const pse36Frame = (entry: bigint): bigint =>
  (entry & 0xffc0_0000n) | (((entry >> 13n) & 0xffn) << 32n);

function readEntry(memory: GuestMemory, at: number, width: 4 | 8): bigint | undefined {
  if (!memory.contains(at, width)) return undefined;
  const low = BigInt(memory.readU32(gpa(at)));
  return width === 4 ? low : low | (BigInt(memory.readU32(gpa(at + 4))) << 32n);
}

/** Guest physical address; undefined where nothing is mapped. */
export const translate = (
  registers: PagingRegisters,
  memory: GuestMemory,
  linear: bigint,
): bigint | undefined => walkPages(registers, memory, linear).mapping?.physical;
