import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  approximateReciprocal,
  approximateReciprocalRoot,
} from "../../../fallback/float/approximation.ts";
import { FloatContext } from "../../../fallback/float/context.ts";
import { BINARY32, BINARY64 } from "../../../fallback/float/format.ts";
import * as exact from "../../../fallback/float/sse.ts";
import { double, run, setXmm, single, xmm } from "./snippets.ts";

const INVALID = 1;
const DENORMAL = 2;
const ZERO_DIVIDE = 4;
const UNDERFLOW = 16;
const PRECISION = 32;
const DEFAULT_MXCSR = 0x1f80;
/** "Flush to zero" and "denormals are zeros". */
const DENORMALS_GO = 0x8040;
/** And of the other exceptions none. */
const ONLY_INEXACT_MASKED = 0x1000;
const ABOVE = "1111111111111111";

interface Outcome {
  /** Of XMM0, 16 digits. */
  readonly low: string;
  readonly flags: number;
  readonly vector: number | undefined;
}

/** A scalar instruction in double precision on XMM0 and XMM1. */
function scalar(code: string, first: string, second: string, mxcsr = DEFAULT_MXCSR): Outcome {
  const result = run(code, (state) => {
    setXmm(state, 0, ABOVE + first.padStart(16, "0"));
    setXmm(state, 1, second);
    state.mxcsr = mxcsr;
  });
  const [high, middle, ...low] = xmm(result, 0).split(" ");
  expect(`${high}${middle}`).toBe(ABOVE);
  return {
    low: low.join(""),
    flags: result.state.mxcsr & 63,
    vector: result.fault?.vector,
  };
}

const ADDSD = "f2 0f 58 c1";
const SUBSD = "f2 0f 5c c1";
const MULSD = "f2 0f 59 c1";
const DIVSD = "f2 0f 5e c1";
const SQRTSD = "f2 0f 51 c1";
const MINSD = "f2 0f 5d c1";
const QUIET_NAN = "7ff8000000000001";
const OTHER_NAN = "fff8000000000002";
const SIGNALING_NAN = "7ff0000000000003";

