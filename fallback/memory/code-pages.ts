import { CODE_PAGES, MAX_CODE_PAGES } from "../state.ts";
import { PAGE_SHIFT } from "./physical.ts";

/** 4 KiB pages in 2 MiB. */
const CHUNK_SHIFT = 9;

/** Which guest physical pages hold translated code. */
export class CodePages {
  /** One byte per page: not zero where code was translated from. */
  readonly pages: Uint8Array;
  readonly #perChunk: Uint16Array;

  /** @param size bytes of RAM */
  constructor(buffer: ArrayBuffer, size: number) {
    const count = Math.ceil(size / 2 ** PAGE_SHIFT);
    if (count > MAX_CODE_PAGES) throw new Error("more RAM than there is room to know of code in");
    this.pages = new Uint8Array(buffer, CODE_PAGES, count);
    this.#perChunk = new Uint16Array((count >> CHUNK_SHIFT) + 1);
  }

  /** @param page number */
  has(page: number): boolean {
    return this.pages[page] === 1;
  }

  /** Whether any page of the 2 MiB at an address is marked. */
  inChunk(address: number): boolean {
    return this.#perChunk[address >>> (PAGE_SHIFT + CHUNK_SHIFT)] !== 0;
  }

  /** @returns whether the page was not marked before */
  mark(page: number): boolean {
    if (page >= this.pages.length || this.has(page)) return false;
    this.#count(page, 1);
    return true;
  }

  unmark(page: number): void {
    if (this.has(page)) this.#count(page, -1);
  }

  clear(): void {
    this.pages.fill(0);
    this.#perChunk.fill(0);
  }

  #count(page: number, change: 1 | -1): void {
    this.pages[page] = change === 1 ? 1 : 0;
    const chunk = page >>> CHUNK_SHIFT;
    this.#perChunk[chunk] = (this.#perChunk[chunk] as number) + change;
  }
}
