import { unlinkedModule } from "./module.ts";
import { REGION_LEFT } from "./protocol.ts";

/** Where a region is called: one slot for each linear address that anybody has asked for. */
export class RegionTable {
  readonly table: WebAssembly.Table;
  readonly #unlinked: unknown;
  readonly #slots = new Map<bigint, number>();
  readonly #linked = new Set<number>();
  #next = 1;

  constructor(table: WebAssembly.Table) {
    this.table = table;
    const module = new WebAssembly.Module(unlinkedModule(REGION_LEFT.INTERPRET));
    this.#unlinked = new WebAssembly.Instance(module).exports.region;
  }

  /** The slot of a linear address, never 0. */
  slotOf(linear: bigint): number {
    const known = this.#slots.get(linear);
    if (known !== undefined) return known;
    const slot = this.#next++;
    if (slot >= this.table.length) this.table.grow(Math.max(64, this.table.length));
    this.table.set(slot, this.#unlinked);
    this.#slots.set(linear, slot);
    return slot;
  }

  link(slot: number, region: unknown): void {
    this.table.set(slot, region);
    this.#linked.add(slot);
  }

  unlink(slot: number): void {
    if (this.#linked.delete(slot)) this.table.set(slot, this.#unlinked);
  }

  unlinkAll(): void {
    for (const slot of this.#linked) this.table.set(slot, this.#unlinked);
    this.#linked.clear();
  }

  /** Gives all slots up. No region may be left that refers to any. */
  clear(): void {
    this.unlinkAll();
    this.#slots.clear();
    this.#next = 1;
  }
}