describe("floating-point arithmetic", () => {
  test("leaves the flags alone when the result is exact", () => {
    expect(scalar(ADDSD, double(1.5), double(2.25))).toEqual({
      low: double(3.75),
      flags: 0,
      vector: undefined,
    });
    expect(scalar(DIVSD, double(1), double(8)).flags).toBe(0);
    expect(scalar(MULSD, double(3), double(5)).flags).toBe(0);
    expect(scalar(SQRTSD, "0", double(9)).flags).toBe(0);
  });

  test("says when the result is not exact", () => {
    for (const code of [ADDSD, MULSD, DIVSD]) {
      expect(scalar(code, double(0.1), double(0.7)).flags).toBe(PRECISION);
    }
    expect(scalar(SQRTSD, "0", double(2)).flags).toBe(PRECISION);
  });

  test("keeps flags that are there", () => {
    const before = DEFAULT_MXCSR | ZERO_DIVIDE | PRECISION;
    expect(scalar(ADDSD, double(0.1), double(0.7), before).flags).toBe(ZERO_DIVIDE | PRECISION);
  });

  test("rounds as MXCSR says", () => {
    const third = (mode: number): string =>
      scalar(DIVSD, double(1), double(3), DEFAULT_MXCSR | (mode << 13)).low;
    expect([0, 1, 2, 3].map(third)).toEqual([
      "3fd5555555555555",
      "3fd5555555555555",
      "3fd5555555555556",
      "3fd5555555555555",
    ]);
    // The difference of equal numbers is -0 when rounding down.
    expect(scalar(SUBSD, double(1), double(1), DEFAULT_MXCSR | (1 << 13)).low).toBe(double(-0));
  });

  test("the first operand's NaN wins, and becomes quiet", () => {
    expect(scalar(ADDSD, QUIET_NAN, OTHER_NAN)).toMatchObject({ low: QUIET_NAN, flags: 0 });
    expect(scalar(ADDSD, double(1), OTHER_NAN).low).toBe(OTHER_NAN);
    expect(scalar(ADDSD, SIGNALING_NAN, OTHER_NAN)).toMatchObject({
      low: "7ff8000000000003",
      flags: INVALID,
    });
  });

  test("invalid operations give the default NaN, which is negative", () => {
    expect(scalar(DIVSD, "0", "0")).toMatchObject({ low: "fff8000000000000", flags: INVALID });
    expect(scalar(SQRTSD, "0", double(-1))).toMatchObject({
      low: "fff8000000000000",
      flags: INVALID,
    });
  });

  test("dividing by zero gives infinity and its own flag", () => {
    expect(scalar(DIVSD, double(-1), "0")).toMatchObject({
      low: double(Number.NEGATIVE_INFINITY),
      flags: ZERO_DIVIDE,
    });
  });

  test("denormals are noticed, or taken for zeros", () => {
    expect(scalar(ADDSD, "1", double(0))).toMatchObject({
      low: "0000000000000001",
      flags: DENORMAL,
    });
    const daz = DEFAULT_MXCSR | 0x40;
    expect(scalar(ADDSD, "1", double(0), daz)).toMatchObject({ low: double(0), flags: 0 });
  });

  test("tiny results are denormals, or flushed to zero", () => {
    const tiny = double(2 ** -1022);
    const tenth = double(0.1);
    expect(scalar(MULSD, tiny, tenth).flags).toBe(UNDERFLOW | PRECISION);
    const flush = DEFAULT_MXCSR | 0x8000;
    expect(scalar(MULSD, tiny, tenth, flush)).toMatchObject({
      low: double(0),
      flags: UNDERFLOW | PRECISION,
    });
  });

  test("an unmasked exception leaves the destination as it was", () => {
    const unmasked = DEFAULT_MXCSR & ~(ZERO_DIVIDE << 7);
    expect(scalar(DIVSD, double(1), "0", unmasked)).toEqual({
      low: double(1),
      flags: ZERO_DIVIDE,
      vector: 19,
    });
  });

  test("minimum and maximum return the second of two zeros, and of NaNs", () => {
    expect(scalar(MINSD, double(-0), double(0)).low).toBe(double(0));
    expect(scalar(MINSD, double(0), double(-0)).low).toBe(double(-0));
    expect(scalar(MINSD, QUIET_NAN, double(1))).toMatchObject({ low: double(1), flags: INVALID });
    expect(scalar(MINSD, double(1), SIGNALING_NAN).low).toBe(SIGNALING_NAN);
  });

  test("packed operations raise the flags of all elements", () => {
    const result = run("0f 5e c1", (state) => {
      setXmm(state, 0, [1, 0, 1, 6].map(single).join(""));
      setXmm(state, 1, [3, 0, 0, 2].map(single).join(""));
    });
    expect(xmm(result, 0)).toBe(`${single(1 / 3)} ffc00000 7f800000 ${single(3)}`);
    expect(result.state.mxcsr & 63).toBe(PRECISION | INVALID | ZERO_DIVIDE);
  });

  test("ADDSUBPD subtracts low and adds high", () => {
    const result = run("66 0f d0 c1", (state) => {
      setXmm(state, 0, double(5) + double(5));
      setXmm(state, 1, double(3) + double(3));
    });
    expect(xmm(result, 0).replaceAll(" ", "")).toBe(double(8) + double(2));
  });
});

