import { PACK_SIZE } from "./module.ts";
import type { Region } from "./region.ts";

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

  /** A position for the next region. */
  get position(): number {
    return this.#open[0]?.indexOf(undefined) ?? 0;
  }

  /** Takes a region in. Returns the pack that is full by that, if one is. */
  add(region: Region): Pack | undefined {
    const { position } = region;
    let pack = this.#open.find((one) => one[position] === undefined);
    if (pack === undefined) {
      pack = Array.from({ length: PACK_SIZE });
      this.#open.push(pack);
    }
    pack[position] = region;
    if (pack.includes(undefined)) return undefined;
    this.#open = this.#open.filter((one) => one !== pack);
    return pack;
  }

  clear(): void {
    this.#open = [];
  }
}
