import { TLB, TLB_ENTRIES, TLB_ENTRY, TLB_ENTRY_SIZE } from "../state.ts";
import { PAGE_SIZE } from "./physical.ts";

const WORD = 0x1_0000_0000;
const PAGE_NUMBER_HIGH = 0xf_ffff;
/**
 * Generated code hashes alike: `(page + (page >> 11)) & (TLB_ENTRIES - 1)`. So pages next to each other
 * never have the same place.
 */
export const TLB_HASH_SHIFT = 11;

const FILLED = { NO: 0, SMALL: 1, LARGE: 2, HUGE: 3, GLOBAL: 4 } as const;
/** 4 MiB, the largest of the pages below {@link HUGE}, as a shift of page numbers. */
const LARGE_SHIFT = 10;
const HUGE = 1024 * 1024 * 1024;

/**
 * The software TLB that generated code looks into. An entry holds a page twice: as readable and as
 * writable, each for the current privilege level.
 */
export class SoftwareTlb {
  readonly #view: DataView;
  /** Entries filled since the last flush: a flush after few fills is cheap. */
  readonly #filled = new Uint16Array(TLB_ENTRIES);
  /** 0: empty; else bits of {@link FILLED}. */
  readonly #isFilled = new Uint8Array(TLB_ENTRIES);
  #filledCount = 0;

  /** @param offset of its entries from `TLB`, in bytes */
  constructor(buffer: ArrayBuffer, offset: number) {
    this.#view = new DataView(buffer, TLB + offset, TLB_ENTRIES * TLB_ENTRY_SIZE);
    // All ones is the tag of an empty entry.
    new Uint8Array(buffer, TLB + offset, TLB_ENTRIES * TLB_ENTRY_SIZE).fill(0xff);
  }

  flush(): void {
    for (let index = 0; index < this.#filledCount; index++) {
      const slot = this.#filled[index] as number;
      this.#clear(slot * TLB_ENTRY_SIZE);
      this.#isFilled[slot] = FILLED.NO;
    }
    this.#filledCount = 0;
  }

  /**
   * @param linear of any byte of the page
   * @param host memory offset of the page
   * @param write whether the page may also be written through the entry
   * @param span bytes of the page that it is part of
   * @param global whether it stays when CR3 is loaded
   */
  fill(linear: number, host: number, write: boolean, span: number, global: boolean): void {
    const low = pageLow(linear);
    const high = pageHigh(linear);
    const slot = slotOf(low);
    const at = slot * TLB_ENTRY_SIZE;
    this.#setTag(at + TLB_ENTRY.READ_PAGE, low, high);
    if (write) this.#setTag(at + TLB_ENTRY.WRITE_PAGE, low, high);
    else this.#clearTag(at, "WRITE_PAGE");
    this.#view.setUint32(at + TLB_ENTRY.HOST_PAGE, host, true);
    this.#view.setInt32(at + TLB_ENTRY.DISTANCE, host - low * PAGE_SIZE, true);
    if (this.#isFilled[slot] === FILLED.NO) this.#filled[this.#filledCount++] = slot;
    const size = span >= HUGE ? FILLED.HUGE : span > PAGE_SIZE ? FILLED.LARGE : FILLED.SMALL;
    this.#isFilled[slot] = global ? size | FILLED.GLOBAL : size;
  }

  /** Memory offset of the page, or -1. */
  lookup(linear: number, write: boolean): number {
    const low = pageLow(linear);
    const at = slotOf(low) * TLB_ENTRY_SIZE;
    const tag = at + (write ? TLB_ENTRY.WRITE_PAGE : TLB_ENTRY.READ_PAGE);
    if (!this.#hasTag(tag, low, pageHigh(linear))) return -1;
    return this.#view.getUint32(at + TLB_ENTRY.HOST_PAGE, true);
  }

  /** INVLPG: the page's entry, and as one page may have filled many, those of large ones there. */
  invalidate(linear: number): void {
    const low = pageLow(linear);
    this.#clear(slotOf(low) * TLB_ENTRY_SIZE);
    for (let index = 0; index < this.#filledCount; index++) {
      const slot = this.#filled[index] as number;
      const size = (this.#isFilled[slot] as number) & ~FILLED.GLOBAL;
      if (size < FILLED.LARGE) continue;
      const at = slot * TLB_ENTRY_SIZE;
      const other = this.#view.getInt32(at + TLB_ENTRY.READ_PAGE, true);
      if (size === FILLED.HUGE || (other ^ low) >>> LARGE_SHIFT === 0) this.#clear(at);
    }
  }

  /** CR3 is loaded where global pages stay. */
  forgetLocal(): void {
    let kept = 0;
    for (let index = 0; index < this.#filledCount; index++) {
      const slot = this.#filled[index] as number;
      if (((this.#isFilled[slot] as number) & FILLED.GLOBAL) !== 0) this.#filled[kept++] = slot;
      else {
        this.#clear(slot * TLB_ENTRY_SIZE);
        this.#isFilled[slot] = FILLED.NO;
      }
    }
    this.#filledCount = kept;
  }

  /** Takes the permission to write from all entries for a page. @param host its memory offset */
  protect(host: number): void {
    for (let index = 0; index < this.#filledCount; index++) {
      const at = (this.#filled[index] as number) * TLB_ENTRY_SIZE;
      if (this.#view.getUint32(at + TLB_ENTRY.HOST_PAGE, true) === host) {
        this.#clearTag(at, "WRITE_PAGE");
      }
    }
  }

  /** Takes the permission to write from all entries. */
  protectAll(): void {
    for (let index = 0; index < this.#filledCount; index++) {
      this.#clearTag((this.#filled[index] as number) * TLB_ENTRY_SIZE, "WRITE_PAGE");
    }
  }

  #clear(at: number): void {
    this.#clearTag(at, "READ_PAGE");
    this.#clearTag(at, "WRITE_PAGE");
  }

  #clearTag(at: number, tag: "READ_PAGE" | "WRITE_PAGE"): void {
    this.#view.setInt32(at + TLB_ENTRY[tag], -1, true);
    this.#view.setInt32(at + TLB_ENTRY[tag] + 4, -1, true);
  }

  #setTag(at: number, low: number, high: number): void {
    this.#view.setInt32(at, low, true);
    this.#view.setInt32(at + 4, high, true);
  }

  #hasTag(at: number, low: number, high: number): boolean {
    return this.#view.getInt32(at, true) === low && this.#view.getInt32(at + 4, true) === high;
  }
}

/** The page number's halves: 52 bits, unsigned, whatever the sign of the address. */
const pageLow = (linear: number): number => Math.floor(linear / PAGE_SIZE) | 0;
const pageHigh = (linear: number): number =>
  Math.floor(linear / (PAGE_SIZE * WORD)) & PAGE_NUMBER_HIGH;
const slotOf = (low: number): number => (low + (low >>> TLB_HASH_SHIFT)) & (TLB_ENTRIES - 1);
