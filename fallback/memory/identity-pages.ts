import {
  IDENTITY_CHUNK_ENTRIES,
  IDENTITY_CHUNKS,
  IDENTITY_ENTRIES,
  IDENTITY_FILLED,
  IDENTITY_OF_USER,
  IDENTITY_PAGES,
  IDENTITY_WRITES,
} from "../state.ts";
import { PAGE_SHIFT } from "./physical.ts";

const CHUNK_SHIFT = 9;
const ALL_ONES = 0xffff_ffff;
/** Pages of the largest size there is, which one entry of the guest's may have mapped: 1 GiB. */
const LARGEST_PAGE = 0x4_0000;

/**
 * Pages that are their own guest physical ones, in RAM and permitted, with their flags set already: as
 * those of windows, but in any order, and as many as there are. The interpreter looks here, and regions of the JIT
 * that windows do not suit (`emission/page-lookup.ts`).
 */
export class IdentityPages {
  readonly #read: Uint32Array;
  readonly #write: Uint32Array;
  /** Of 2 MiB of entries each: whether any is not empty; and which, each once. */
  readonly #isFilled: Uint8Array;
  readonly #filled: number[] = [];
  /** Numbers of pages that all are between. */
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;

  constructor(buffer: ArrayBuffer, user: boolean) {
    const at = IDENTITY_PAGES + (user ? IDENTITY_OF_USER : 0);
    this.#read = new Uint32Array(buffer, at, IDENTITY_ENTRIES);
    this.#write = new Uint32Array(buffer, at + IDENTITY_WRITES, IDENTITY_ENTRIES);
    const filled = IDENTITY_FILLED + (user ? IDENTITY_CHUNKS : 0);
    this.#isFilled = new Uint8Array(buffer, filled, IDENTITY_CHUNKS);
    // The memory may have been another processor's.
    this.#isFilled.forEach((isFilled, chunk) => {
      if (isFilled === 1 || chunk === 0 || chunk === IDENTITY_CHUNKS - 1) this.#filled.push(chunk);
    });
    this.clear();
  }

  /** Whether there is nothing to {@link add}. @param address of the page */
  has(address: number, writable: boolean): boolean {
    const number = address / 2 ** PAGE_SHIFT;
    const at = placeOf(number);
    return this.#read[at] === number && this.#write[at] === (writable ? number : noneAt(at));
  }

  /** @param address of the page */
  add(address: number, writable: boolean): void {
    const number = address / 2 ** PAGE_SHIFT;
    this.#reach(number, number);
    this.#fill(number, writable);
  }

  /** The aligned 2 MiB at an address. @param writable asked of each page's number */
  addChunk(address: number, writable: (number: number) => boolean): void {
    const first = address / 2 ** PAGE_SHIFT;
    this.#reach(first, first + IDENTITY_CHUNK_ENTRIES - 1);
    for (let n = 0; n < IDENTITY_CHUNK_ENTRIES; n++) this.#fill(first + n, writable(first + n));
  }

  #fill(number: number, writable: boolean): void {
    const at = placeOf(number);
    this.#read[at] = number;
    this.#write[at] = writable ? number : noneAt(at);
  }

  #reach(first: number, last: number): void {
    this.#first = Math.min(this.#first, first);
    this.#last = Math.max(this.#last, last);
    const chunk = placeOf(first) >>> CHUNK_SHIFT;
    if (this.#isFilled[chunk] === 1) return;
    this.#isFilled[chunk] = 1;
    this.#filled.push(chunk);
  }

  /** Whether a page that an address is in, of whatever size, may have part in it. */
  near(linear: number): boolean {
    const number = Math.floor(linear / 2 ** PAGE_SHIFT);
    return number >= this.#first - LARGEST_PAGE && number <= this.#last + LARGEST_PAGE;
  }

  /** Takes the permission to write from a page. */
  protect(address: number): void {
    const at = placeOf(address / 2 ** PAGE_SHIFT);
    this.#write[at] = noneAt(at);
  }

  /** The same of all pages. */
  protectAll(): void {
    for (const chunk of this.#filled) empty(this.#write, chunk);
  }

  clear(): void {
    for (const chunk of this.#filled) {
      empty(this.#read, chunk);
      empty(this.#write, chunk);
      this.#isFilled[chunk] = 0;
    }
    this.#filled.length = 0;
    this.#first = Number.POSITIVE_INFINITY;
    this.#last = Number.NEGATIVE_INFINITY;
  }
}

const placeOf = (number: number): number => number & (IDENTITY_ENTRIES - 1);

/**
 * What an entry has that holds no page: a number that no access with this place has. That is the number of its last byte's
 * page, whose place is this one or the next: so it is 0 in most places, and in the two that are at 0 or before it
 * others, 2^32 - 1 being a page below 16 TiB with the last place.
 */
const noneAt = (at: number): number => {
  if (at === 0) return ALL_ONES;
  return at === IDENTITY_ENTRIES - 1 ? 1 : 0;
};

function empty(table: Uint32Array, chunk: number): void {
  const first = chunk << CHUNK_SHIFT;
  const last = first + IDENTITY_CHUNK_ENTRIES - 1;
  table.fill(0, first, last + 1);
  table[first] = noneAt(first);
  table[last] = noneAt(last);
}
