/**
 * Arithmetic on x87's 80 bits in WebAssembly: zeros and normal numbers, rounded to nearest. What needs
 * more is refused. `float/` has all of it, in TypeScript.
 */
import { STATE } from "../state.ts";
import { type I32, type I64, i32, i64, select } from "../wasm/expression.ts";
import { callResult, FunctionBuilder, type Local } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";
import { definePack, defineUnpack } from "./extended-conversion.ts";
import {
  BIAS,
  drop,
  type Extended,
  equals,
  exponentOf,
  flagsOf,
  isPlain,
  one,
  returnResult,
  returnZero,
  SPECIAL,
  TOP_BIT,
  top,
  zero,
} from "./extended-format.ts";

const SIGN = 0x8000;
const FAR = 128;
/** Digits of opcodes. */
const MULTIPLY = 1;
const REVERSED = 1;
const SUBTRACT = 4;
const DIVIDE = 6;

const half = i64.const(0xffff_ffff);
const high = (value: I64): I64 => i64.shrU(value, i64.const(32));
const low = (value: I64): I64 => i64.and(value, half);

/**
 * Functions of a module. Results are in STATE.SCRATCH: the significand (or what goes to memory), sign
 * and exponent (an i32), and flags (an i32).
 */
export class ExtendedArithmetic {
  readonly #compute: number;
  readonly #round: number;
  readonly #unpack: number;
  readonly #pack: number;

  constructor(module: ModuleBuilder) {
    const define = (
      parameters: readonly ("i32" | "i64")[],
      body: (fn: FunctionBuilder) => void,
    ): number => {
      const index = module.addFunction({ parameters, results: ["i32"] });
      const fn = new FunctionBuilder(parameters);
      body(fn);
      fn.code.push(0x00);
      module.define(index, fn.finish());
      return index;
    };
    this.#round = define(["i32", "i32", "i64", "i64"], (fn) => defineRound(fn));
    this.#compute = define(["i32", "i64", "i32", "i64", "i32"], (fn) => this.#defineCompute(fn));
    this.#unpack = define(["i32", "i64"], (fn) => defineUnpack(fn));
    this.#pack = define(["i32", "i32", "i64", "i32"], (fn) => definePack(fn));
  }

  /** Whether it is zero or a normal number. */
  isPlain({ significand, signExponent }: Extended): I32 {
    return isPlain(significand, signExponent);
  }

