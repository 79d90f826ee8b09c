import type { Block } from "./block.ts";

const PAGE_SIZE = 4096;
/** Bytes that are told apart by a look at whether there is code: 8. */
const GRANULE_SHIFT = 3;
/**
 * So many writes beside the code cost about as much as translating it anew. As long as there is
 * code, each is checked; without, none is.
 */
const MANY_MISSES = 2000;

/** The blocks on one page. Stays without any: regions that were made of them may be left. */
export class PageBlocks {
  readonly page: number;
  /** By {@link keyOf}. */
  readonly #blocks = new Map<number, Block>();
  /** Not zero where a block has bytes, or had some. */
  readonly #granules = new Uint8Array(PAGE_SIZE >> GRANULE_SHIFT);
  #misses = 0;

  constructor(page: number) {
    this.page = page;
  }

  get size(): number {
    return this.#blocks.size;
  }

  /** @param address guest physical, of a block that has bytes here; @param user, single as of `Block` */
  at(address: number, user: boolean, single: boolean): Block | undefined {
    return this.#blocks.get(keyOf(address - this.page * PAGE_SIZE, user, single));
  }

  /** All that have bytes here. */
  get all(): Iterable<Block> {
    return this.#blocks.values();
  }

  add(block: Block): void {
    this.#blocks.set(this.#keyOf(block), block);
    const [first, second] = block.pages;
    const start = block.address % PAGE_SIZE;
    const end = start + block.length;
    if (first === this.page) this.cover(start, Math.min(end, PAGE_SIZE));
    if (second === this.page) this.cover(0, end - PAGE_SIZE);
  }

  /** Other code is made of bytes of the page. */
  cover(from: number, to: number): void {
    const last = (to - 1) >> GRANULE_SHIFT;
    for (let granule = from >> GRANULE_SHIFT; granule <= last; granule++) {
      this.#granules[granule] = 1;
    }
  }

  delete(block: Block): void {
    const key = this.#keyOf(block);
    if (this.#blocks.get(key) === block) this.#blocks.delete(key);
    if (this.#blocks.size === 0) this.#misses = 0;
  }

  /** Whether no block has ever had any of these bytes; not too often. */
  isBeside(from: number, to: number): boolean {
    const last = (to - 1) >> GRANULE_SHIFT;
    let granule = from >> GRANULE_SHIFT;
    while (granule <= last && this.#granules[granule] === 0) granule++;
    return granule > last && ++this.#misses < MANY_MISSES;
  }

  /** Whether none of these bytes can be {@link isBeside}. */
  covers(from: number, to: number): boolean {
    const last = (to - 1) >> GRANULE_SHIFT;
    return !this.#granules.subarray(from >> GRANULE_SHIFT, last + 1).includes(0);
  }

  /** Blocks that have to go when these bytes of the page change. */
  madeOf(from: number, to: number): readonly Block[] {
    const found = [...this.#blocks.values()].filter((block) => this.#isMadeOf(block, from, to));
    return found.length > 0 ? found : this.#missed();
  }

  #missed(): readonly Block[] {
    return ++this.#misses < MANY_MISSES ? NO_BLOCKS : [...this.#blocks.values()];
  }

  #keyOf({ address, user, single }: Block): number {
    return keyOf(address - this.page * PAGE_SIZE, user, single);
  }

  /** The page may be both of the block's: it can be mapped twice, one behind the other. */
  #isMadeOf({ address, pages: [first, second], length }: Block, from: number, to: number): boolean {
    const start = address % PAGE_SIZE;
    const end = start + length;
    return (
      (first === this.page && start < to && end > from) ||
      (second === this.page && end - PAGE_SIZE > from)
    );
  }
}

/** @param offset of the block's first byte: outside of the page for a block that reaches into it from another */
const keyOf = (offset: number, user: boolean, single: boolean): number =>
  4 * offset + (user ? 2 : 0) + (single ? 1 : 0);

const NO_BLOCKS: readonly Block[] = [];
