import { CR0, CR4, LINEAR_BITS } from "../bits.ts";
import {
  ADDRESS_MASK,
  GIB_1_SHIFT,
  GIB_512_SHIFT,
  MIB_2_SHIFT,
  PAGE_ENTRY,
} from "../memory/paging.ts";
import { PAGE_SHIFT, PAGE_SIZE } from "../memory/physical.ts";
import { FILLED } from "../memory/tlb.ts";
import {
  CODE_PAGES,
  RAM_BASE,
  STATE,
  TLB,
  TLB_ENTRY,
  TLB_ENTRY_SHIFT,
  TLB_FILL_ENTRIES,
  TLB_FILL_SHIFT,
  TLB_FILLS,
  WALK_FIELD,
} from "../state.ts";
import { type I32, type I64, i32, i64, select } from "../wasm/expression.ts";
import { FunctionBuilder, type Label, type Local } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";
import { currentIdentity, isIdentity, tlbEntry } from "./page-lookup.ts";

/** Of the 512 entries of a table. */
const INDEX_MASK = 0x1ff;
const UNUSED_ADDRESS_BITS = 64 - LINEAR_BITS;
/** Of a large page's entry, PAT, which is no part of the address (Intel SDM vol. 3A, table 4-17). */
const PAT_LARGE = 1 << 12;

/**
 * Walks the paging structures of 64-bit mode (Intel SDM vol. 3A §4.5) where the software TLB knows nothing, and
 * notes in it what is found. Only what is plain: flags that are set already, RAM that denies nothing, no
 * one who wants to hear of accesses, and no address that is its own physical one, unless that is known already: how
 * such pages are noted is TypeScript's. The rest, and faults, are TypeScript's (`memory/mappings.ts`).
 * @returns index of a function (address, bytes, write) that gives where the access is in memory, or 0
 */
export function buildPageWalk(module: ModuleBuilder): number {
  const parameters = ["i64", "i32", "i32"] as const;
  const index = module.addFunction({ parameters, results: ["i32"] });
  module.define(index, new PageWalk(new FunctionBuilder(parameters)).build());
  return index;
}

class PageWalk {
  readonly #fn: FunctionBuilder;
  readonly #address: Local<"i64">;
  readonly #bytes: Local<"i32">;
  readonly #write: Local<"i32">;
  readonly #entry: Local<"i64">;
  /** What all entries have set. */
  readonly #rights: Local<"i64">;
  readonly #page: Local<"i64">;
  /** One of {@link FILLED}. */
  readonly #size: Local<"i32">;

  constructor(fn: FunctionBuilder) {
    this.#fn = fn;
    this.#address = fn.parameter(0, "i64");
    this.#bytes = fn.parameter(1, "i32");
    this.#write = fn.parameter(2, "i32");
    this.#entry = fn.local("i64");
    this.#rights = fn.local("i64");
    this.#page = fn.local("i64");
    this.#size = fn.local("i32");
  }

