import { CR0, CR4, EFER, PHYSICAL_BITS } from "../bits.ts";
import { CpuException, generalProtection, VECTOR } from "../exceptions.ts";
import type { Processor } from "../processor.ts";
import { STATE } from "../state.ts";
import { PAGE_SIZE, type PhysicalMemory } from "./physical.ts";

export type Access = "read" | "write" | "execute";

/** Bits of paging-structure entries (Intel SDM vol. 3A §4.3 to §4.5). */
export const PAGE_ENTRY = {
  P: 1 << 0,
  RW: 1 << 1,
  US: 1 << 2,
  A: 1 << 5,
  D: 1 << 6,
  PS: 1 << 7,
  G: 1 << 8,
} as const;
/** In the upper half of a 64-bit entry. */
const XD = (1 << 31) >>> 0;
const ADDRESS_HIGH = 2 ** (PHYSICAL_BITS - 32) - 1;
/** Bits 51 to MAXPHYADDR, in the upper half. */
const RESERVED_HIGH = 0x000f_ffff & ~ADDRESS_HIGH;
/** The address in a 64-bit entry. */
export const ADDRESS_MASK = (1n << BigInt(PHYSICAL_BITS)) - BigInt(PAGE_SIZE);
/** PAE paging reserves bits 62 to 52 as well; in PDPTEs also bit 63, and 8 to 5, 2 and 1. */
const PAE_RESERVED_HIGH = 0x7fff_ffff & ~ADDRESS_HIGH;
const PDPTE_RESERVED_HIGH = ~ADDRESS_HIGH;
const PDPTE_RESERVED_LOW = 0x1e6;

/** Bits of the page-fault error code (§4.7). */
export const PAGE_FAULT = {
  P: 1 << 0,
  WRITE: 1 << 1,
  USER: 1 << 2,
  RESERVED: 1 << 3,
  FETCH: 1 << 4,
} as const;

const WORD = 0x1_0000_0000;
const KIB_4_SHIFT = 12;
/** What an entry of a page directory, a page-directory-pointer table and a PML4 table maps (table 4-2). */
export const MIB_2_SHIFT = 21;
const MIB_4_SHIFT = 22;
export const GIB_1_SHIFT = 30;
export const GIB_512_SHIFT = 39;
const MAX_LEVELS = 4;

/** What {@link PageWalker.walk} returns: why there is no translation. */
export const WALK = { MAPPED: 0, NOT_PRESENT: 1, RESERVED: 2 } as const;

/**
 * Finds the translation of a linear address in the guest's paging structures. The result of the
 * last {@link PageWalker.walk} stays in the fields: a walk allocates nothing.
 */
export class PageWalker {
  /** Guest physical address of the 4 KiB page. */
  page = 0;
  /** Bytes that the leaf entry maps; unlimited without paging. */
  span = PAGE_SIZE;
  user = false;
  writable = false;
  noExecute = false;
  /** Whether every entry of the walk has its accessed flag set. */
  accessed = false;
  dirty = false;
  /** Whether the leaf entry says that it is the same in all address spaces. */
  global = false;

  readonly #p: Processor;
  readonly #memory: PhysicalMemory;
  readonly #onWrite: (address: number, length: number) => void;
  readonly #addresses = new Float64Array(MAX_LEVELS);
  #levels = 0;
  #low = 0;
  #high = 0;

  /** @param onWrite told of the entries whose accessed and dirty flags were set */
  constructor(
    p: Processor,
    memory: PhysicalMemory,
    onWrite: (address: number, length: number) => void,
  ) {
    this.#p = p;
    this.#memory = memory;
    this.#onWrite = onWrite;
  }

