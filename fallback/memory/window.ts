import { CHUNK, PAGE_SIZE } from "./physical.ts";

/** Widest access that a window's length has to leave room for, less one: 32 bytes. */
const LAST_BYTES = 31;
const LARGEST_PAGE = 1024 * 1024 * 1024;
const MIN_EFFORT = 8;
const MAX_EFFORT = 8192;
const MAX_RETREATS = 1;

/** Which addresses may belong to a window. */
export interface WindowRule {
  /** Whether the 4 KiB page at an address qualifies. */
  page(address: number): boolean;
  /** Whether the aligned 2 MiB at an address all do, known from one look. */
  chunk(address: number): boolean;
}

/**
 * A range of linear addresses that are their own guest physical ones, so that generated code needs
 * one compare. It grows where accesses miss it; how far it looks doubles with every success, so
 * that a flush costs little and a steady guest soon has all of its memory inside.
 */
export class IdentityWindow {
  start = 0;
  end = 0;
  #shown = false;
  readonly #view: DataView;
  readonly #baseField: number;
  readonly #lengthField: number;
  readonly #rule: WindowRule;
  readonly #onLoss: () => void;
  #effort = MIN_EFFORT;
  /** Misses that were not next to it. */
  #strays = 0;
  /** Moves to less than it was. */
  #retreats = 0;
  /** While the window grows: the last chunk that did not qualify as a whole. */
  #inPieces = -1;

  /**
   * @param baseField offset of the two 64-bit fields that generated code reads, base and length
   * @param onLoss is told when generated code may not go on with what it has read there
   */
  constructor(view: DataView, baseField: number, rule: WindowRule, onLoss: () => void) {
    this.#view = view;
    this.#baseField = baseField;
    this.#lengthField = baseField + 8;
    this.#rule = rule;
    this.#onLoss = onLoss;
    this.drop();
  }

  drop(): void {
    this.#effort = MIN_EFFORT;
    this.#strays = 0;
    this.#retreats = 0;
    this.#set(0, 0);
  }

  /** Generated code sees this window from now on: of those with the same fields only one is shown. */
  show(): void {
    this.#shown = true;
    this.#onLoss();
    this.#set(this.start, this.end);
  }

  hide(): void {
    this.#shown = false;
  }

  /** Whether a page that an address is in, of whatever size, may have part in the window. */
  near(linear: number): boolean {
    return (
      this.end > this.start &&
      linear >= this.start - LARGEST_PAGE &&
      linear < this.end + LARGEST_PAGE
    );
  }

  /**
   * An access missed at this page, which qualifies: the window becomes what is larger. Where that is not
   * next to it, only each time that the number of such misses has doubled: to look around takes long.
   */
  missed(page: number): void {
    const isNext = page >= this.start - CHUNK && page < this.end + CHUNK;
    if (!isNext && !isPowerOfTwo(++this.#strays)) return;
    const around = this.#around(page);
    if (around.end - around.start > this.end - this.start) this.#set(around.start, around.end);
  }

  /**
   * Moves to where accesses are. @returns whether it has: only if the page qualifies, and to less
   * than it is only a few times, so that of two places that are accessed in turns it has the larger.
   */
  moveTo(page: number): boolean {
    if (!this.#rule.page(page)) return false;
    const { start, end } = this.#around(page);
    if (end - start < this.end - this.start && ++this.#retreats > MAX_RETREATS) return false;
    this.#set(start, end);
    return true;
  }

  /** What qualifies around a page that does, with what the window has there already. */
  #around(page: number): { start: number; end: number } {
    // The last bytes of a window are outside for accesses that would end behind it.
    if (page >= this.start && page < this.end) return this;
    this.#inPieces = -1;
    let left = this.#effort;
    let end = page + PAGE_SIZE;
    for (; left > 0; left--) {
      if (end === this.start) end = this.end;
      const step = this.#stepUp(end);
      if (step === 0) break;
      end += step;
    }
    const exhaustedAbove = left === 0;
    let start = page;
    for (left = this.#effort; left > 0; left--) {
      if (start === this.end) start = this.start;
      // There are no addresses below, whatever the rule says of them.
      const step = start > 0 ? this.#stepDown(start) : 0;
      if (step === 0) break;
      start -= step;
    }
    if (exhaustedAbove || left === 0) this.#effort = Math.min(this.#effort * 2, MAX_EFFORT);
    return { start, end };
  }

  /** Takes a page out, keeping the larger of the two parts left. */
  exclude(page: number): void {
    if (page < this.start || page >= this.end) return;
    const above = this.end - (page + PAGE_SIZE);
    if (page - this.start >= above) this.#set(this.start, page);
    else this.#set(page + PAGE_SIZE, this.end);
  }

  /** Bytes by which the window can grow upwards from an address. */
  #stepUp(address: number): number {
    const inChunk = address % CHUNK;
    if (this.#isWhole(address - inChunk)) return CHUNK - inChunk;
    return this.#rule.page(address) ? PAGE_SIZE : 0;
  }

  #stepDown(address: number): number {
    const last = address - PAGE_SIZE;
    const inChunk = last % CHUNK;
    if (this.#isWhole(last - inChunk)) return address - (last - inChunk);
    return this.#rule.page(last) ? PAGE_SIZE : 0;
  }

  /** Asks once for a chunk of which page after page is looked at. */
  #isWhole(chunk: number): boolean {
    if (chunk === this.#inPieces) return false;
    if (this.#rule.chunk(chunk)) return true;
    this.#inPieces = chunk;
    return false;
  }

  #set(start: number, end: number): void {
    const isLess = this.end > this.start && (start > this.start || end < this.end);
    this.start = start;
    this.end = end;
    if (!this.#shown) return;
    if (isLess) this.#onLoss();
    this.#view.setUint32(this.#baseField, start, true);
    this.#view.setUint32(this.#lengthField, Math.max(0, end - start - LAST_BYTES), true);
    this.#view.setUint32(this.#baseField + 4, 0, true);
    this.#view.setUint32(this.#lengthField + 4, 0, true);
  }
}

const isPowerOfTwo = (count: number): boolean => (count & (count - 1)) === 0;
