/** How often regions are made again for other windows, or without any, before all are made without. */
const MAX_RESTLESS = 6;
/** The same of those that rely on a wide window alone. */
const MAX_RESTLESS_WIDE = 12;

/** What regions have turned out to need, by the places of their entries (`placeOf`). */
export class Experience {
  /** They access much outside the windows. */
  readonly paged = new Set<number>();
  /** They read much outside the one window that nearly all of memory is in. */
  readonly scattered = new Set<number>();
  /** They access much on pages that are not their own physical ones, or not plain memory. */
  readonly slow = new Set<number>();
  /** Rare cases are frequent in them. */
  readonly thorough = new Set<number>();
  /** What x87 instructions leave to their procedures is frequent in them. */
  readonly exactX87 = new Set<number>();
  /** Jumps lead from them to other regions again and again. */
  readonly wide = new Set<number>();
  #changes = 0;

  /** The windows that a region was made for have changed, or did not suit it. */
  windowsChanged(): void {
    this.#changes++;
  }

  /** Whether windows change again and again: what one region has met with is to come for all others. */
  get isRestless(): boolean {
    return this.#changes >= MAX_RESTLESS;
  }

  /** The same of the one window that nearly all of memory is in. */
  get isWideRestless(): boolean {
    return this.#changes >= MAX_RESTLESS_WIDE;
  }

  clear(): void {
    this.paged.clear();
    this.scattered.clear();
    this.slow.clear();
    this.thorough.clear();
    this.exactX87.clear();
    this.wide.clear();
    this.#changes = 0;
  }
}
