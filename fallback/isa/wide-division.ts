/** Division of 128 bits by 64, of which WebAssembly has none (Knuth, TAOCP vol. 2 §4.3.1, algorithm D). */

import { type I64, i32, i64 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import type { Emitter } from "./emitter.ts";

const HALF = 32;
const LOW_HALF = 0xffff_ffffn;

const upper = (value: I64): I64 => i64.shrU(value, i64.const(HALF));
const lower = (value: I64): I64 => i64.and(value, i64.const(LOW_HALF));
const joined = (high: I64, low: I64): I64 => i64.or(i64.shl(high, i64.const(HALF)), low);

/**
 * Divides unsigned numbers, by digits of 32 bits.
 * @param high, low the dividend: `high` is less than `divisor`
 */
export function divideWide(
  e: Emitter,
  high: Local<"i64">,
  low: Local<"i64">,
  divisor: Local<"i64">,
): { quotient: I64; rest: I64 } {
  const shift = e.let(i64.clz(divisor));
  const by = e.let(i64.shl(divisor, shift));
  // Shifting by 64, for a shift of zero, would be shifting by nothing.
  const carried = i64.shrU(i64.shrU(low, i64.const(1)), i64.sub(i64.const(63), shift));
  const first = e.let(i64.or(i64.shl(high, shift), carried));
  const others = e.let(i64.shl(low, shift));
  const left = digit(e, first, e.let(upper(others)), by);
  const right = digit(e, left.rest, e.let(lower(others)), by);
  return {
    quotient: joined(left.digit, right.digit),
    rest: i64.shrU(right.rest, shift),
  };
}

/** One digit of the quotient. @param by has its highest bit set, and is more than `rest` */
function digit(
  e: Emitter,
  rest: Local<"i64">,
  next: Local<"i64">,
  by: Local<"i64">,
): { digit: Local<"i64">; rest: Local<"i64"> } {
  const top = e.let(upper(by));
  const found = e.variable(i64.divU(rest, top));
  const left = e.variable(i64.sub(rest, i64.mul(found, top)));
  const isTooMuch = () =>
    i32.or(
      i64.ne(upper(found), i64.const(0)),
      i64.gtU(i64.mul(found, lower(by)), joined(left, next)),
    );
  const correct = (then: () => void) =>
    e.if(isTooMuch(), () => {
      e.set(found, i64.sub(found, i64.const(1)));
      e.set(left, i64.add(left, top));
      then();
    });
  // By one or two too much at most, and the second only if what is left is still a digit.
  correct(() => e.if(i64.eqz(upper(left)), () => correct(() => {})));
  const product = i64.mul(found, by);
  return { digit: found, rest: e.let(i64.sub(joined(rest, next), product)) };
}
