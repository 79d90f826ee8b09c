import { REGION_LINKS, REGION_SLOTS } from "../state.ts";
import { unlinkedModule } from "./module.ts";
import { FIRST_REGION_SLOT, FIRST_SUPPORT_SLOT, REGION_LEFT } from "./protocol.ts";

/** What calls that lead nowhere arrive at. */
const UNLINKED = 0;

/**
 * Where a region is called: one slot for each linear address that anybody has asked for. A call goes
 * through the slot's link in memory, which is cheap to change: V8 carries a change of the table to
 * every instance that imports it, and mappings change often.
 */
export class RegionTable {
  readonly #table: WebAssembly.Table;
  readonly #links: Int32Array;
  readonly #slots = new Map<bigint, number>();
  /** What the table has at a slot. */
  readonly #functions: unknown[] = [];
  /** Made for the first region: most guests are gone before. */
  #unlinked: unknown;
  readonly #linked = new Set<number>();
  #next = FIRST_REGION_SLOT;

  constructor(table: WebAssembly.Table, buffer: ArrayBuffer) {
    this.#table = table;
    this.#links = new Int32Array(buffer, REGION_LINKS, REGION_SLOTS);
  }

  /** What regions call. @param functions as `instantiateSupport` gives them */
  setSupport(functions: readonly unknown[]): void {
    const missing = FIRST_REGION_SLOT - this.#table.length;
    if (missing > 0) this.#table.grow(missing);
    if (FIRST_SUPPORT_SLOT + functions.length > FIRST_REGION_SLOT) throw new Error("no room");
    for (const [index, fn] of functions.entries()) this.#table.set(FIRST_SUPPORT_SLOT + index, fn);
  }

  /** Whether `count` more slots can be had. */
  hasRoom(count: number): boolean {
    return this.#next + count <= REGION_SLOTS;
  }

  /** The slot of a linear address, never 0. */
  slotOf(linear: bigint): number {
    const known = this.#slots.get(linear);
    if (known !== undefined) return known;
    const slot = this.#next++;
    if (slot >= this.#table.length) this.#table.grow(Math.max(64, this.#table.length));
    this.#slots.set(linear, slot);
    return slot;
  }

  link(slot: number, region: unknown): void {
    if (this.#unlinked === undefined) this.#fillUnlinked();
    if (this.#functions[slot] !== region) {
      this.#table.set(slot, region);
      this.#functions[slot] = region;
    }
    this.#links[slot] = slot;
    this.#linked.add(slot);
  }

  #fillUnlinked(): void {
    const module = new WebAssembly.Module(unlinkedModule(REGION_LEFT.INTERPRET));
    this.#unlinked = new WebAssembly.Instance(module).exports.region;
    this.#table.set(UNLINKED, this.#unlinked);
  }

  /** Whether a slot leads to a region. */
  leadsTo(slot: number, region: unknown): boolean {
    return this.#links[slot] === slot && this.#functions[slot] === region;
  }

  /** A slot leads nowhere until it is linked again. */
  unlink(slot: number): void {
    this.#links[slot] = UNLINKED;
    this.#linked.delete(slot);
  }

  /** The region at a slot is given up. */
  remove(slot: number): void {
    this.#forget(slot);
    this.#linked.delete(slot);
  }

  /** No slot leads anywhere until it is linked again. */
  unlinkAll(): void {
    for (const slot of this.#linked) this.#links[slot] = UNLINKED;
    this.#linked.clear();
  }

  /** Gives all slots up. No region may be left that refers to any. */
  clear(): void {
    this.unlinkAll();
    for (const slot of this.#functions.keys()) this.#forget(slot);
    this.#functions.length = 0;
    this.#slots.clear();
    this.#next = FIRST_REGION_SLOT;
  }

  #forget(slot: number): void {
    this.#links[slot] = UNLINKED;
    if (this.#functions[slot] === undefined) return;
    this.#table.set(slot, this.#unlinked);
    this.#functions[slot] = undefined;
  }
}