describe("the quick path", () => {
  const context = new FloatContext();
  const bits = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  /** Of moderate size, and with few digits, so that exact results are frequent. */
  const simple = fc
    .tuple(fc.integer({ min: -4096, max: 4096 }), fc.integer({ min: -60, max: 60 }))
    .map(([digits, exponent]) => BigInt(`0x${double(digits * 2 ** exponent)}`));
  const operand = fc.oneof(
    simple,
    fc.double().map((value) => BigInt(`0x${double(value)}`)),
    bits,
  );
  const mxcsrs = fc.constantFrom(
    ...[DEFAULT_MXCSR, DEFAULT_MXCSR | PRECISION],
    ...[DEFAULT_MXCSR | DENORMALS_GO, DEFAULT_MXCSR | DENORMALS_GO | PRECISION],
    ...[ONLY_INEXACT_MASKED, ONLY_INEXACT_MASKED | PRECISION],
  );

  const agrees = (code: string, operation: exact.BinaryOperation): void => {
    fc.assert(
      fc.property(operand, operand, mxcsrs, (a, b, mxcsr) => {
        context.useMxcsr(mxcsr);
        context.begin();
        const expected = operation(context, BINARY64, a, b);
        const traps = context.complete() !== 0;
        const { low, flags, vector } = scalar(code, a.toString(16), b.toString(16), mxcsr);
        expect(vector).toBe(traps ? 19 : undefined);
        expect(low).toBe((traps ? a : expected).toString(16).padStart(16, "0"));
        expect(flags).toBe(context.flags | (mxcsr & 63));
      }),
      { numRuns: 500 },
    );
  };

  test.each([
    ["adds", ADDSD, exact.add],
    ["subtracts", SUBSD, exact.subtract],
    ["multiplies", MULSD, exact.multiply],
    ["divides", DIVSD, exact.divide],
    ["takes minima", MINSD, exact.minimum],
  ] as const)("%s as the exact one does, with the same flags", (_name, code, operation) => {
    agrees(code, operation);
  });

  test("takes square roots as the exact one does, with the same flags", () => {
    agrees(SQRTSD, (ctx, format, _a, b) => exact.squareRoot(ctx, format, b));
  });

  test.each([
    ["RCPPS", "0f 53 c1", approximateReciprocal],
    ["RSQRTPS", "0f 52 c1", approximateReciprocalRoot],
  ] as const)("approximates as the exact one of %s does", (_name, code, approximate) => {
    // Each interval of operands once, and what is at the ends of them, with any exponent.
    for (let interval = 0; interval < 2048; interval++) {
      const exponent = (interval * 37) & 0xff;
      const first = (exponent << 23) | (interval << 12);
      const operands = [first, first | 0xfff, first ^ 0x80_0000, first | 0x8000_0000];
      const digits = (value: bigint) => value.toString(16).padStart(8, "0");
      const each = operands.map((bits) => BigInt(bits >>> 0));
      const result = run(code, (state) => setXmm(state, 1, each.map(digits).join("")));
      expect(xmm(result, 0)).toBe(each.map((bits) => digits(approximate(bits))).join(" "));
    }
  });

  test("agrees on packed single precision", () => {
    const element = fc.oneof(
      fc.float().map((value) => BigInt(`0x${single(value)}`)),
      fc.integer({ min: -64, max: 64 }).map((value) => BigInt(`0x${single(value / 8)}`)),
      fc.bigInt({ min: 0n, max: 0xffff_ffffn }),
    );
    const four = fc.array(element, { minLength: 4, maxLength: 4 });
    const text = (elements: readonly bigint[]): string =>
      [...elements]
        .reverse()
        .map((value) => value.toString(16).padStart(8, "0"))
        .join(" ");
    fc.assert(
      fc.property(four, four, mxcsrs, (a, b, mxcsr) => {
        context.useMxcsr(mxcsr);
        context.begin();
        const expected = a.map((value, at) =>
          exact.multiply(context, BINARY32, value, b[at] as bigint),
        );
        const result = run("0f 59 c1", (state) => {
          setXmm(state, 0, text(a));
          setXmm(state, 1, text(b));
          state.mxcsr = mxcsr;
        });
        expect(xmm(result, 0)).toBe(text(context.complete() === 0 ? expected : a));
        expect(result.state.mxcsr).toBe(mxcsr | context.flags);
      }),
      { numRuns: 500 },
    );
  });
});