  build(): Uint8Array {
    const fn = this.#fn;
    this.#ifIdentity();
    this.#unless(i32.load(ZERO, WALK_FIELD.ENABLED));
    const offset = fn.let(i32.and(i32.wrap(this.#address), i32.const(PAGE_SIZE - 1)));
    this.#unless(i32.leU(i32.add(offset, this.#bytes), i32.const(PAGE_SIZE)));
    const unused = i64.const(UNUSED_ADDRESS_BITS);
    const canonical = i64.shrS(i64.shl(this.#address, unused), unused);
    this.#unless(i64.eq(canonical, this.#address));
    fn.set(this.#rights, i64.const(-1));
    fn.block((found) => {
      this.#enter(i64.load(ZERO, STATE.CR3), GIB_512_SHIFT);
      this.#unless(i64.eqz(this.#bits(this.#entry, PAGE_ENTRY.PS)));
      this.#enter(this.#entry, GIB_1_SHIFT);
      this.#largeLeaf(GIB_1_SHIFT, FILLED.HUGE, found);
      this.#enter(this.#entry, MIB_2_SHIFT);
      this.#largeLeaf(MIB_2_SHIFT, FILLED.LARGE, found);
      this.#enter(this.#entry, PAGE_SHIFT);
      fn.set(this.#page, i64.and(this.#entry, i64.const(ADDRESS_MASK)));
      fn.set(this.#size, i32.const(FILLED.SMALL));
    });
    this.#fill(offset);
    fn.unreachable();
    return fn.finish();
  }

  /** What the TLB has no room for may still be known. */
  #ifIdentity(): void {
    const fn = this.#fn;
    const bytes = i64.extendU(this.#bytes);
    const table = currentIdentity(this.#write);
    fn.if(isIdentity(this.#address, bytes, table), () =>
      fn.return(i32.add(i32.wrap(this.#address), i32.const(RAM_BASE))),
    );
  }

  #unless(condition: I32): void {
    this.#fn.if(i32.eqz(condition), () => this.#fn.return(ZERO));
  }

  #bits(value: I64, bits: number): I64 {
    return i64.and(value, i64.const(bits));
  }

  /** Reads the entry for the address in a table. @param table what points to it, @param shift of its index */
  #enter(table: I64, shift: number): void {
    const fn = this.#fn;
    const number = this.#bits(i64.shrU(this.#address, i64.const(shift)), INDEX_MASK);
    const start = i64.and(table, i64.const(ADDRESS_MASK));
    const at = fn.let(i64.add(start, i64.shl(number, i64.const(3))));
    this.#unless(i64.ltU(at, i64.load32U(ZERO, WALK_FIELD.END)));
    fn.set(this.#entry, i64.load(i32.wrap(at), RAM_BASE));
    const reserved = i64.load(ZERO, WALK_FIELD.RESERVED);
    this.#unless(i64.eqz(i64.and(this.#entry, reserved)));
    this.#unless(i64.eq(this.#bits(this.#entry, PAGE_ENTRY.P), i64.const(PAGE_ENTRY.P)));
    fn.set(this.#rights, i64.and(this.#rights, this.#entry));
  }

  /** Where the entry is a leaf above the lowest level. */
  #largeLeaf(shift: number, size: number, found: Label): void {
    const fn = this.#fn;
    fn.if(i64.ne(this.#bits(this.#entry, PAGE_ENTRY.PS), i64.const(0)), () => {
      const below = 2 ** shift - 1;
      const reserved = below & ~(PAGE_SIZE - 1) & ~PAT_LARGE;
      this.#unless(i64.eqz(this.#bits(this.#entry, reserved)));
      const start = i64.and(this.#entry, i64.const(ADDRESS_MASK & ~BigInt(below)));
      const inside = this.#bits(this.#address, below & ~(PAGE_SIZE - 1));
      fn.set(this.#page, i64.or(start, inside));
      fn.set(this.#size, i32.const(size));
      fn.branch(found);
    });
  }

  /** Returns where the access is, if it is permitted. */
  #fill(offset: I32): void {
    const fn = this.#fn;
    const rights = fn.let(i32.wrap(this.#rights));
    const leaf = fn.let(i32.wrap(this.#entry));
    const has = (bits: I32, wanted: number) => i32.ne(i32.and(bits, i32.const(wanted)), ZERO);
    const user = fn.let(i32.load(ZERO, STATE.TLB_AT));
    this.#unless(has(rights, PAGE_ENTRY.A));
    this.#unless(i32.or(i32.eqz(user), has(rights, PAGE_ENTRY.US)));
    const end = i64.sub(i64.load32U(ZERO, WALK_FIELD.END), i64.const(PAGE_SIZE));
    this.#unless(i64.geU(this.#page, i64.load32U(ZERO, WALK_FIELD.FROM)));
    this.#unless(i64.leU(this.#page, end));
    const start = i64.and(this.#address, i64.const(-PAGE_SIZE));
    this.#unless(i64.ne(start, this.#page));
    const mayIgnore = i32.eqz(i32.or(user, has(i32.load(ZERO, STATE.CR0), CR0.WP)));
    const writable = fn.let(
      i32.and(has(leaf, PAGE_ENTRY.D), i32.or(has(rights, PAGE_ENTRY.RW), mayIgnore)),
    );
    const page = fn.let(i32.wrap(this.#page));
    const isCode = fn.let(i32.load8U(i32.shrU(page, i32.const(PAGE_SHIFT)), CODE_PAGES));
    const isPlain = i32.and(writable, i32.eqz(isCode));
    this.#unless(i32.or(i32.eqz(this.#write), isPlain));
    const list = fn.let(i32.shrU(user, i32.const(TLB_FILL_SHIFT)));
    const count = fn.let(i32.load(list, TLB_FILLS));
    this.#unless(i32.ltU(count, i32.const(TLB_FILL_ENTRIES)));

    const number = fn.let(i64.shrU(this.#address, i64.const(PAGE_SHIFT)));
    const at = fn.let(tlbEntry(this.#address));
    const place = i32.shrU(at, i32.const(TLB_ENTRY_SHIFT));
    const entry = fn.let(i32.add(at, user));
    const none = i64.const(-1);
    const host = fn.let(i32.add(page, i32.const(RAM_BASE)));
    fn.store(entry, number, TLB + TLB_ENTRY.READ_PAGE);
    fn.store(entry, select(isPlain, number, none), TLB + TLB_ENTRY.WRITE_PAGE);
    fn.store(entry, select(i32.and(writable, isCode), number, none), TLB + TLB_ENTRY.CODE_PAGE);
    fn.store(entry, host, TLB + TLB_ENTRY.HOST_PAGE);
    fn.store(entry, i32.sub(host, i32.wrap(start)), TLB + TLB_ENTRY.DISTANCE);

    const isGlobal = i32.and(has(leaf, PAGE_ENTRY.G), has(i32.load(ZERO, STATE.CR4), CR4.PGE));
    const filled = select(isGlobal, i32.or(this.#size, i32.const(FILLED.GLOBAL)), this.#size);
    const next = i32.add(i32.shl(count, i32.const(2)), list);
    fn.store(next, i32.or(place, i32.shl(filled, i32.const(16))), TLB_FILLS + 4);
    fn.store(list, i32.add(count, i32.const(1)), TLB_FILLS);
    fn.return(i32.add(host, offset));
  }
}

const ZERO = i32.const(0);
