/** What the files about x87's 80 bits in WebAssembly have in common. */
import { PRECISION } from "../float/context.ts";
import { C1 } from "../float/x87.ts";
import { STATE } from "../state.ts";
import { type I32, type I64, i32, i64 } from "../wasm/expression.ts";
import type { FunctionBuilder, Local } from "../wasm/function-builder.ts";

/** A register's 80 bits. */
export interface Extended {
  readonly significand: Local<"i64">;
  /** The highest 16. */
  readonly signExponent: Local<"i32">;
}

export const BIAS = 16383;
/** The exponent of infinities and NaNs. */
export const SPECIAL = 0x7fff;
export const TOP_BIT = -(2n ** 63n);

export const zero = i32.const(0);
export const one = i32.const(1);
export const top = i64.const(TOP_BIT);

export const equals = (a: I32, value: number): I32 => i32.eq(a, i32.const(value));
export const exponentOf = (signExponent: I32): I32 => i32.and(signExponent, i32.const(SPECIAL));

/** Whether it is the exponent of a normal number. */
export const isInRange = (exponent: I32): I32 =>
  i32.ltU(i32.sub(exponent, one), i32.const(SPECIAL - 1));

export const isNormal = ({ significand, signExponent }: Extended): I32 =>
  i32.and(i64.ltS(significand, i64.const(0)), isInRange(exponentOf(signExponent)));

/** Zero, or normal. */
export function isPlain(number: Extended): I32 {
  const { significand, signExponent } = number;
  const isZero = i32.and(i64.eqz(significand), i32.eqz(exponentOf(signExponent)));
  return i32.or(isNormal(number), isZero);
}

/** Leaves a result in STATE.SCRATCH: see `addPack`. */
export function returnResult(fn: FunctionBuilder, bits: I64, signExponent: I32, flags: I32): void {
  fn.store(zero, bits, STATE.SCRATCH);
  fn.store(zero, signExponent, STATE.SCRATCH + 8);
  fn.store(zero, flags, STATE.SCRATCH + 12);
  fn.return(one);
}

/** What dropping low bits of a significand does. */
export interface Dropped {
  /** Without them. */
  readonly value: Local<"i64">;
  readonly isInexact: Local<"i32">;
  readonly isUp: Local<"i32">;
}

/**
 * To nearest, to even where both are as near.
 * @param count of the low bits, 1 to 63
 * @param sticky whether there is anything below
 */
export function drop(fn: FunctionBuilder, bits: Local<"i64">, count: I64, sticky: I32): Dropped {
  const by = fn.let(count);
  const value = fn.let(i64.shl(i64.shrU(bits, by), by));
  const dropped = fn.let(i64.xor(bits, value));
  const middle = fn.let(i64.shl(i64.const(1), i64.sub(by, i64.const(1))));
  const below = fn.let(sticky);
  const odd = i32.wrap(i64.and(i64.shrU(bits, by), i64.const(1)));
  const atMiddle = i32.and(i64.eq(dropped, middle), i32.or(below, odd));
  return {
    value,
    isInexact: fn.let(i32.or(i64.ne(dropped, i64.const(0)), below)),
    isUp: fn.let(i32.or(i64.gtU(dropped, middle), atMiddle)),
  };
}

/** Flags of the status word: C1 says that a result was rounded away from zero. */
export const flagsOf = (isInexact: I32, isUp: I32): I32 =>
  i32.or(i32.mul(isInexact, i32.const(PRECISION)), i32.mul(isUp, i32.const(C1)));
