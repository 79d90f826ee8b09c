import { type Block, linearPageOf, placeOf } from "../interpreter/block.ts";
import type { Draft, Terms } from "./drafter.ts";
import type { LoadedModule } from "./loaded-module.ts";

const PAGE_SIZE = 4096;

/** Bytes of a guest physical page. */
export interface Span {
  readonly page: number;
  readonly from: number;
  /** Behind the last. */
  readonly to: number;
}

/** The first, and behind the last. */
export type Range = readonly [number, number];

/** A piece of the guest's code as a function, and what it was made from. */
export interface Region
  extends Omit<Draft, "body">,
    Pick<Terms, "segments" | "paged" | "slow" | "thorough"> {
  /** Linear, and guest physical, of its first instruction. */
  readonly linear: bigint;
  readonly address: number;
  readonly codeSize: 16 | 32 | 64;
  /** Offset of its first instruction in the code segment, and the last that the segment has. */
  readonly rip: bigint;
  readonly limit: bigint;
  /** Whether it is for user's rights. */
  readonly user: boolean;
  /** Guest physical page by linear page number, signed: all that its code is on. */
  readonly pages: ReadonlyMap<number, number>;
  /** Where its code is, and its bytes, one span behind the other. */
  readonly spans: readonly Span[];
  readonly code: Uint8Array;
  /** Guest physical addresses of the blocks that are in it as themselves, not as parts of callees. */
  readonly covers: readonly number[];
  /** The bits of CR0 and CR4 that it was translated for, if they matter. */
  readonly unitControls: number | undefined;
  readonly instructions: number;
  /** What its function is in: at first one of its own. */
  module: LoadedModule;
  function: unknown;
  /** Where it is in the module's bytes. */
  body: Uint8Array;
  /** The windows that it was made for, among all sets of such; undefined if it relies on none. */
  readonly windows: number | undefined;
  /** How often windows have been moved for it, or more where they could not. */
  looks: number;
}

/** Where a region begins. */
export type Entry = Pick<Region, "address" | "user">;

/** All regions, by guest physical address and rights of their entries, and by page. */
export class RegionCache {
  readonly #byPlace = new Map<number, Region>();
  readonly #byPage = new Map<number, Set<Region>>();
  /** Those that can be left by records, in the order of these. */
  readonly #byExits: Region[] = [];
  bytes = 0;

  get count(): number {
    return this.#byPlace.size;
  }

  get all(): readonly Region[] {
    return [...this.#byPlace.values()];
  }

  at({ address, user }: Entry): Region | undefined {
    return this.#byPlace.get(placeOf(address, user));
  }

  add(region: Region): void {
    const old = this.at(region);
    if (old !== undefined) this.remove(old);
    this.#byPlace.set(placeOf(region.address, region.user), region);
    this.bytes += region.body.length;
    const [first, behind] = region.exits;
    if (first < behind) this.#byExits.splice(this.#upTo(first), 0, region);
    for (const page of region.pages.values()) {
      const regions = this.#byPage.get(page) ?? new Set();
      regions.add(region);
      this.#byPage.set(page, regions);
    }
  }

  remove(region: Region): void {
    if (this.at(region) !== region) return;
    this.#byPlace.delete(placeOf(region.address, region.user));
    this.bytes -= region.body.length;
    const place = this.#upTo(region.exits[0]) - 1;
    if (this.#byExits[place] === region) this.#byExits.splice(place, 1);
    for (const page of region.pages.values()) {
      const regions = this.#byPage.get(page);
      regions?.delete(region);
      if (regions?.size === 0) this.#byPage.delete(page);
    }
  }

  /** The one that leaves by an exit record. */
  leavingBy(record: number): Region | undefined {
    const region = this.#byExits[this.#upTo(record) - 1];
    return region !== undefined && record < region.exits[1] ? region : undefined;
  }

  /** How many have their first exit record there or before. */
  #upTo(record: number): number {
    let from = 0;
    let to = this.#byExits.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#byExits[middle] as Region).exits[0] <= record) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** Those with code on a guest physical page. */
  on(page: number): readonly Region[] {
    return [...(this.#byPage.get(page) ?? [])];
  }

  clear(): void {
    this.#byPlace.clear();
    this.#byPage.clear();
    this.#byExits.length = 0;
    this.bytes = 0;
  }
}

/** The guest physical page of each linear page that blocks are on. */
export function pagesOf(
  blocks: readonly Pick<Block, "linear" | "codeSize" | "pages">[],
): Map<number, number> {
  const pages = new Map<number, number>();
  for (const block of blocks) {
    for (const [n, page] of block.pages.entries()) pages.set(linearPageOf(block, n), page);
  }
  return pages;
}

/** The bytes that a block was made from. */
export function spansOf({ address, length, pages: [first, second] }: Block): Span[] {
  const from = address % PAGE_SIZE;
  const spans = [{ page: first as number, from, to: Math.min(PAGE_SIZE, from + length) }];
  if (second !== undefined) spans.push({ page: second, from: 0, to: from + length - PAGE_SIZE });
  return spans;
}
