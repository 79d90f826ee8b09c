import type { Window } from "../emission/guest-access.ts";
import {
  KNOWN_WINDOWS,
  KNOWN_WINDOWS_SETS,
  STATE,
  WINDOW_AREAS,
  type WindowArea,
  windowOffset,
} from "../state.ts";
import { i32, i64 } from "../wasm/expression.ts";
import type { FunctionBuilder } from "../wasm/function-builder.ts";

/** A window for reads. */
export interface WindowExtent {
  readonly area: WindowArea;
  readonly base: bigint;
  /** Not zero; an access of 16 bytes at its last one is still permitted. */
  readonly length: bigint;
}

/** Windows for reads, and the number of these among all sets of such. */
export interface WindowSet {
  readonly number: number;
  readonly extents: readonly WindowExtent[];
}

/** A window of so many bytes hardly becomes another one any more. */
const WIDE = 32n * 1024n * 1024n;

/**
 * Windows for reads that regions rely on: comparing with constants is quicker. A region looks where it
 * begins whether they still are, or more; while it runs they do not get less. Those for writes lose pages
 * whenever new code is executed.
 */
export class KnownWindows {
  readonly #set: WindowSet;
  readonly #isForAll: boolean;
  #areUsed = false;

  /** @param isForAll whether the one for the rest is for all areas: see {@link WindowSets.wide} */
  constructor(set: WindowSet, isForAll: boolean) {
    this.#set = set;
    this.#isForAll = isForAll;
  }

  /** Undefined: it is not known. */
  at(area: WindowArea, access: "read" | "write"): Window | undefined {
    if (access === "write") return undefined;
    const wanted = this.#isForAll ? "general" : area;
    const known = this.#set.extents.find((one) => one.area === wanted);
    if (known === undefined) return undefined;
    this.#areUsed = true;
    return { base: i64.const(known.base), length: i64.const(known.length) };
  }

  /** The code for a region's beginning, once all of it has been made. @param fail if they are less */
  begin(fn: FunctionBuilder, fail: () => void): void {
    if (!this.#areUsed) return;
    const version = i32.load(i32.const(0), STATE.READ_WINDOWS_VERSION);
    const seen = i32.load(i32.const(0), cellOf(this.#set.number));
    fn.if(i32.ne(version, seen), fail);
  }
}

/** All sets that there are regions for, by number. */
export class WindowSets {
  readonly #view: DataView;
  readonly #sets: (readonly WindowExtent[])[] = [];

  /** @param view of the processor's state */
  constructor(view: DataView) {
    this.#view = view;
  }

  /** The windows as they are; undefined when there are too many sets. */
  current(): WindowSet | undefined {
    return this.#known(
      WINDOW_AREAS.map((area) => this.#extent(area)).filter(({ length }) => length > 0n),
    );
  }

  /** The one that nearly all of memory is in, if there is such: for code that the others do not suit. */
  wide(): WindowSet | undefined {
    const general = this.#extent("general");
    return isWide(general) ? this.#known([general]) : undefined;
  }

  #known(extents: readonly WindowExtent[]): WindowSet | undefined {
    const known = this.#sets.findIndex((set) => isEqual(set, extents));
    if (known < 0 && this.#sets.length >= KNOWN_WINDOWS_SETS) return undefined;
    const number = known < 0 ? this.#sets.push(extents) - 1 : known;
    this.#see(number);
    return { number, extents };
  }

  /** Lets regions go on with a set if the windows are what it has, or more. Returns whether they are. */
  holds(number: number): boolean {
    const set = this.#sets[number] ?? [];
    const holds = set.every(({ area, base, length }) => {
      const now = this.#extent(area);
      return now.base <= base && base + length <= now.base + now.length;
    });
    if (holds) this.#see(number);
    return holds;
  }

  /** A set, to be kept. */
  at(number: number): readonly WindowExtent[] {
    return this.#sets[number] ?? [];
  }

  /** Sets that were kept, in order, in place of any. */
  restore(sets: readonly (readonly WindowExtent[])[]): void {
    this.clear();
    this.#sets.push(...sets);
    // No version is like these.
    for (const number of sets.keys()) this.#view.setInt32(cellOf(number), -1, true);
  }

  get all(): readonly (readonly WindowExtent[])[] {
    return this.#sets;
  }

  clear(): void {
    this.#sets.length = 0;
  }

  #see(number: number): void {
    const version = this.#view.getInt32(STATE.READ_WINDOWS_VERSION, true);
    this.#view.setInt32(cellOf(number), version, true);
  }

  #extent(area: WindowArea): WindowExtent {
    const offset = windowOffset(area, "read");
    const base = this.#view.getBigInt64(offset, true);
    return { area, base, length: this.#view.getBigInt64(offset + 8, true) };
  }
}

const cellOf = (number: number): number => KNOWN_WINDOWS + 4 * number;

const isWide = ({ length }: WindowExtent): boolean => length >= WIDE;

const isEqual = (one: readonly WindowExtent[], other: readonly WindowExtent[]): boolean =>
  one.length === other.length &&
  one.every(({ area, base, length }, index) => {
    const same = other[index];
    return same?.area === area && same.base === base && same.length === length;
  });
