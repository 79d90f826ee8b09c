/** F2XM1: two to the power of x, less one. Intel SDM vol. 1 §8.3.9, vol. 2 under F2XM1. */
import { type FloatContext, PRECISION } from "../context.ts";
import {
  type Encoded,
  EXTENDED,
  INFINITY,
  INTEGER_BIT,
  infinity,
  isNan,
  type Operand,
  ZERO,
  zero,
} from "../format.ts";
import { noteDenormals, propagateOne } from "../nan.ts";
import { encoded } from "../x87.ts";
import {
  exponentialRatio,
  FRACTION,
  LN_2,
  multiply,
  roundInexact,
  shifted,
} from "./fixed-point.ts";

/** Outside -1 to 1 the manual promises nothing: processors give the operand back. */
export function exponentialMinusOne(ctx: FloatContext, a: Operand): Encoded {
  if (isNan(a)) return propagateOne(ctx, EXTENDED, a);
  if (a.kind === ZERO) return zero(a.sign);
  if (a.kind === INFINITY) return a.sign ? MINUS_ONE : infinity(EXTENDED, 0);
  noteDenormals(ctx, a);
  if (a.exponent >= 0) {
    ctx.flags |= PRECISION;
    const isMinusOne = a.sign === 1 && a.exponent === 0 && a.significand === INTEGER_BIT;
    return isMinusOne ? { ...MINUS_ONE, exponent: EXTENDED.bias - 1 } : encoded(a);
  }
  const magnitude = multiply(shifted(a.significand, FRACTION + a.exponent - 63), LN_2);
  const ratio = multiply(exponentialRatio(a.sign ? -magnitude : magnitude), LN_2);
  return roundInexact(ctx, a.sign, a.significand * ratio, a.exponent - 63 - FRACTION);
}

const MINUS_ONE: Encoded = { sign: 1, exponent: EXTENDED.bias, significand: INTEGER_BIT };
