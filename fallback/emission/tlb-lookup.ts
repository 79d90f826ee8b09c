import { TLB_HASH_SHIFT } from "../memory/tlb.ts";
import {
  RAM_BASE,
  STATE,
  TLB,
  TLB_ENTRIES,
  TLB_ENTRY,
  TLB_ENTRY_SIZE,
  windowOffset,
} from "../state.ts";
import { type I32, i32, i64 } from "../wasm/expression.ts";
import type { FunctionBuilder, Local } from "../wasm/function-builder.ts";

const PAGE_SHIFT = 12;

/** Which entry of the TLB a page has. @param number the lower half of its number, used twice */
export const tlbPlace = (number: I32): I32 =>
  i32.and(i32.add(number, i32.shrU(number, i32.const(TLB_HASH_SHIFT))), i32.const(TLB_ENTRIES - 1));

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
  const number = fn.let(i32.wrap(i64.shrU(address, shift)));
  const place = i32.mul(tlbPlace(number), i32.const(TLB_ENTRY_SIZE));
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
