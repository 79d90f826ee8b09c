import { describe, expect, test } from "vitest";
import { add, divide, multiply, squareRoot } from "../../../fallback/float/arithmetic.ts";
import { compare, UNORDERED } from "../../../fallback/float/compare.ts";
import * as context from "../../../fallback/float/context.ts";
import {
  BINARY32,
  BINARY64,
  EXTENDED,
  type Operand,
  signExponent,
  unpack,
  unpackExtended,
} from "../../../fallback/float/format.ts";
import { toInteger } from "../../../fallback/float/integer.ts";
import * as sse from "../../../fallback/float/sse.ts";
import { sine } from "../../../fallback/float/transcendental/trigonometry.ts";
import * as x87 from "../../../fallback/float/x87.ts";

/** What holds on hosts without a processor to compare with, too. */

const view = new DataView(new ArrayBuffer(8));
const bits64 = (value: number): bigint => {
  view.setFloat64(0, value);
  return view.getBigUint64(0);
};
const number64 = (bits: bigint): number => {
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
};
const operand = (value: number): Operand => unpack(BINARY64, bits64(value));
const withControlWord = (word: number): context.FloatContext => {
  const ctx = new context.FloatContext();
  ctx.useControlWord(word);
  return ctx;
};

describe("SSE", () => {
  test.each([
    [0.1, 0.2],
    [1e308, 1e308],
    [5e-324, 1.5],
    [-3, 7],
    [2 ** 60, -1],
  ])("computes with %d and %d as JavaScript does", (a, b) => {
    const ctx = new context.FloatContext();
    const results = [sse.add, sse.subtract, sse.multiply, sse.divide].map((operation) =>
      number64(operation(ctx, BINARY64, bits64(a), bits64(b))),
    );
    expect(results).toEqual([a + b, a - b, a * b, a / b]);
  });

  test("gives back the second operand when a minimum has a NaN or two zeros", () => {
    const ctx = new context.FloatContext();
    expect(number64(sse.minimum(ctx, BINARY64, bits64(Number.NaN), bits64(5)))).toBe(5);
    expect(ctx.flags).toBe(context.INVALID);
    expect(number64(sse.minimum(ctx, BINARY64, bits64(-0), bits64(0)))).toBe(0);
  });

  test("flushes tiny results to zero where MXCSR asks for it", () => {
    const ctx = new context.FloatContext();
    ctx.useMxcsr(0x9f80);
    expect(number64(sse.multiply(ctx, BINARY64, bits64(-1e-300), bits64(1e-300)))).toBe(-0);
    expect(ctx.flags).toBe(context.UNDERFLOW | context.PRECISION);
  });

  test("takes denormals for zeros where MXCSR asks for it, without a flag", () => {
    const ctx = new context.FloatContext();
    ctx.useMxcsr(0x1fc0);
    expect(number64(sse.add(ctx, BINARY64, bits64(5e-324), bits64(0)))).toBe(0);
    expect(ctx.flags).toBe(0);
  });

  test("drops an element's flags of computing when another's operands were refused", () => {
    const ctx = new context.FloatContext();
    ctx.useMxcsr(0x1f80 & ~(context.ZERO_DIVIDE << 7));
    ctx.begin();
    sse.divide(ctx, BINARY32, 0x3f80_0000n, 0x4040_0000n);
    sse.divide(ctx, BINARY32, 0x3f80_0000n, 0n);
    expect(ctx.complete()).toBe(context.ZERO_DIVIDE);
    expect(ctx.flags).toBe(context.ZERO_DIVIDE);
  });

  test("converts what does not fit to the integer indefinite", () => {
    const ctx = new context.FloatContext();
    expect(sse.convertToInteger(ctx, BINARY64, bits64(2 ** 31), 32)).toBe(-(2n ** 31n));
    expect(ctx.flags).toBe(context.INVALID);
  });
});

