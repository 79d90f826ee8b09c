/** Comparisons, minimum and maximum. Intel SDM vol. 1 §8.3.6 (x87), vol. 2 under COMISS and MINSS. */
import { type FloatContext, INVALID } from "./context.ts";
import { INFINITY, isNan, type Operand, QUIET_NAN, ZERO } from "./format.ts";
import { noteDenormals } from "./nan.ts";

export const LESS = -1;
export const EQUAL = 0;
export const GREATER = 1;
export const UNORDERED = 2;
export type Order = typeof LESS | typeof EQUAL | typeof GREATER | typeof UNORDERED;

/**
 * @param quiet quiet NaNs are no reason to complain (FUCOM, UCOMISS, CMPEQSS), rather than any NaN
 *   (FCOM, COMISS, CMPLTSS)
 */
export function compare(ctx: FloatContext, a: Operand, b: Operand, quiet: boolean): Order {
  if (isNan(a) || isNan(b)) {
    if (!quiet || a.kind > QUIET_NAN || b.kind > QUIET_NAN) ctx.flags |= INVALID;
    return UNORDERED;
  }
  noteDenormals(ctx, a, b);
  if (a.kind === ZERO && b.kind === ZERO) return EQUAL;
  if (a.kind === ZERO) return b.sign ? GREATER : LESS;
  if (b.kind === ZERO || a.sign !== b.sign) return a.sign ? LESS : GREATER;
  const order = compareMagnitudes(a, b);
  return a.sign ? (-order as Order) : order;
}

function compareMagnitudes(a: Operand, b: Operand): typeof LESS | typeof EQUAL | typeof GREATER {
  if (a.kind === INFINITY || b.kind === INFINITY) {
    if (a.kind === b.kind) return EQUAL;
    return a.kind === INFINITY ? GREATER : LESS;
  }
  if (a.exponent !== b.exponent) return a.exponent < b.exponent ? LESS : GREATER;
  if (a.significand === b.significand) return EQUAL;
  return a.significand < b.significand ? LESS : GREATER;
}
