import { PAGE_SIZE } from "./physical.ts";

/** 2 MiB as a shift of page numbers; pages of 4 MiB are two of them. */
const LARGE_SHIFT = 9;
const HUGE = 1024 * 1024 * 1024;
/** More pages than most guests have code on; then all are forgotten. */
const MAX_PAGES = 4096;

/** A linear page that code is executed from, as long as it leads to the same place. */
export interface CodePage {
  /** Linear page number, signed. */
  readonly number: number;
  /** Guest physical address. */
  readonly address: number;
  /** Bytes that its leaf entry maps. */
  readonly span: number;
  /** Stays when CR3 is loaded. */
  readonly global: boolean;
  /** Headers of blocks that linear addresses lead to, and slots of regions, that hold as long as the page does. */
  readonly jumps: Set<number>;
  readonly slots: Set<number>;
}

/**
 * Where code is, page by page: what processors call an instruction TLB. Whoever remembers more of an
 * address than this (the jump cache, links between regions) notes it at the page, and hears when the
 * page is forgotten. One for each kind of rights.
 */
export class CodeTlb {
  readonly #pages = new Map<number, CodePage>();
  /** Those that go when CR3 is loaded: few, where a kernel's own pages stay. */
  readonly #local = new Set<CodePage>();
  /** Pages that are parts of large ones, by number of 2 MiB. */
  readonly #large = new Map<number, Set<CodePage>>();
  readonly #onForget: (page: CodePage) => void;

  constructor(onForget: (page: CodePage) => void) {
    this.#onForget = onForget;
  }

  /** @param number linear page number, signed */
  get(number: number): CodePage | undefined {
    return this.#pages.get(number);
  }

  /** Whether the next {@link add} has room; without, everything has to be forgotten first. */
  get isFull(): boolean {
    return this.#pages.size >= MAX_PAGES;
  }

  add(number: number, address: number, span: number, global: boolean): CodePage {
    const page = {
      number,
      address,
      span,
      global,
      jumps: new Set<number>(),
      slots: new Set<number>(),
    };
    this.#pages.set(number, page);
    if (!global) this.#local.add(page);
    if (span > PAGE_SIZE) {
      const chunk = chunkOf(number);
      const others = this.#large.get(chunk);
      if (others === undefined) this.#large.set(chunk, new Set([page]));
      else others.add(page);
    }
    return page;
  }

  /** Forgets all pages without telling anybody. */
  clear(): void {
    this.#pages.clear();
    this.#local.clear();
    this.#large.clear();
  }

  /** CR3 is loaded where global pages stay. */
  forgetLocal(): void {
    for (const page of this.#local) this.#forget(page);
  }

  /** INVLPG. @param number linear page number, signed */
  invalidate(number: number): void {
    const page = this.#pages.get(number);
    if (page !== undefined) this.#forget(page);
    const chunk = chunkOf(number);
    for (const half of [chunk, chunk ^ 1]) {
      for (const other of this.#large.get(half) ?? []) this.#forget(other);
    }
    for (const others of this.#large.values()) {
      const [first] = others;
      if (first !== undefined && first.span < HUGE) continue;
      for (const other of others) this.#forget(other);
    }
  }

  #forget(page: CodePage): void {
    if (this.#pages.get(page.number) !== page) return;
    this.#pages.delete(page.number);
    this.#local.delete(page);
    if (page.span > PAGE_SIZE) {
      const chunk = chunkOf(page.number);
      const others = this.#large.get(chunk);
      others?.delete(page);
      if (others?.size === 0) this.#large.delete(chunk);
    }
    this.#onForget(page);
  }
}

/** Page numbers have up to 36 bits and a sign. */
const chunkOf = (number: number): number => Math.floor(number / 2 ** LARGE_SHIFT);