describe("x87", () => {
  test("rounds to the precision that the control word sets, and tells the direction", () => {
    const ctx = withControlWord(0x007f);
    const third = divide(ctx, EXTENDED, operand(1), operand(3));
    expect(third.significand).toBe(0xaaaa_ab00_0000_0000n);
    expect(ctx.roundedUp).toBe(true);
    expect(ctx.flags).toBe(context.PRECISION);
  });

  test("adjusts the exponent of a result that overflows unmasked", () => {
    const ctx = withControlWord(0x0377);
    const largest = unpackExtended(0x7ffe, 1n << 63n);
    const product = multiply(ctx, EXTENDED, largest, largest);
    expect(product.exponent).toBe(2 * 0x7ffe - 0x3fff - 24576);
    expect(ctx.complete()).toBe(context.OVERFLOW);
    expect(ctx.keepsDestination(false)).toBe(false);
    expect(ctx.keepsDestination(true)).toBe(true);
  });

  test("chooses the NaN with the larger significand, and quiets it", () => {
    const ctx = withControlWord(0x037f);
    const small = unpackExtended(0x7fff, (1n << 63n) | 1n);
    const large = unpackExtended(0x7fff, (1n << 63n) | 2n);
    expect(add(ctx, EXTENDED, small, large).significand).toBe((3n << 62n) | 2n);
    expect(ctx.flags).toBe(context.INVALID);
  });

  test.each([
    ["an unnormal", 5, 1n],
    ["a pseudo-infinity", 0x7fff, 0n],
    ["a pseudo-NaN", 0x7fff, 1n],
  ])("refuses %s", (_name, high, significand) => {
    const ctx = withControlWord(0x037f);
    const result = squareRoot(ctx, EXTENDED, unpackExtended(high, significand));
    expect(signExponent(result)).toBe(0xffff);
    expect(result.significand).toBe(3n << 62n);
    expect(ctx.flags).toBe(context.INVALID);
  });

  test("tells quiet comparisons of quiet NaNs from others", () => {
    const ctx = withControlWord(0x037f);
    const nan = operand(Number.NaN);
    expect(compare(ctx, nan, operand(1), true)).toBe(UNORDERED);
    expect(ctx.flags).toBe(0);
    expect(compare(ctx, nan, operand(1), false)).toBe(UNORDERED);
    expect(ctx.flags).toBe(context.INVALID);
  });

  test("gives the quotient's low bits with a complete remainder only", () => {
    const ctx = withControlWord(0x037f);
    const complete = x87.remainder(ctx, operand(17), operand(3), "truncate");
    expect(
      number64(
        x87.store(
          ctx,
          BINARY64,
          unpackExtended(signExponent(complete.value), complete.value.significand),
        ),
      ),
    ).toBe(2);
    expect(complete.conditions).toBe(x87.C0 | x87.C1);
    const partial = x87.remainder(ctx, operand(2 ** 100), operand(3), "truncate");
    expect(partial.conditions).toBe(x87.C2);
  });

  test("stores integers and decimals in the current rounding mode", () => {
    const ctx = withControlWord(0x0b7f);
    expect(toInteger(ctx, operand(2.25), 16)).toBe(3n);
    expect(x87.storeDecimal(ctx, operand(-12.75))).toBe((1n << 79n) | 0x12n);
    expect(x87.storeDecimal(ctx, operand(1e18))).toBe(0xffff_c000_0000_0000_0000n);
  });

  test("reduces angles by a π of 66 bits", () => {
    const ctx = withControlWord(0x037f);
    const pi = x87.constant(ctx, "pi");
    const result = sine(ctx, unpackExtended(signExponent(pi), pi.significand));
    expect(result).toEqual({ sign: 1, exponent: 16383 - 64, significand: 1n << 63n });
  });

  test("leaves angles of 2^63 and more alone", () => {
    const ctx = withControlWord(0x037f);
    expect(sine(ctx, operand(2 ** 63))).toBeUndefined();
    expect(sine(ctx, operand(2 ** 62))).toBeDefined();
  });
});
