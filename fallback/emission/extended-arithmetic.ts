/**
 * Arithmetic on x87's 80 bits in WebAssembly: zeros and normal numbers, rounded to nearest. What needs
 * more is refused. `float/` has all of it, in TypeScript.
 */
import { type I32, type I64, i32, i64, select } from "../wasm/expression.ts";
import type { FunctionBuilder, Local } from "../wasm/function-builder.ts";
import {
  BIAS,
  drop,
  type Extended,
  equals,
  exponentOf,
  flagsOf,
  isInRange,
  isNormal,
  isPlain,
  one,
  TOP_BIT,
  top,
  zero,
} from "./extended-format.ts";

const SIGN = 0x8000;
const FAR = 128;
/** Of the digits of opcodes, 4 and 5 are subtractions. */
const SUBTRACT_SHIFT = 2;

/** By digits: 0, 4 and 5 add, 1 multiplies, 6 and 7 divide. */
export type Kind = "add" | "multiply" | "divide";

const half = i64.const(0xffff_ffff);
const high = (value: I64): I64 => i64.shrU(value, i64.const(32));
const low = (value: I64): I64 => i64.and(value, half);

/** A result, and flags of the status word. */
export interface Outcome extends Extended {
  readonly flags: Local<"i32">;
}

/** A sum, product, quotient or root that has not been rounded: its highest bit is set. */
interface Unrounded {
  readonly sign: Local<"i32">;
  readonly exponent: Local<"i32">;
  readonly upper: Local<"i64">;
  readonly lower: Local<"i64">;
}

export const newResult = (fn: FunctionBuilder): Outcome => ({
  significand: fn.local("i64"),
  signExponent: fn.local("i32"),
  flags: fn.local("i32"),
});

export const newUnrounded = (fn: FunctionBuilder): Unrounded => ({
  ...{ sign: fn.local("i32"), exponent: fn.local("i32") },
  ...{ upper: fn.local("i64"), lower: fn.local("i64") },
});

/**
 * Computes in place. The function under construction returns zero where there is no result.
 * @param operation digit of the opcode, of the {@link Kind}
 * @param a, b are changed
 * @param control x87's control word
 */
export function compute(
  fn: FunctionBuilder,
  kind: Kind,
  operation: I32,
  a: Extended,
  b: Extended,
  control: Local<"i32">,
): Outcome {
  const outcome = newResult(fn);
  const result = newUnrounded(fn);
  fn.block((done) => {
    const zeroOf = (sign: I32): void => {
      fn.set(outcome.significand, i64.const(0));
      fn.set(outcome.signExponent, sign);
      fn.set(outcome.flags, zero);
      fn.branch(done);
    };
    fn.block((round) => {
      // FSUBR and FDIVR.
      const isReversed = i32.and(operation, one);
      if (kind !== "multiply") fn.if(isReversed, () => exchange(fn, a, b));
      if (kind === "add") {
        const isSubtraction = i32.shrU(operation, i32.const(SUBTRACT_SHIFT));
        fn.set(b.signExponent, i32.xor(b.signExponent, i32.shl(isSubtraction, i32.const(15))));
      }
      fn.set(result.sign, signOf(i32.xor(a.signExponent, b.signExponent)));
      fn.if(i32.eqz(i32.and(isNormal(a), isNormal(b))), () => {
        const bothPlain = i32.and(isPlain(a), isPlain(b));
        fn.if(i32.eqz(bothPlain), () => fn.return(zero));
        // Division by zero is an exception.
        if (kind === "divide") fn.if(i64.eqz(b.significand), () => fn.return(zero));
        if (kind !== "add") {
          zeroOf(result.sign);
          return;
        }
        // Zeros of different signs add up to a positive one.
        const both = i64.or(a.significand, b.significand);
        fn.if(i64.eqz(both), () => zeroOf(signOf(i32.and(a.signExponent, b.signExponent))));
        fn.if(i64.eqz(a.significand), () => exchange(fn, a, b));
        fn.set(result.sign, signOf(a.signExponent));
        fn.set(result.exponent, exponentOf(a.signExponent));
        fn.set(result.upper, a.significand);
        fn.set(result.lower, i64.const(0));
        fn.branch(round);
      });
      if (kind === "multiply") multiply(fn, a, b, result);
      else if (kind === "divide") divide(fn, a, b, result);
      else add(fn, a, b, result, () => zeroOf(zero));
    });
    roundInto(fn, outcome, result, control);
  });
  return outcome;
}

const signOf = (signExponent: I32): I32 => i32.and(signExponent, i32.const(SIGN));

function multiply(fn: FunctionBuilder, a: Extended, b: Extended, result: Unrounded): void {
  const { exponent, upper, lower } = result;
  multiplyInto(fn, a.significand, b.significand, result);
  const sum = i32.add(exponentOf(a.signExponent), exponentOf(b.signExponent));
  fn.set(exponent, i32.sub(sum, i32.const(BIAS - 1)));
  fn.if(i64.geS(upper, i64.const(0)), () => {
    fn.set(upper, i64.or(i64.shl(upper, i64.const(1)), i64.shrU(lower, i64.const(63))));
    fn.set(lower, i64.shl(lower, i64.const(1)));
    fn.set(exponent, i32.sub(exponent, one));
  });
}

