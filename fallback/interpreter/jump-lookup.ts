import {
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  JUMP_CACHE_ENTRY_SIZE,
  JUMP_CACHE_SHIFT,
  RECORDS,
} from "../state.ts";
import { type I32, type I64, i32, i64 } from "../wasm/expression.ts";
import type { FunctionBuilder, Local } from "../wasm/function-builder.ts";
import { HEADER } from "./record.ts";

/**
 * The header that the jump cache has in the place of a linear address: {@link leadsTo} tells whether it
 * is the one.
 * @param key as in HEADER.KEY: only the lower half counts
 */
export function cachedHeader(fn: FunctionBuilder, key: Local<"i64">): I32 {
  const low = fn.let(i32.wrap(key));
  const hash = i32.xor(low, i32.shrU(low, i32.const(JUMP_CACHE_SHIFT)));
  const place = i32.and(hash, i32.const(JUMP_CACHE_ENTRIES - 1));
  const entry = i32.mul(place, i32.const(JUMP_CACHE_ENTRY_SIZE));
  return i32.add(i32.load(entry, JUMP_CACHE), i32.const(RECORDS));
}

/** Whether a linear address leads to a header. @param key as there */
export const leadsTo = (header: I32, key: I64): I32 => i64.eq(i64.load(header, HEADER.KEY), key);
