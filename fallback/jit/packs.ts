import { PACK_SIZE } from "./module.ts";
import type { Region } from "./region.ts";

/** Full packs before the first of them is made: with fewer regions than that it is not worth compiling them once more. */
export const FIRST_PACKS = 3;

/** Regions by position. */
export type Pack = (Region | undefined)[];

/**
 * Gathers regions that have a module of their own until there are enough for one that they share: what
 * leads from one to another within a module finds code, tables and instance in the caches of the host,
 * which each module has anew.
 */
export class Packs {
  /** Those that are not full. */
  #open: Pack[] = [];
  /** Those that are, and wait for others. */
  #waiting: Pack[] = [];
  #hasBegun = false;

  /** A position for the next region. */
  get position(): number {
    return this.#open[0]?.indexOf(undefined) ?? 0;
  }

  /** Takes a region in. Returns packs that are to be made. */
  add(region: Region): readonly Pack[] {
    const { position } = region;
    let pack = this.#open.find((one) => one[position] === undefined);
    if (pack === undefined) {
      pack = Array.from({ length: PACK_SIZE });
      this.#open.push(pack);
    }
    pack[position] = region;
    if (pack.includes(undefined)) return [];
    this.#open = this.#open.filter((one) => one !== pack);
    this.#waiting.push(pack);
    this.#hasBegun ||= this.#waiting.length >= FIRST_PACKS;
    return this.#hasBegun ? this.#waiting.splice(0) : [];
  }

  clear(): void {
    this.#open = [];
    this.#waiting = [];
  }
}
