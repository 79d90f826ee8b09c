import { TLB_HASH_SHIFT } from "../memory/tlb.ts";
import {
  IDENTITY_ENTRIES,
  IDENTITY_OF_USER,
  IDENTITY_PAGES,
  IDENTITY_USER_SHIFT,
  IDENTITY_WRITES,
  RAM_BASE,
  STATE,
  TLB,
  TLB_ENTRIES,
  TLB_ENTRY,
  TLB_ENTRY_SHIFT,
  TLB_ENTRY_SIZE,
  TLB_OF_USER,
  windowOffset,
} from "../state.ts";
import { type I32, type I64, i32, i64 } from "../wasm/expression.ts";
import type { FunctionBuilder, Local } from "../wasm/function-builder.ts";

const PAGE_SHIFT = 12;
/** Entries of identity pages have four bytes. */
const ENTRY_SHIFT = 2;

/** An address in the WebAssembly memory, as instructions take it. */
export interface Place {
  readonly base: I32;
  readonly offset: number;
}

/**
 * Code that looks a linear address up where an access is made.
 * @param bytes of the access, 32 at most
 * @param hit gets where they are
 */
export type PageLookup = (
  fn: FunctionBuilder,
  address: Local<"i64">,
  bytes: number,
  write: boolean,
  hit: (place: Place) => void,
  miss: () => void,
) => void;

/** In the software TLB. @param user whose rights accesses are made with */
export const inTlb =
  (user: boolean): PageLookup =>
  (fn, address, bytes, write, hit, miss) =>
    throughTlb(
      ...([fn, address, bytes, write] as const),
      (base) => hit({ base, offset: 0 }),
      miss,
      user ? TLB_OF_USER : 0,
    );

const inIdentityTable =
  (table: (write: boolean) => I32): PageLookup =>
  (fn, address, bytes, write, hit, miss) =>
    fn.if(
      isIdentity(address, i64.const(bytes), table(write)),
      () => hit({ base: i32.wrap(address), offset: RAM_BASE }),
      miss,
    );

/** Among the pages that are where their linear addresses say. @param user whose rights accesses are made with */
export const inIdentity = (user: boolean): PageLookup =>
  inIdentityTable((write) =>
    i32.const((user ? IDENTITY_OF_USER : 0) + (write ? IDENTITY_WRITES : 0)),
  );

/** The same with the current level's rights. */
export const inCurrentIdentity = inIdentityTable((write) =>
  currentIdentity(i32.const(Number(write))),
);

/** For {@link isIdentity}, with the current level's rights. @param write 0 or 1 */
export const currentIdentity = (write: I32): I32 => {
  const ofUser = i32.shl(i32.load(i32.const(0), STATE.TLB_AT), i32.const(IDENTITY_USER_SHIFT));
  return i32.add(ofUser, i32.mul(write, i32.const(IDENTITY_WRITES)));
};

/**
 * Whether an access is to one page that is where its linear address says: the table has it at the place of the
 * access's first byte, by the number of the page of the last one. Pages next to each other have different places.
 * @param table distance from {@link IDENTITY_PAGES} of the table for the access
 */
export function isIdentity(address: I64, bytes: I64, table: I32): I32 {
  const place = i32.and(
    i32.wrap(i64.shrU(address, i64.const(PAGE_SHIFT - ENTRY_SHIFT))),
    i32.const((IDENTITY_ENTRIES - 1) << ENTRY_SHIFT),
  );
  const last = i64.add(address, i64.sub(bytes, i64.const(1)));
  const constant = table.constant ?? 0;
  const at = table.constant === undefined ? i32.add(place, table) : place;
  const number = i64.load32U(at, IDENTITY_PAGES + constant);
  return i64.eq(number, i64.shrU(last, i64.const(PAGE_SHIFT)));
}

/**
 * How far behind the first the entry of the TLB is that the page of an address has. Both shifts are of the address, so that
 * neither waits for the other: each access waits for this.
 * @param address used twice
 */
export function tlbEntry(address: I64): I32 {
  const shift = PAGE_SHIFT - TLB_ENTRY_SHIFT;
  const low = i32.wrap(i64.shrU(address, i64.const(shift)));
  const high = i32.wrap(i64.shrU(address, i64.const(shift + TLB_HASH_SHIFT)));
  // One of both without what is below entries: else the sum might carry that into them.
  const sum = i32.add(low, i32.and(high, i32.const(-TLB_ENTRY_SIZE)));
  return i32.and(sum, i32.const((TLB_ENTRIES - 1) * TLB_ENTRY_SIZE));
}

/**
 * Looks a linear address up in the software TLB.
 * @param hit gets the memory offset, if the TLB has the page of the access's last byte at the place
 *   of that of the first: pages next to each other never have the same, so the two are one
 * @param miss without an entry
 * @param rights distance from `TLB` of that for whose rights the access is made, where that is known;
 *   undefined for the current level's
 */
export function throughTlb(
  fn: FunctionBuilder,
  address: Local<"i64">,
  bytes: number,
  write: boolean,
  hit: (host: I32) => void,
  miss?: () => void,
  rights?: number,
): void {
  const shift = i64.const(PAGE_SHIFT);
  const place = tlbEntry(address);
  const entry = fn.let(
    rights === undefined ? i32.add(place, i32.load(i32.const(0), STATE.TLB_AT)) : place,
  );
  const table = TLB + (rights ?? 0);
  const last = i64.shrU(i64.add(address, i64.const(bytes - 1)), shift);
  const field = write ? TLB_ENTRY.WRITE_PAGE : TLB_ENTRY.READ_PAGE;
  const isKnown = i64.eq(i64.load(entry, table + field), last);
  fn.if(
    isKnown,
    () => hit(i32.add(i32.wrap(address), i32.load(entry, table + TLB_ENTRY.DISTANCE))),
    miss,
  );
}

/**
 * Memory offset of what is in a window or one page that the TLB has, all of it.
 * @param bytes 16 at most
 * @param otherwise leaves the code
 */
export function plainPlace(
  fn: FunctionBuilder,
  address: Local<"i64">,
  bytes: number,
  access: "read" | "write",
  otherwise: () => void,
): Local<"i32"> {
  const zero = i32.const(0);
  const window = windowOffset("general", access);
  const place = fn.local("i32");
  const at = i64.sub(address, i64.load(zero, window));
  fn.if(
    i64.ltU(at, i64.load(zero, window + 8)),
    () => fn.set(place, i32.add(i32.wrap(address), i32.const(RAM_BASE))),
    () =>
      throughTlb(fn, address, bytes, access === "write", (host) => fn.set(place, host), otherwise),
  );
  return place;
}
