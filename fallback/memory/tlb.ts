import {
  TLB,
  TLB_ENTRIES,
  TLB_ENTRY,
  TLB_ENTRY_SIZE,
  TLB_FILL_ENTRIES,
  TLB_FILL_SHIFT,
  TLB_FILLS,
} from "../state.ts";
import { PAGE_SIZE } from "./physical.ts";

const WORD = 0x1_0000_0000;
const PAGE_NUMBER_HIGH = 0xf_ffff;
/**
 * Generated code hashes alike: `(page + (page >> 15)) & (TLB_ENTRIES - 1)`. So pages next to each other
 * never have the same place, nor have the last one and the first: with an exclusive or some would.
 */
export const TLB_HASH_SHIFT = 15;

/** What an entry holds: nothing, or part of a page of some size. */
export const FILLED = { NO: 0, SMALL: 1, LARGE: 2, HUGE: 3, GLOBAL: 4 } as const;
/** 4 MiB, the largest of the pages below {@link HUGE}, as a shift of page numbers. */
const LARGE_SHIFT = 10;
const HUGE = 1024 * 1024 * 1024;

/** Which entries of a TLB are filled, each once. */
class Places {
  readonly #places = new Uint16Array(TLB_ENTRIES);
  readonly #isListed = new Uint8Array(TLB_ENTRIES);
  #count = 0;

  add(place: number): void {
    if (this.#isListed[place] === 1) return;
    this.#isListed[place] = 1;
    this.#places[this.#count++] = place;
  }

  each(action: (place: number) => void): void {
    for (let index = 0; index < this.#count; index++) action(this.#places[index] as number);
  }

  /** The same; and none of them is listed any more. */
  take(action: (place: number) => void): void {
    this.each((place) => {
      this.#isListed[place] = 0;
      action(place);
    });
    this.#count = 0;
  }
}

const TAGS = ["READ_PAGE", "WRITE_PAGE", "CODE_PAGE"] as const;
type Tag = (typeof TAGS)[number];

/** Of an entry and its fields, in words of 32 bits. */
const ENTRY_WORDS = TLB_ENTRY_SIZE / 4;
const WORD_OF = Object.fromEntries(
  Object.entries(TLB_ENTRY).map(([name, offset]) => [name, offset / 4]),
) as Readonly<Record<keyof typeof TLB_ENTRY, number>>;

/**
 * The software TLB that generated code looks into. An entry holds a page twice: as readable and as
 * writable, each for the current privilege level.
 */
export class SoftwareTlb {
  readonly #words: Int32Array;
  /** As {@link TLB_FILLS} has them. */
  readonly #fills: Int32Array;
  /** 0: empty; else bits of {@link FILLED}. */
  readonly #isFilled = new Uint8Array(TLB_ENTRIES);
  /**
   * Entries filled since the last flush: a flush after few fills is cheap. Apart, those that had a page
   * that goes when CR3 is loaded: mostly few.
   */
  readonly #global = new Places();
  readonly #local = new Places();
  /** Of both, those that had part of a large page: INVLPG looks at them alone, for a kernel may execute one for each page. */
  readonly #large = new Places();

  /** @param offset of its entries from `TLB`, in bytes */
  constructor(buffer: ArrayBuffer, offset: number) {
    this.#words = new Int32Array(buffer, TLB + offset, TLB_ENTRIES * ENTRY_WORDS);
    const fills = TLB_FILLS + (offset >>> TLB_FILL_SHIFT);
    this.#fills = new Int32Array(buffer, fills, 1 + TLB_FILL_ENTRIES);
    // All ones is the tag of an empty entry.
    this.#words.fill(-1);
  }

  /** Takes account of what generated code has filled: before anything else is done with what is filled. */
  #absorb(): void {
    const fills = this.#fills;
    const count = fills[0] as number;
    for (let index = 1; index <= count; index++) {
      const fill = fills[index] as number;
      this.#note(fill & 0xffff, fill >>> 16);
    }
    fills[0] = 0;
  }

  #note(place: number, filled: number): void {
    ((filled & FILLED.GLOBAL) !== 0 ? this.#global : this.#local).add(place);
    if ((filled & ~FILLED.GLOBAL) >= FILLED.LARGE) this.#large.add(place);
    this.#isFilled[place] = filled;
  }

  /** @param action gets where an entry begins, in words */
  #each(action: (at: number) => void): void {
    this.#absorb();
    const act = (place: number) => action(place * ENTRY_WORDS);
    this.#global.each(act);
    this.#local.each(act);
  }

