import { REGION_PLACE, REGION_PLACE_ENTRIES, REGION_PLACES, STATE } from "../state.ts";
import { type I32, type I64, i32, i64 } from "../wasm/expression.ts";
import type { FunctionBuilder, Local } from "../wasm/function-builder.ts";

const SHIFT = Math.log2(REGION_PLACE.SIZE);
const LAST = REGION_PLACE_ENTRIES - 1;
/** The upper half of a key that no linear address has. */
const NO_KEY = 0x2bad_c0de;

/**
 * At which place in the table of regions a linear address leads on, in memory: where regions jump to
 * without knowing it before. One line of the host's cache has all that is needed, and an entry is there
 * only as long as its region may run. Of two regions with the same entry the last to be added has it; the
 * other is found by the dispatch loop.
 */
export class RegionPlaces {
  readonly #view: DataView;

  constructor(buffer: ArrayBuffer) {
    this.#view = new DataView(buffer);
    // All others are zero, which is the key of no address that looks there.
    this.#clear(REGION_PLACES);
  }

  /** A linear address leads to a place in the present mode. Returns the entry, for {@link remove}. */
  add(linear: bigint, place: number): number {
    const key = linear ^ this.#view.getBigUint64(STATE.CODE_KEY, true);
    const entry = REGION_PLACES + REGION_PLACE.SIZE * Number(key & BigInt(LAST));
    this.#view.setBigUint64(entry + REGION_PLACE.KEY, key, true);
    this.#view.setInt32(entry + REGION_PLACE.PLACE, place, true);
    return entry;
  }

  /** An entry leads to a place no more, if it still does. */
  remove(entry: number, place: number): void {
    if (this.#view.getInt32(entry + REGION_PLACE.PLACE, true) === place) this.#clear(entry);
  }

  #clear(entry: number): void {
    this.#view.setInt32(entry + REGION_PLACE.PLACE, 0, true);
    this.#view.setInt32(entry + REGION_PLACE.KEY + 4, NO_KEY, true);
  }
}

/** Code for looking a place up. */
export interface PlaceLookup {
  readonly isKnown: I32;
  /** If it is known: never 0. */
  readonly place: I32;
}

/** @param key as in HEADER.KEY */
export function lookUpPlace(fn: FunctionBuilder, key: I64): PlaceLookup {
  const index = i32.and(i32.wrap(key), i32.const(LAST));
  const entry: Local<"i32"> = fn.let(i32.shl(index, i32.const(SHIFT)));
  return {
    isKnown: i64.eq(i64.load(entry, REGION_PLACES + REGION_PLACE.KEY), key),
    place: i32.load(entry, REGION_PLACES + REGION_PLACE.PLACE),
  };
}
