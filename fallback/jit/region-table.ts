import { REGION_LINKS, REGION_SLOTS } from "../state.ts";
import { FIRST_REGION_PLACE, FIRST_SUPPORT_PLACE, FIRST_X87_PLACE } from "./protocol.ts";
import { RegionPlaces } from "./region-places.ts";
import { Slots } from "./slots.ts";
import type { SupportFunctions } from "./support-instance.ts";

/** What calls that lead nowhere arrive at. */
const UNLINKED = 0;
/** By how many places the table grows. */
const PLACES_MORE = 64;

/**
 * Where a region is called: one slot for each linear address and mode that anybody has asked for. A call goes
 * through the slot's link in memory, which is cheap to change: V8 carries a change of the table to
 * every instance that imports it, and mappings change often. Most slots never have a region, so places
 * in the table are given out apart from slots: V8 copies the table for every instance.
 */
export class RegionTable {
  #table: WebAssembly.Table;
  readonly #links: Int32Array;
  readonly slots = new Slots();
  /** Where in the table a slot's regions are, if it has had any. */
  readonly #places: number[] = [];
  /** By slot: where linear addresses lead to it. */
  readonly #entries: number[] = [];
  readonly #byAddress: RegionPlaces;
  /** What the table has there. */
  readonly #functions: unknown[] = [];
  #unlinked: unknown;
  readonly #linked = new Set<number>();
  #nextPlace = FIRST_REGION_PLACE;

  constructor(table: WebAssembly.Table, buffer: ArrayBuffer) {
    this.#table = table;
    this.#links = new Int32Array(buffer, REGION_LINKS, REGION_SLOTS);
    this.#byAddress = new RegionPlaces(buffer);
  }

  /** Goes on with another table. No region may be left that refers to this one. */
  renew(table: WebAssembly.Table): void {
    this.clear();
    this.#table = table;
    this.#unlinked = undefined;
  }

  /** What regions call, before there are any. */
  setSupport({ functions, unlinked }: SupportFunctions): void {
    this.#set(functions, FIRST_SUPPORT_PLACE, FIRST_X87_PLACE);
    this.#unlinked = unlinked;
    this.#table.set(UNLINKED, unlinked);
  }

  /** What they call for x87. */
  setX87(functions: readonly unknown[]): void {
    this.#set(functions, FIRST_X87_PLACE, FIRST_REGION_PLACE);
  }

  #set(functions: readonly unknown[], first: number, end: number): void {
    const missing = FIRST_REGION_PLACE - this.#table.length;
    if (missing > 0) this.#table.grow(missing);
    if (first + functions.length > end) throw new Error("no room");
    for (const [index, fn] of functions.entries()) this.#table.set(first + index, fn);
  }

  /** A slot, and its linear address in the present mode, lead to a region. */
  link(slot: number, linear: bigint, region: unknown): void {
    const place = this.#places[slot] ?? this.#newPlace(slot);
    this.#takeOff(slot);
    this.replace(slot, region);
    this.#links[slot] = place;
    this.#entries[slot] = this.#byAddress.add(linear, place);
    this.#linked.add(slot);
  }

  /** What leads to a slot leads to another function, which does the same. */
  replace(slot: number, region: unknown): void {
    if (this.#functions[slot] === region) return;
    this.#table.set(this.#places[slot] as number, region);
    this.#functions[slot] = region;
  }

  /** Where in the table what {@link link} has put at a slot is; 0 without any. */
  placeOf(slot: number): number {
    return this.#links[slot] as number;
  }

  #newPlace(slot: number): number {
    const place = this.#nextPlace++;
    if (place >= this.#table.length) this.#table.grow(PLACES_MORE);
    this.#places[slot] = place;
    return place;
  }

  /** Whether a slot leads to a region. */
  leadsTo(slot: number, region: unknown): boolean {
    return this.#links[slot] !== UNLINKED && this.#functions[slot] === region;
  }

  /** A slot leads nowhere until it is linked again. */
  unlink(slot: number): void {
    this.#takeOff(slot);
    this.#linked.delete(slot);
  }

  #takeOff(slot: number): void {
    const place = this.#links[slot] as number;
    if (place === UNLINKED) return;
    this.#byAddress.remove(this.#entries[slot] as number, place);
    this.#links[slot] = UNLINKED;
  }

  /** The region at a slot is given up. */
  remove(slot: number): void {
    this.unlink(slot);
    this.#forget(slot);
  }

  /** No slot leads anywhere until it is linked again. */
  unlinkAll(): void {
    for (const slot of this.#linked) this.#takeOff(slot);
    this.#linked.clear();
  }

  /** Gives all slots up. No region may be left that refers to any. */
  clear(): void {
    this.unlinkAll();
    for (const slot of this.#functions.keys()) this.#forget(slot);
    this.#functions.length = 0;
    this.#places.length = 0;
    this.#entries.length = 0;
    this.slots.clear();
    this.#nextPlace = FIRST_REGION_PLACE;
  }

  #forget(slot: number): void {
    if (this.#functions[slot] === undefined) return;
    this.#table.set(this.#places[slot] as number, this.#unlinked);
    this.#functions[slot] = undefined;
  }
}
