import type { SegmentTraits } from "../segment-traits.ts";

/** Bytes of a guest physical page. */
export interface Span {
  readonly page: number;
  readonly from: number;
  /** Behind the last. */
  readonly to: number;
}

/** A piece of the guest's code as a function, and what it was made from. */
export interface Region {
  /** Linear, and guest physical, of its first instruction. */
  readonly linear: bigint;
  readonly address: number;
  readonly codeSize: 16 | 32 | 64;
  /** Offset of its first instruction in the code segment, and the last that the segment has. */
  readonly rip: bigint;
  readonly limit: bigint;
  /** Of the other segments. */
  readonly segments: SegmentTraits;
  /** Place in the table of regions. */
  readonly slot: number;
  /** Guest physical page by linear page number: all that its code is on. */
  readonly pages: ReadonlyMap<bigint, number>;
  /** The bytes of its code. */
  readonly spans: readonly Span[];
  /** The bits of CR0 and CR4 that it was translated for, if they matter. */
  readonly unitControls: number | undefined;
  readonly instructions: number;
  /** Of its module. */
  readonly bytes: number;
  readonly function: unknown;
  /** Offsets of its exit records: the first, and behind the last. */
  readonly exits: readonly [number, number];
  /** Whether it makes accesses outside the windows itself. */
  readonly slow: boolean;
  /** Whether it does what is rare itself. */
  readonly thorough: boolean;
  /** How often windows have been moved for it, or more where they could not. */
  looks: number;
}

/** All regions, by guest physical address of their entries, and by page. */
export class RegionCache {
  readonly #byAddress = new Map<number, Region>();
  readonly #byPage = new Map<number, Set<Region>>();
  bytes = 0;

  get count(): number {
    return this.#byAddress.size;
  }

  at(address: number): Region | undefined {
    return this.#byAddress.get(address);
  }

  add(region: Region): void {
    const old = this.#byAddress.get(region.address);
    if (old !== undefined) this.remove(old);
    this.#byAddress.set(region.address, region);
    this.bytes += region.bytes;
    for (const page of region.pages.values()) {
      const regions = this.#byPage.get(page) ?? new Set();
      regions.add(region);
      this.#byPage.set(page, regions);
    }
  }

  remove(region: Region): void {
    if (this.#byAddress.get(region.address) !== region) return;
    this.#byAddress.delete(region.address);
    this.bytes -= region.bytes;
    for (const page of region.pages.values()) {
      const regions = this.#byPage.get(page);
      regions?.delete(region);
      if (regions?.size === 0) this.#byPage.delete(page);
    }
  }

  /** The one that leaves by an exit record. */
  leavingBy(record: number): Region | undefined {
    for (const region of this.#byAddress.values()) {
      const [start, end] = region.exits;
      if (record >= start && record < end) return region;
    }
    return undefined;
  }

  /** Those with code on a guest physical page. */
  on(page: number): readonly Region[] {
    return [...(this.#byPage.get(page) ?? [])];
  }

  clear(): void {
    this.#byAddress.clear();
    this.#byPage.clear();
    this.bytes = 0;
  }
}
