import type { Translations } from "../../src/core/translations.ts";
import { MIB } from "../../src/core/units.ts";
import { type Block, placeOf } from "../interpreter/block.ts";
import { countOptimised } from "../wasm/machine-code.ts";
import { type KeptRegion, KeptRegions, packRegions } from "./kept-regions.ts";
import type { Region } from "./region.ts";
import type { RegionMaker, RegionMeans } from "./region-maker.ts";

/** After so many runs that did not need it a region is no longer kept. */
const MAX_IDLE = 4;
/**
 * A run that has taken up less than one in so many is not like the one before: a kernel that moves itself to another
 * address at each start, or another image. Then nothing of that is kept any more.
 */
const HARDLY_ANY = 8;
/** The modules that are kept of a run are at most as large, in bytes. */
const MAX_KEPT = 16 * MIB;
/** And V8's code of them: where there is more, none is kept. */
const MAX_MACHINE_CODE = 32 * MIB;

/**
 * Takes up regions of an earlier run of the same guest where their code is what it was, and keeps those
 * of this one. They refer to exit records, slots and procedures by number: so the numbers of those that
 * may still be taken up are not given to others.
 */
export class Keeping {
  readonly #means: RegionMeans;
  readonly #maker: RegionMaker;
  readonly #earlier: Translations | undefined;
  #kept: KeptRegions | undefined;
  /** Regions that have been taken up, and how many of them with V8's optimised code. */
  count = 0;
  optimised = 0;

  constructor(means: RegionMeans, maker: RegionMaker, earlier: Translations | undefined) {
    this.#means = means;
    this.#maker = maker;
    this.#earlier = earlier;
    this.expect();
  }

  /** Leaves room for all that there is of the earlier run. No region has been made yet. */
  expect(): void {
    this.#kept = this.#open();
    if (this.#kept === undefined) return;
    const { records, table, windows, jumps } = this.#means;
    const { ends, slots, commons } = this.#kept;
    records.reserve(ends.exit);
    table.slots.reserve(slots);
    this.#maker.reserve(ends.procedure);
    windows.restore(commons.windowSets);
    jumps.restore(commons.jumps);
  }

  /** Whatever is wrong with it: then there is just nothing from earlier. */
  #open(): KeptRegions | undefined {
    if (this.#earlier === undefined) return undefined;
    try {
      const kept = new KeptRegions(this.#earlier);
      return kept.commons.shared === this.#means.around.shared ? kept : undefined;
    } catch {
      return undefined;
    }
  }

  /** All numbers are given up. */
  clear(): void {
    this.#kept = undefined;
  }

  /** The region that an earlier run had for a block, if it is right now. */
  take(block: Block): Region | undefined {
    const kept = this.#kept?.take(block, (one) => this.#maker.fits(one, block));
    const region = kept && this.#restored(kept);
    if (region === undefined) return undefined;
    const { experience } = this.#means;
    const place = placeOf(block.address, block.user);
    if (region.paged) experience.paged.add(place);
    if (region.slow) experience.slow.add(place);
    if (region.thorough) experience.thorough.add(place);
    this.count++;
    this.optimised += countOptimised([region.function]);
    return region;
  }

  #restored(kept: KeptRegion): Region | undefined {
    try {
      return this.#maker.restore(kept);
    } catch (error) {
      // What was read is not what was written.
      if (error instanceof WebAssembly.CompileError) return undefined;
      throw error;
    }
  }

  /**
   * What is to be kept for the next run; undefined if that is nothing, for it begins with fresh numbers.
   * @param regions all that there are
   * @param laidAside those that were, whose code may come again
   */
  keep(regions: readonly Region[], laidAside: readonly Region[]): Translations | undefined {
    const { records, windows, jumps, around } = this.#means;
    if (!records.isHalfEmpty) return undefined;
    const used = this.#maker.keep([...regions, ...laidAside]);
    // Where they did not fit there may be others now.
    for (const region of used) this.#kept?.supersede(region);
    const unused = this.#unused();
    const live = used.slice(0, regions.length);
    const all = this.#withinLimit([[...used, ...unused], used, live]);
    if (all === undefined) return undefined;
    return packRegions(all, sizeOf(all).code <= MAX_MACHINE_CODE, {
      windowSets: windows.all,
      jumps: jumps.all,
      shared: around.shared,
    });
  }

  /** What this run has not needed, and the next one may. */
  #unused(): KeptRegion[] {
    if (this.#kept === undefined || HARDLY_ANY * this.count < this.#kept.total) return [];
    return this.#kept
      .values()
      .map((kept) => ({ ...kept, idle: kept.idle + 1 }))
      .filter(({ idle }) => idle <= MAX_IDLE);
  }

  /** The first that is not too large. */
  #withinLimit(choices: readonly (readonly KeptRegion[])[]): KeptRegion[] | undefined {
    for (const choice of choices) {
      const regions = this.#maker.gather(choice);
      if (sizeOf(regions).bytes <= MAX_KEPT) return regions;
    }
    return undefined;
  }
}

/** Of the modules that regions are in, together. */
function sizeOf(regions: readonly KeptRegion[]): { bytes: number; code: number } {
  const size = { bytes: 0, code: 0 };
  for (const { bytes, code } of new Set(regions.map(({ module }) => module))) {
    size.bytes += bytes.length;
    size.code += code?.length ?? 0;
  }
  return size;
}