  flush(): void {
    this.#absorb();
    const empty = (place: number) => this.#empty(place);
    this.#global.take(empty);
    this.#local.take(empty);
    this.#large.take(() => {});
  }

  #empty(place: number): void {
    this.#clear(place * ENTRY_WORDS);
    this.#isFilled[place] = FILLED.NO;
  }

  /**
   * @param linear of any byte of the page
   * @param host memory offset of the page
   * @param writes the tag by which the page may also be written; undefined if it may not
   * @param span bytes of the page that it is part of
   * @param global whether it stays when CR3 is loaded
   */
  fill(
    linear: number,
    host: number,
    writes: Exclude<Tag, "READ_PAGE"> | undefined,
    span: number,
    global: boolean,
  ): void {
    this.#absorb();
    const low = pageLow(linear);
    const high = pageHigh(linear);
    const place = slotOf(low);
    const at = place * ENTRY_WORDS;
    this.#clear(at);
    this.#setTag(at + WORD_OF.READ_PAGE, low, high);
    if (writes !== undefined) this.#setTag(at + WORD_OF[writes], low, high);
    this.#words[at + WORD_OF.HOST_PAGE] = host;
    this.#words[at + WORD_OF.DISTANCE] = host - low * PAGE_SIZE;
    const size = span >= HUGE ? FILLED.HUGE : span > PAGE_SIZE ? FILLED.LARGE : FILLED.SMALL;
    this.#note(place, global ? size | FILLED.GLOBAL : size);
  }

  /** Memory offset of the page, or -1. */
  lookup(linear: number, tag: Tag): number {
    const low = pageLow(linear);
    const at = slotOf(low) * ENTRY_WORDS;
    if (!this.#hasTag(at + WORD_OF[tag], low, pageHigh(linear))) return -1;
    return (this.#words[at + WORD_OF.HOST_PAGE] as number) >>> 0;
  }

  /** INVLPG: the page's entry, and as one page may have filled many, those of large ones there. */
  invalidate(linear: number): void {
    const low = pageLow(linear);
    this.#absorb();
    this.#clear(slotOf(low) * ENTRY_WORDS);
    this.#large.each((place) => {
      const at = place * ENTRY_WORDS;
      const size = (this.#isFilled[place] as number) & ~FILLED.GLOBAL;
      if (size < FILLED.LARGE) return;
      const other = this.#words[at + WORD_OF.READ_PAGE] as number;
      if (size === FILLED.HUGE || (other ^ low) >>> LARGE_SHIFT === 0) this.#clear(at);
    });
  }

  /** CR3 is loaded where global pages stay. */
  forgetLocal(): void {
    this.#absorb();
    this.#local.take((place) => {
      if (((this.#isFilled[place] as number) & FILLED.GLOBAL) === 0) this.#empty(place);
    });
  }

  /** Takes the permission to write from all entries for a page of code. @param host its memory offset */
  protect(host: number): void {
    const words = this.#words;
    const wanted = host | 0;
    this.#each((at) => {
      if (words[at + WORD_OF.HOST_PAGE] !== wanted) return;
      const low = words[at + WORD_OF.WRITE_PAGE] as number;
      const high = words[at + WORD_OF.WRITE_PAGE + 1] as number;
      if (low !== -1 || high !== -1) this.#setTag(at + WORD_OF.CODE_PAGE, low, high);
      this.#setTag(at + WORD_OF.WRITE_PAGE, -1, -1);
    });
  }

  /** Takes the permission to write from all entries. */
  protectAll(): void {
    this.#each((at) => this.#setTag(at + WORD_OF.WRITE_PAGE, -1, -1));
  }

  #clear(at: number): void {
    for (const tag of TAGS) this.#setTag(at + WORD_OF[tag], -1, -1);
  }

  #setTag(at: number, low: number, high: number): void {
    this.#words[at] = low;
    this.#words[at + 1] = high;
  }

  #hasTag(at: number, low: number, high: number): boolean {
    return this.#words[at] === low && this.#words[at + 1] === high;
  }
}

/** The page number's halves: 52 bits, unsigned, whatever the sign of the address. */
const pageLow = (linear: number): number => Math.floor(linear / PAGE_SIZE) | 0;
const pageHigh = (linear: number): number =>
  Math.floor(linear / (PAGE_SIZE * WORD)) & PAGE_NUMBER_HIGH;
const slotOf = (low: number): number => (low + (low >>> TLB_HASH_SHIFT)) & (TLB_ENTRIES - 1);
