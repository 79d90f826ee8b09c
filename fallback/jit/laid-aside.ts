import { type Block, placeOf } from "../interpreter/block.ts";
import type { Region } from "./region.ts";
import { MAX_REGIONS, type RegionMaker } from "./region-maker.ts";

/** Programs that are loaded to the same place in turns. */
const MAX_AT_PLACE = 4;

/**
 * Regions whose code has been written to. Often it becomes what it was, as where a program is loaded once
 * more to the same place: then they are right again.
 */
export class LaidAside {
  readonly #maker: RegionMaker;
  /** Those laid aside last are at the end; none is empty. */
  readonly #regions = new Map<number, Region[]>();
  #count = 0;

  constructor(maker: RegionMaker) {
    this.#maker = maker;
  }

  add(region: Region): void {
    const place = placeOf(region.address, region.user);
    const regions = this.#regions.get(place) ?? [];
    this.#regions.delete(place);
    this.#regions.set(place, regions);
    regions.push(region);
    this.#count++;
    if (regions.length > MAX_AT_PLACE) {
      regions.shift();
      this.#count--;
    }
    if (this.#count > MAX_REGIONS) this.#dropOldest();
  }

  get all(): readonly Region[] {
    return [...this.#regions.values()].flat();
  }

  /** The region for a block, if there is one that is right now. */
  take(block: Block): Region | undefined {
    const place = placeOf(block.address, block.user);
    const regions = this.#regions.get(place);
    const region = regions?.find((one) => this.#maker.fits(one, block));
    if (regions === undefined || region === undefined) return undefined;
    regions.splice(regions.indexOf(region), 1);
    if (regions.length === 0) this.#regions.delete(place);
    this.#count--;
    return region;
  }

  clear(): void {
    this.#regions.clear();
    this.#count = 0;
  }

  #dropOldest(): void {
    for (const [place, regions] of this.#regions) {
      this.#regions.delete(place);
      this.#count -= regions.length;
      return;
    }
  }
}