  /**
   * Changes nothing in memory.
   * @returns one of {@link WALK}
   */
  walk(linear: number): number {
    this.#levels = 0;
    this.user = true;
    this.writable = true;
    this.noExecute = false;
    this.accessed = true;
    this.dirty = true;
    this.global = false;
    if (!this.#p.paging) {
      this.page = linear - (linear & (PAGE_SIZE - 1));
      this.span = Number.POSITIVE_INFINITY;
      return WALK.MAPPED;
    }
    if (this.#p.longMode) return this.#walk4Level(linear);
    return (this.#p.cr4 & CR4.PAE) !== 0 ? this.#walkPae(linear) : this.#walk2Level(linear);
  }

  /** Bits that no entry of 4-level paging may have set. */
  get reserved(): bigint {
    const nxe = (this.#p.efer & EFER.NXE) !== 0;
    return BigInt(nxe ? RESERVED_HIGH : (RESERVED_HIGH | XD) >>> 0) << 32n;
  }

  /** Whether the translation found allows an access (§4.6). */
  permits(access: Access, user: boolean): boolean {
    if (user && !this.user) return false;
    if (access === "execute") return !this.noExecute;
    if (access === "read" || this.writable) return true;
    return !user && (this.#p.cr0 & CR0.WP) === 0;
  }

  /** Sets the accessed flags of all levels, and the dirty flag of the leaf (§4.8). */
  setAccessed(write: boolean): void {
    const leaf = this.#levels - 1;
    if (this.accessed && (this.dirty || !write)) return;
    for (let level = 0; level <= leaf; level++) {
      const address = this.#addresses[level] as number;
      const bits = PAGE_ENTRY.A | (write && level === leaf ? PAGE_ENTRY.D : 0);
      if ((this.#memory.readU32(address) & bits) === bits) continue;
      if (this.#memory.orU32(address, bits)) this.#onWrite(address, 4);
    }
    this.accessed = true;
    this.dirty ||= write;
  }

  #walk4Level(linear: number): number {
    const low = linear >>> 0;
    const high = Math.floor(linear / WORD);
    const index0 = (high >> 7) & 0x1ff;
    const cr3Low = this.#p.view.getUint32(STATE.CR3, true);
    const cr3High = this.#p.view.getUint32(STATE.CR3 + 4, true);
    const root = (cr3High & ADDRESS_HIGH) * WORD + ((cr3Low & 0xffff_f000) >>> 0);
    let status = this.#enter(root + 8 * index0, RESERVED_HIGH);
    if (status !== WALK.MAPPED) return status;
    if ((this.#low & PAGE_ENTRY.PS) !== 0) return WALK.RESERVED;
    const index1 = ((high & 0x7f) << 2) | (low >>> GIB_1_SHIFT);
    status = this.#enter(this.#next() + 8 * index1, RESERVED_HIGH);
    if (status !== WALK.MAPPED) return status;
    if ((this.#low & PAGE_ENTRY.PS) !== 0) return this.#largeLeaf(low, GIB_1_SHIFT);
    return this.#walkDirectory(low, this.#next(), RESERVED_HIGH);
  }

  #walkPae(linear: number): number {
    const low = linear >>> 0;
    const pdpte = STATE.PDPTE + 8 * (low >>> GIB_1_SHIFT);
    this.#low = this.#p.view.getUint32(pdpte, true);
    this.#high = this.#p.view.getUint32(pdpte + 4, true);
    if ((this.#low & PAGE_ENTRY.P) === 0) return WALK.NOT_PRESENT;
    return this.#walkDirectory(low, this.#next(), PAE_RESERVED_HIGH);
  }

  /** The two lowest levels of 64-bit entries. */
  #walkDirectory(low: number, directory: number, reservedHigh: number): number {
    const status = this.#enter(directory + 8 * ((low >>> MIB_2_SHIFT) & 0x1ff), reservedHigh);
    if (status !== WALK.MAPPED) return status;
    if ((this.#low & PAGE_ENTRY.PS) !== 0) return this.#largeLeaf(low, MIB_2_SHIFT);
    const entry = this.#next() + 8 * ((low >>> KIB_4_SHIFT) & 0x1ff);
    const leaf = this.#enter(entry, reservedHigh);
    if (leaf !== WALK.MAPPED) return leaf;
    this.#finish(this.#next(), PAGE_SIZE);
    return WALK.MAPPED;
  }

  /** A 2 MiB or 1 GiB page: the bits between PAT (12) and the page's address are reserved. */
  #largeLeaf(low: number, shift: number): number {
    const offsetMask = 2 ** shift - 1;
    if ((this.#low & offsetMask & ~0x1fff) !== 0) return WALK.RESERVED;
    const base = (this.#high & ADDRESS_HIGH) * WORD + ((this.#low & ~offsetMask) >>> 0);
    this.#finish(base + (low & offsetMask & ~(PAGE_SIZE - 1)), 2 ** shift);
    return WALK.MAPPED;
  }

  #walk2Level(linear: number): number {
    const low = linear >>> 0;
    const directory = (this.#p.view.getUint32(STATE.CR3, true) & 0xffff_f000) >>> 0;
    const status = this.#enter32(directory + 4 * (low >>> MIB_4_SHIFT));
    if (status !== WALK.MAPPED) return status;
    if ((this.#low & PAGE_ENTRY.PS) !== 0 && (this.#p.cr4 & CR4.PSE) !== 0) {
      return this.#largeLeaf32(low);
    }
    const table = (this.#low & 0xffff_f000) >>> 0;
    const leaf = this.#enter32(table + 4 * ((low >>> KIB_4_SHIFT) & 0x3ff));
    if (leaf !== WALK.MAPPED) return leaf;
    this.#finish((this.#low & 0xffff_f000) >>> 0, PAGE_SIZE);
    return WALK.MAPPED;
  }

  /** A 4 MiB page; PSE-36 puts address bits 39 to 32 into bits 20 to 13 (table 4-4). */
  #largeLeaf32(low: number): number {
    if ((this.#low & (1 << 21)) !== 0) return WALK.RESERVED;
    const base = ((this.#low >>> 13) & 0xff) * WORD + ((this.#low & 0xffc0_0000) >>> 0);
    this.#finish(base + (low & 0x003f_f000), 2 ** MIB_4_SHIFT);
    return WALK.MAPPED;
  }

  /** Reads a 64-bit entry and takes its permissions into account. */
  #enter(address: number, reservedHigh: number): number {
    this.#low = this.#memory.readU32(address);
    this.#high = this.#memory.readU32(address + 4);
    if ((this.#low & PAGE_ENTRY.P) === 0) return WALK.NOT_PRESENT;
    const nxe = (this.#p.efer & EFER.NXE) !== 0;
    if ((this.#high & (nxe ? reservedHigh : reservedHigh | XD)) !== 0) return WALK.RESERVED;
    this.noExecute ||= (this.#high & XD) !== 0;
    this.#accumulate(address);
    return WALK.MAPPED;
  }

  #enter32(address: number): number {
    this.#low = this.#memory.readU32(address);
    this.#high = 0;
    if ((this.#low & PAGE_ENTRY.P) === 0) return WALK.NOT_PRESENT;
    this.#accumulate(address);
    return WALK.MAPPED;
  }

  #accumulate(address: number): void {
    this.#addresses[this.#levels++] = address;
    if ((this.#low & PAGE_ENTRY.US) === 0) this.user = false;
    if ((this.#low & PAGE_ENTRY.RW) === 0) this.writable = false;
    if ((this.#low & PAGE_ENTRY.A) === 0) this.accessed = false;
  }

  /** What the 64-bit entry read last points to. */
  #next(): number {
    return (this.#high & ADDRESS_HIGH) * WORD + ((this.#low & 0xffff_f000) >>> 0);
  }

  #finish(page: number, span: number): void {
    this.page = page;
    this.span = span;
    this.dirty = (this.#low & PAGE_ENTRY.D) !== 0;
    this.global = (this.#low & PAGE_ENTRY.G) !== 0;
  }
}

/** @param status of the walk: MAPPED where permissions were lacking */
export function pageFault(
  p: Processor,
  linear: number,
  access: Access,
  user: boolean,
  status: number,
): CpuException {
  p.cr2 = BigInt.asUintN(64, BigInt(linear));
  // Without NX the bit that tells fetches apart does not exist.
  const reportsFetch = (p.cr4 & CR4.PAE) !== 0 && (p.efer & EFER.NXE) !== 0;
  return new CpuException(
    VECTOR.PF,
    (status === WALK.NOT_PRESENT ? 0 : PAGE_FAULT.P) |
      (status === WALK.RESERVED ? PAGE_FAULT.RESERVED : 0) |
      (access === "write" ? PAGE_FAULT.WRITE : 0) |
      (user ? PAGE_FAULT.USER : 0) |
      (access === "execute" && reportsFetch ? PAGE_FAULT.FETCH : 0),
  );
}

/**
 * Reads the four entries that PAE paging keeps in the processor (§4.4.1); nothing is changed when
 * one of them is bad.
 * @throws CpuException #GP(0) when a present entry has reserved bits set
 */
export function loadPdptes(p: Processor, memory: PhysicalMemory, cr3: bigint): void {
  const table = pdpteTable(cr3);
  for (let at = table; at < table + PDPTE_BYTES; at += 8) {
    const low = memory.readU32(at);
    const high = memory.readU32(at + 4);
    const reserved = (low & PDPTE_RESERVED_LOW) | (high & PDPTE_RESERVED_HIGH);
    if ((low & PAGE_ENTRY.P) !== 0 && reserved !== 0) throw generalProtection();
  }
  copyPdptes(p, memory, cr3);
}

/** As {@link loadPdptes}, without the check. */
export function copyPdptes(p: Processor, memory: PhysicalMemory, cr3: bigint): void {
  const table = pdpteTable(cr3);
  for (let offset = 0; offset < PDPTE_BYTES; offset += 4) {
    p.view.setUint32(STATE.PDPTE + offset, memory.readU32(table + offset), true);
  }
}

const PDPTE_BYTES = 32;
const pdpteTable = (cr3: bigint): number => Number(BigInt.asUintN(32, cr3) & 0xffff_ffe0n);