function divide(fn: FunctionBuilder, a: Extended, b: Extended, result: Unrounded): void {
  const { exponent, upper, lower } = result;
  const difference = i32.sub(exponentOf(a.signExponent), exponentOf(b.signExponent));
  fn.set(exponent, i32.add(difference, i32.const(BIAS)));
  // The dividend, such that the quotient has 64 bits.
  fn.set(upper, a.significand);
  fn.set(lower, i64.const(0));
  fn.if(
    i64.geU(a.significand, b.significand),
    () => {
      fn.set(upper, i64.shrU(a.significand, i64.const(1)));
      fn.set(lower, i64.shl(a.significand, i64.const(63)));
    },
    () => fn.set(exponent, i32.sub(exponent, one)),
  );
  const { quotient, rest } = quotientOf(fn, upper, lower, b.significand);
  // What is left: nothing, less than half of the divisor, half, or more.
  const doubled = fn.let(i64.shl(rest, i64.const(1)));
  const isAbove = i32.or(i64.ltS(rest, i64.const(0)), i64.gtU(doubled, b.significand));
  const isHalf = i32.and(i64.geS(rest, i64.const(0)), i64.eq(doubled, b.significand));
  const above = i64.const(TOP_BIT + 1n);
  const tail = select(isAbove, above, select(isHalf, top, i64.const(1)));
  fn.set(upper, quotient);
  fn.set(lower, select(i64.eqz(rest), i64.const(0), tail));
}

/** @param none what to do where the sum is zero */
function add(
  fn: FunctionBuilder,
  a: Extended,
  b: Extended,
  { sign, exponent, upper, lower }: Unrounded,
  none: () => void,
): void {
  const isLess = i32.ltU(exponentOf(a.signExponent), exponentOf(b.signExponent));
  const isEven = i32.eq(exponentOf(a.signExponent), exponentOf(b.signExponent));
  const isSmaller = i64.ltU(a.significand, b.significand);
  fn.if(i32.or(isLess, i32.and(isEven, isSmaller)), () => exchange(fn, a, b));
  const differ = fn.let(sign);
  fn.set(sign, signOf(a.signExponent));
  fn.set(exponent, exponentOf(a.signExponent));
  const distance = i32.sub(exponent, exponentOf(b.signExponent));
  shiftInto(fn, b.significand, distance, upper, lower);
  fn.if(
    differ,
    () => {
      fn.set(upper, i64.sub(a.significand, upper));
      fn.set(upper, i64.sub(upper, i64.extendU(i64.ne(lower, i64.const(0)))));
      fn.set(lower, i64.sub(i64.const(0), lower));
      fn.if(i64.eqz(i64.or(upper, lower)), none);
      normalise(fn, exponent, upper, lower);
    },
    () => {
      fn.set(upper, i64.add(upper, a.significand));
      fn.if(i64.ltU(upper, a.significand), () => {
        const sticky = i64.and(lower, i64.const(1));
        const shifted = i64.or(i64.shrU(lower, i64.const(1)), i64.shl(upper, i64.const(63)));
        fn.set(lower, i64.or(shifted, sticky));
        fn.set(upper, i64.or(i64.shrU(upper, i64.const(1)), top));
        fn.set(exponent, i32.add(exponent, one));
      });
    },
  );
}

function exchange(fn: FunctionBuilder, a: Extended, b: Extended): void {
  const bits = fn.let(a.significand);
  fn.set(a.significand, b.significand);
  fn.set(b.significand, bits);
  const word = fn.let(a.signExponent);
  fn.set(a.signExponent, b.signExponent);
  fn.set(b.signExponent, word);
}

/** Of 64 bits each. */
function multiplyInto(fn: FunctionBuilder, a: I64, b: I64, { upper, lower }: Unrounded): void {
  const [aHigh, aLow] = [fn.let(high(a)), fn.let(low(a))];
  const [bHigh, bLow] = [fn.let(high(b)), fn.let(low(b))];
  const least = fn.let(i64.mul(aLow, bLow));
  const crossed = fn.let(i64.add(i64.mul(aHigh, bLow), high(least)));
  const middle = fn.let(i64.add(i64.mul(aLow, bHigh), low(crossed)));
  fn.set(upper, i64.add(i64.mul(aHigh, bHigh), i64.add(high(crossed), high(middle))));
  fn.set(lower, i64.or(i64.shl(middle, i64.const(32)), low(least)));
}

/** The lowest bit stands for all that has gone below it, too. @param count not negative */
function shiftInto(
  fn: FunctionBuilder,
  bits: Local<"i64">,
  count: I32,
  upper: Local<"i64">,
  lower: Local<"i64">,
): void {
  const by = fn.let(count);
  const wide = fn.let(i64.extendU(by));
  const back = i64.sub(i64.const(0), wide);
  // Counts of shifts are taken modulo 64.
  fn.set(upper, i64.shrU(bits, wide));
  fn.set(lower, select(by, i64.shl(bits, back), i64.const(0)));
  fn.if(i32.geU(by, i32.const(64)), () => {
    const lost = select(equals(by, 64), i64.const(0), i64.shl(bits, back));
    const sticky = i64.extendU(i64.ne(lost, i64.const(0)));
    const isFar = i32.geU(by, i32.const(FAR));
    fn.set(upper, i64.const(0));
    fn.set(lower, select(isFar, i64.const(1), i64.or(i64.shrU(bits, wide), sticky)));
  });
}

