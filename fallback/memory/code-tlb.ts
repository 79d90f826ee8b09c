import { PAGE_SIZE } from "./physical.ts";

/** 2 MiB as a shift of page numbers; pages of 4 MiB are two of them. */
const LARGE_SHIFT = 9;
const HUGE = 1024 * 1024 * 1024;
/** More pages than most guests have code on; then all are forgotten. */
const MAX_PAGES = 4096;
/** Each is a walk of the paging structures, whether or not the page is needed again: a bound on what a flush takes. */
const MAX_LOOKS = 1024;

/** A linear page that code is executed from, as long as it leads to the same place. */
export interface CodePage {
  /** Linear page number, signed. */
  readonly number: number;
  /** Guest physical address. */
  readonly address: number;
  /** Bytes that its leaf entry maps. */
  readonly span: number;
  /** Stays when CR3 is loaded. */
  global: boolean;
  /**
   * Headers of blocks that linear addresses lead to, and slots of regions, that hold as long as the page
   * does: apart, blocks that depend on no other page.
   */
  readonly own: Set<number>;
  readonly jumps: Set<number>;
  readonly slots: Set<number>;
  /** Of the headers: see `BlockCache`. */
  generation: number;
}

/** Whether a page that leads where it did is global; undefined if it leads elsewhere. */
export type LookAgain = (page: CodePage) => boolean | undefined;

export interface CodeTlbListener {
  onForgetCode(page: CodePage): void;
  /** A page leads again to where it did: what was noted at it then is still noted at it. */
  onReviveCode(page: CodePage): void;
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
  /** By guest physical address: those that went with many others, and may come back. */
  readonly #former = new Map<number, CodePage>();
  readonly #listener: CodeTlbListener;

  constructor(listener: CodeTlbListener) {
    this.#listener = listener;
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
    const former = this.#former.get(address);
    const isBack = former?.number === number;
    const page = {
      number,
      address,
      span,
      global,
      own: isBack ? former.own : new Set<number>(),
      jumps: new Set<number>(),
      slots: new Set<number>(),
      generation: isBack ? former.generation : 0,
    };
    if (isBack) {
      this.#former.delete(address);
      this.#listener.onReviveCode(page);
    }
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

  /**
   * Any page may lead elsewhere from now on.
   * @param look finds those that may stay; without it none does
   */
  forgetAll(look?: LookAgain): void {
    const looks = this.#pages.size <= MAX_LOOKS;
    for (const page of this.#pages.values()) {
      const global = looks ? look?.(page) : undefined;
      if (global === undefined) this.#putAside(page);
      else this.#keep(page, global);
    }
  }

  #keep(page: CodePage, global: boolean): void {
    if (page.global === global) return;
    page.global = global;
    if (global) this.#local.delete(page);
    else this.#local.add(page);
  }

  /** CR3 is loaded where global pages stay. */
  forgetLocal(): void {
    for (const page of this.#local) this.#putAside(page);
  }

  #putAside(page: CodePage): void {
    this.#forget(page);
    if (this.#former.size >= MAX_PAGES) this.#former.clear();
    this.#former.set(page.address, page);
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
    this.#listener.onForgetCode(page);
  }
}

/** Page numbers have up to 36 bits and a sign. */
const chunkOf = (number: number): number => Math.floor(number / 2 ** LARGE_SHIFT);
