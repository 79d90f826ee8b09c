/** What becomes of NaNs. Intel SDM vol. 1 §4.8.3.5 (table 4-7), §8.2.2. */
import { DENORMAL_OPERAND, type FloatContext, INVALID } from "./context.ts";
import {
  DENORMAL,
  defaultNan,
  type Encoded,
  EXTENDED,
  type Format,
  isNan,
  type Operand,
  quieted,
  SIGNALING_NAN,
  UNSUPPORTED,
} from "./format.ts";

/** Says that an operation has no meaning. */
export function invalid(ctx: FloatContext, format: Format): Encoded {
  ctx.flags |= INVALID;
  return defaultNan(format);
}

export function noteDenormals(ctx: FloatContext, a: Operand, b: Operand = a): void {
  if (a.kind === DENORMAL || b.kind === DENORMAL) ctx.flags |= DENORMAL_OPERAND;
}

/** @param operand a NaN, or unsupported */
export function propagateOne(ctx: FloatContext, format: Format, operand: Operand): Encoded {
  if (operand.kind === UNSUPPORTED) return invalid(ctx, format);
  if (operand.kind === SIGNALING_NAN) ctx.flags |= INVALID;
  return quieted(format, operand);
}

/** @param a the first (destination) operand; it or `b` is a NaN, or unsupported */
export function propagate(ctx: FloatContext, format: Format, a: Operand, b: Operand): Encoded {
  if (a.kind === UNSUPPORTED || b.kind === UNSUPPORTED) return invalid(ctx, format);
  if (a.kind === SIGNALING_NAN || b.kind === SIGNALING_NAN) ctx.flags |= INVALID;
  const chosen = format === EXTENDED ? x87Choice(a, b) : isNan(a) ? a : b;
  return quieted(format, chosen);
}

/** The same of three operands. @param a, b the factors @param c the addend, which comes last */
export function propagateOfThree(
  ctx: FloatContext,
  format: Format,
  a: Operand,
  b: Operand,
  c: Operand,
): Encoded {
  const signalling = [a, b, c].some(({ kind }) => kind === SIGNALING_NAN);
  if (signalling) ctx.flags |= INVALID;
  return quieted(format, isNan(a) ? a : isNan(b) ? b : c);
}

/** A quiet NaN wins over a signalling one, then the larger significand, then the positive sign. */
function x87Choice(a: Operand, b: Operand): Operand {
  if (!isNan(a)) return b;
  if (!isNan(b)) return a;
  if (a.kind !== b.kind) return a.kind === SIGNALING_NAN ? b : a;
  if (a.significand !== b.significand) return a.significand > b.significand ? a : b;
  return a.sign ? b : a;
}