/** Shifts left until the highest bit is set; not all are zero. */
function normalise(
  fn: FunctionBuilder,
  exponent: Local<"i32">,
  upper: Local<"i64">,
  lower: Local<"i64">,
): void {
  fn.if(i64.eqz(upper), () => {
    fn.set(upper, lower);
    fn.set(lower, i64.const(0));
    fn.set(exponent, i32.sub(exponent, i32.const(64)));
  });
  const count = fn.let(i64.clz(upper));
  fn.if(i64.ne(count, i64.const(0)), () => {
    const carried = i64.shrU(lower, i64.sub(i64.const(64), count));
    fn.set(upper, i64.or(i64.shl(upper, count), carried));
    fn.set(lower, i64.shl(lower, count));
    fn.set(exponent, i32.sub(exponent, i32.wrap(count)));
  });
}

/**
 * 128 by 64 bits, by digits of 32 (Knuth, The Art of Computer Programming vol. 2, 4.3.1, algorithm D).
 * @param divisor has its highest bit set, and is more than `upper`
 */
function quotientOf(
  fn: FunctionBuilder,
  upper: Local<"i64">,
  lower: Local<"i64">,
  divisor: Local<"i64">,
): { quotient: I64; rest: Local<"i64"> } {
  const most = fn.let(high(divisor));
  const least = fn.let(low(divisor));
  const rest = fn.let(upper);
  /** @param next 32 bits of the dividend */
  const digit = (next: Local<"i64">): Local<"i64"> => {
    const guess = fn.let(i64.divU(rest, most));
    const over = fn.let(i64.sub(rest, i64.mul(guess, most)));
    fn.block((right) => {
      fn.loop((again) => {
        const tooLarge = i32.or(
          i64.ne(high(guess), i64.const(0)),
          i64.gtU(i64.mul(guess, least), i64.or(i64.shl(over, i64.const(32)), next)),
        );
        fn.branchIf(i32.eqz(tooLarge), right);
        fn.set(guess, i64.sub(guess, i64.const(1)));
        fn.set(over, i64.add(over, most));
        fn.branchIf(i64.eqz(high(over)), again);
      });
    });
    const shifted = i64.or(i64.shl(rest, i64.const(32)), next);
    fn.set(rest, i64.sub(shifted, i64.mul(guess, divisor)));
    return guess;
  };
  const first = digit(fn.let(high(lower)));
  const second = digit(fn.let(low(lower)));
  return { quotient: i64.or(i64.shl(first, i64.const(32)), second), rest };
}

/** Of 24, (reserved: 64,) 53 and 64 bits, by precision control, these are dropped. */
const DROPPED = i32.const(40 | (11 << 16));
const PRECISION_SHIFT = i32.const(8);
const FULL_PRECISION = 0x300;

/** Rounds as precision control says; the function returns where the exponent is out of range. */
export function roundInto(
  fn: FunctionBuilder,
  outcome: Outcome,
  { sign, exponent, upper, lower }: Unrounded,
  control: Local<"i32">,
): void {
  const value = outcome.significand;
  fn.set(value, upper);
  const increment = fn.let(i64.const(1));
  const odd = i32.wrap(i64.and(upper, i64.const(1)));
  const isInexact = fn.let(i64.ne(lower, i64.const(0)));
  const atMiddle = i32.and(i64.eq(lower, top), odd);
  const isUp = fn.let(i32.or(i64.gtU(lower, top), atMiddle));
  const precision = i32.and(control, i32.const(FULL_PRECISION));
  fn.if(i32.ne(precision, i32.const(FULL_PRECISION)), () => {
    const place = i32.shl(i32.shrU(precision, PRECISION_SHIFT), i32.const(3));
    const count = fn.let(i32.and(i32.shrU(DROPPED, place), i32.const(0x3f)));
    fn.if(count, () => {
      const by = i64.extendU(count);
      const dropped = drop(fn, upper, by, isInexact);
      fn.set(value, dropped.value);
      fn.set(isInexact, dropped.isInexact);
      fn.set(isUp, dropped.isUp);
      fn.set(increment, i64.shl(i64.const(1), by));
    });
  });
  fn.if(isUp, () => {
    fn.set(value, i64.add(value, increment));
    fn.if(i64.eqz(value), () => {
      fn.set(value, top);
      fn.set(exponent, i32.add(exponent, one));
    });
  });
  // Overflow and underflow.
  fn.if(i32.eqz(isInRange(exponent)), () => fn.return(zero));
  fn.set(outcome.signExponent, i32.or(sign, exponent));
  fn.set(outcome.flags, flagsOf(isInexact, isUp));
}