  /** @param operation digit of the opcode. @returns whether there is a result */
  compute(operation: I32, a: Extended, b: Extended): I32 {
    const operands = [a.significand, a.signExponent, b.significand, b.signExponent];
    return callResult("i32", this.#compute, operation, ...operands);
  }

  /** A number from memory. @param kind `MEMORY_KIND` @returns whether it is one */
  unpack(kind: I32, bits: I64): I32 {
    return callResult("i32", this.#unpack, kind, bits);
  }

  /** A number for memory. @param kind `STORE_KIND` @returns whether it is one there, too */
  pack(kind: I32, truncates: I32, { significand, signExponent }: Extended): I32 {
    return callResult("i32", this.#pack, kind, truncates, significand, signExponent);
  }

  /** (operation, significand and sign and exponent of a, of b) */
  #defineCompute(fn: FunctionBuilder): void {
    const operation = fn.parameter(0, "i32");
    const [aBits, bBits] = [fn.parameter(1, "i64"), fn.parameter(3, "i64")];
    const [a, b] = [fn.parameter(2, "i32"), fn.parameter(4, "i32")];
    for (const [bits, signExponent] of [
      [aBits, a],
      [bBits, b],
    ] as const) {
      fn.if(i32.eqz(isPlain(bits, signExponent)), () => fn.return(zero));
    }
    // FSUBR and FDIVR.
    const isReversed = i32.and(i32.geU(operation, i32.const(SUBTRACT)), i32.const(REVERSED));
    fn.if(i32.and(isReversed, operation), () => exchange(fn, aBits, a, bBits, b));
    const isSubtraction = equals(i32.and(operation, i32.const(~REVERSED)), SUBTRACT);
    fn.if(isSubtraction, () => fn.set(b, i32.xor(b, i32.const(SIGN))));
    const sign = fn.let(i32.and(i32.xor(a, b), i32.const(SIGN)));
    const multiplies = equals(operation, MULTIPLY);
    fn.if(multiplies, () => this.#multiply(fn, sign));
    fn.if(i32.geU(operation, i32.const(DIVIDE)), () => this.#divide(fn, sign));
    this.#add(fn);
  }

  /** Returns the result, which is not zero. The significand's highest bit is set. */
  #returnRounded(fn: FunctionBuilder, sign: I32, exponent: I32, upper: I64, lower: I64): void {
    fn.return(callResult("i32", this.#round, sign, exponent, upper, lower));
  }

  #multiply(fn: FunctionBuilder, sign: I32): void {
    const [aBits, bBits] = [fn.parameter(1, "i64"), fn.parameter(3, "i64")];
    fn.if(i32.or(i64.eqz(aBits), i64.eqz(bBits)), () => returnZero(fn, sign));
    const { upper, lower } = product(fn, aBits, bBits);
    const sum = i32.add(exponentOf(fn.parameter(2, "i32")), exponentOf(fn.parameter(4, "i32")));
    const exponent = fn.let(i32.sub(sum, i32.const(BIAS - 1)));
    fn.if(i64.geS(upper, i64.const(0)), () => {
      fn.set(upper, i64.or(i64.shl(upper, i64.const(1)), i64.shrU(lower, i64.const(63))));
      fn.set(lower, i64.shl(lower, i64.const(1)));
      fn.set(exponent, i32.sub(exponent, one));
    });
    this.#returnRounded(fn, sign, exponent, upper, lower);
  }

  #divide(fn: FunctionBuilder, sign: I32): void {
    const [aBits, bBits] = [fn.parameter(1, "i64"), fn.parameter(3, "i64")];
    // Division by zero is an exception.
    fn.if(i64.eqz(bBits), () => fn.return(zero));
    fn.if(i64.eqz(aBits), () => returnZero(fn, sign));
    const difference = i32.sub(
      exponentOf(fn.parameter(2, "i32")),
      exponentOf(fn.parameter(4, "i32")),
    );
    const exponent = fn.let(i32.add(difference, i32.const(BIAS)));
    // The dividend, such that the quotient has 64 bits.
    const upper = fn.let(aBits);
    const lower = fn.let(i64.const(0));
    fn.if(
      i64.geU(aBits, bBits),
      () => {
        fn.set(upper, i64.shrU(aBits, i64.const(1)));
        fn.set(lower, i64.shl(aBits, i64.const(63)));
      },
      () => fn.set(exponent, i32.sub(exponent, one)),
    );
    const { quotient, rest } = divide(fn, upper, lower, bBits);
    // What is left: nothing, less than half of the divisor, half, or more.
    const doubled = fn.let(i64.shl(rest, i64.const(1)));
    const isAbove = i32.or(i64.ltS(rest, i64.const(0)), i64.gtU(doubled, bBits));
    const isHalf = i32.and(i64.geS(rest, i64.const(0)), i64.eq(doubled, bBits));
    const above = i64.const(TOP_BIT + 1n);
    const tail = select(isAbove, above, select(isHalf, top, i64.const(1)));
    const left = select(i64.eqz(rest), i64.const(0), tail);
    this.#returnRounded(fn, sign, exponent, quotient, left);
  }

  #add(fn: FunctionBuilder): void {
    const [aBits, bBits] = [fn.parameter(1, "i64"), fn.parameter(3, "i64")];
    const [a, b] = [fn.parameter(2, "i32"), fn.parameter(4, "i32")];
    const signOf = (value: I32): I32 => i32.and(value, i32.const(SIGN));
    fn.if(i64.eqz(bBits), () => {
      // Zeros of different signs add up to a positive one.
      fn.if(i64.eqz(aBits), () => returnZero(fn, signOf(i32.and(a, b))));
      this.#returnRounded(fn, signOf(a), exponentOf(a), aBits, i64.const(0));
    });
    fn.if(i64.eqz(aBits), () =>
      this.#returnRounded(fn, signOf(b), exponentOf(b), bBits, i64.const(0)),
    );
    const isLess = i32.ltU(exponentOf(a), exponentOf(b));
    const isEven = i32.eq(exponentOf(a), exponentOf(b));
    fn.if(i32.or(isLess, i32.and(isEven, i64.ltU(aBits, bBits))), () =>
      exchange(fn, aBits, a, bBits, b),
    );
    const sign = fn.let(signOf(a));
    const exponent = fn.let(exponentOf(a));
    const { upper, lower } = shiftedRight(fn, bBits, i32.sub(exponent, exponentOf(b)));
    fn.if(
      signOf(i32.xor(a, b)),
      () => {
        fn.set(upper, i64.sub(aBits, upper));
        fn.set(upper, i64.sub(upper, i64.extendU(i64.ne(lower, i64.const(0)))));
        fn.set(lower, i64.sub(i64.const(0), lower));
        fn.if(i64.eqz(i64.or(upper, lower)), () => returnZero(fn, zero));
        normalise(fn, exponent, upper, lower);
      },
      () => {
        fn.set(upper, i64.add(upper, aBits));
        fn.if(i64.ltU(upper, aBits), () => {
          const sticky = i64.and(lower, i64.const(1));
          const shifted = i64.or(i64.shrU(lower, i64.const(1)), i64.shl(upper, i64.const(63)));
          fn.set(lower, i64.or(shifted, sticky));
          fn.set(upper, i64.or(i64.shrU(upper, i64.const(1)), top));
          fn.set(exponent, i32.add(exponent, one));
        });
      },
    );
    this.#returnRounded(fn, sign, exponent, upper, lower);
  }
}

function exchange(
  fn: FunctionBuilder,
  aBits: Local<"i64">,
  a: Local<"i32">,
  bBits: Local<"i64">,
  b: Local<"i32">,
): void {
  const bits = fn.let(aBits);
  fn.set(aBits, bBits);
  fn.set(bBits, bits);
  const word = fn.let(a);
  fn.set(a, b);
  fn.set(b, word);
}

/** A number in two variables: bits below 64 are the second's. */
interface Wide {
  readonly upper: Local<"i64">;
  readonly lower: Local<"i64">;
}

/** Of 64 bits each. */
function product(fn: FunctionBuilder, a: I64, b: I64): Wide {
  const [aHigh, aLow] = [fn.let(high(a)), fn.let(low(a))];
  const [bHigh, bLow] = [fn.let(high(b)), fn.let(low(b))];
  const least = fn.let(i64.mul(aLow, bLow));
  const crossed = fn.let(i64.add(i64.mul(aHigh, bLow), high(least)));
  const middle = fn.let(i64.add(i64.mul(aLow, bHigh), low(crossed)));
  const most = i64.add(i64.mul(aHigh, bHigh), i64.add(high(crossed), high(middle)));
  const lower = fn.let(i64.or(i64.shl(middle, i64.const(32)), low(least)));
  return { upper: fn.let(most), lower };
}

/** The lowest bit stands for all that has gone below it, too. @param count not negative */
function shiftedRight(fn: FunctionBuilder, bits: Local<"i64">, count: I32): Wide {
  const by = fn.let(count);
  const wide = fn.let(i64.extendU(by));
  const upper = fn.let(bits);
  const lower = fn.let(i64.const(0));
  const back = i64.sub(i64.const(0), wide);
  fn.if(i32.geU(by, i32.const(FAR)), () => {
    fn.set(upper, i64.const(0));
    fn.set(lower, i64.const(1));
  });
  fn.if(i32.ltU(i32.sub(by, one), i32.const(63)), () => {
    fn.set(upper, i64.shrU(bits, wide));
    fn.set(lower, i64.shl(bits, back));
  });
  fn.if(i32.ltU(i32.sub(by, i32.const(64)), i32.const(64)), () => {
    const lost = select(equals(by, 64), i64.const(0), i64.shl(bits, back));
    const sticky = i64.extendU(i64.ne(lost, i64.const(0)));
    fn.set(upper, i64.const(0));
    // Counts of shifts are taken modulo 64.
    fn.set(lower, i64.or(i64.shrU(bits, wide), sticky));
  });
  return { upper, lower };
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
function divide(
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

/** (sign, biased exponent, upper, lower): rounds as precision control says. */
function defineRound(fn: FunctionBuilder): void {
  const sign = fn.parameter(0, "i32");
  const exponent = fn.parameter(1, "i32");
  const upper = fn.parameter(2, "i64");
  const lower = fn.parameter(3, "i64");
  const value = fn.let(upper);
  const increment = fn.let(i64.const(1));
  const odd = i32.wrap(i64.and(upper, i64.const(1)));
  const isInexact = fn.let(i64.ne(lower, i64.const(0)));
  const atMiddle = i32.and(i64.eq(lower, top), odd);
  const isUp = fn.let(i32.or(i64.gtU(lower, top), atMiddle));
  // Of 24, (reserved: 64,) 53 and 64 bits, these are dropped.
  const control = i32.and(
    i32.shrU(i32.load16U(zero, STATE.X87_CONTROL), i32.const(8)),
    i32.const(3),
  );
  const count = fn.let(
    i32.and(i32.shrU(i32.const(40 | (11 << 16)), i32.shl(control, i32.const(3))), i32.const(0x3f)),
  );
  fn.if(count, () => {
    const by = i64.extendU(count);
    const dropped = drop(fn, upper, by, isInexact);
    fn.set(value, dropped.value);
    fn.set(isInexact, dropped.isInexact);
    fn.set(isUp, dropped.isUp);
    fn.set(increment, i64.shl(i64.const(1), by));
  });
  fn.if(isUp, () => {
    fn.set(value, i64.add(value, increment));
    fn.if(i64.eqz(value), () => {
      fn.set(value, top);
      fn.set(exponent, i32.add(exponent, one));
    });
  });
  // Overflow and underflow.
  const inRange = i32.ltU(i32.sub(exponent, one), i32.const(SPECIAL - 1));
  fn.if(i32.eqz(inRange), () => fn.return(zero));
  returnResult(fn, value, i32.or(sign, exponent), flagsOf(isInexact, isUp));
}
