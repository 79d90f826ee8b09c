import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FloatContext } from "../../../fallback/float/context.ts";
import { BINARY32, BINARY64, type Format } from "../../../fallback/float/format.ts";
import { fusedMultiplyAdd } from "../../../fallback/float/sse.ts";
import { double, run, setYmm, single, ymm } from "./snippets.ts";

const DEFAULT_MXCSR = 0x1f80;
const PRECISION = 0x20;
/** Registers 1 and 2 are the factors, 0 is the addend. */
const VFMADD231SD = "c4 e2 f1 b9 c2";
const VFMADD231SS = "c4 e2 71 b9 c2";
const VFMADD231PD = "c4 e2 f5 b8 c2";
const VFMADD231PS = "c4 e2 75 b8 c2";

interface Outcome {
  /** Of YMM0, the highest digits first. */
  readonly sum: string;
  readonly flags: number;
}

/** @param a, b, c the factors and the addend */
function fuse(code: string, a: string, b: string, c: string, mxcsr = DEFAULT_MXCSR): Outcome {
  const result = run(code, (state) => {
    for (const [register, value] of [c, a, b].entries()) setYmm(state, register, value);
    state.mxcsr = mxcsr;
  });
  expect(result.fault).toBeUndefined();
  return { sum: ymm(result, 0).replaceAll(" ", ""), flags: result.state.mxcsr & 63 };
}

const scalar = (a: number, b: number, c: number, mxcsr = DEFAULT_MXCSR): Outcome => {
  const { sum, flags } = fuse(VFMADD231SD, double(a), double(b), double(c), mxcsr);
  return { sum: sum.slice(-16), flags };
};

describe("fused multiply-add", () => {
  test("rounds once", () => {
    const a = 1 + 2 ** -30;
    // What is lost of the square.
    expect(scalar(a, a, -(a * a))).toEqual({ sum: double(2 ** -60), flags: 0 });
    // A tie of the product, decided by an addend that is much smaller; and without it.
    const [b, c] = [1 + 2 ** -26, 1 + 2 ** -27];
    expect(scalar(b, c, 2 ** -200).sum).toBe(double(1 + 3 * 2 ** -27 + 2 ** -52));
    expect(scalar(b, c, 0).sum).toBe(double(1 + 3 * 2 ** -27));
    expect(scalar(b, c, -(2 ** -200)).flags).toBe(PRECISION);
  });

  test("ties are decided by what the product has lost", () => {
    // Only where results have been inexact before, there is a quick path for such.
    const mxcsr = DEFAULT_MXCSR | PRECISION;
    const [a, b] = [1 + 2 ** -30, 1 - 2 ** -30];
    expect(scalar(a, b, 2 ** 53 + 2, mxcsr).sum).toBe(double(2 ** 53 + 2));
    expect(scalar(a, -b, -(2 ** 53) - 2, mxcsr).sum).toBe(double(-(2 ** 53) - 2));
    const operands = [2 ** 15 + 2 ** -8, 2 ** 15 - 2 ** -8, 2 ** 54 + 2 ** 31].map(single);
    const [x = "", y = "", z = ""] = operands;
    expect(fuse(VFMADD231SS, x, y, z, mxcsr).sum.slice(-8)).toBe(z);
  });

  test("zeros have the sign of a sum of zeros", () => {
    expect(scalar(-0, 1, -0).sum).toBe(double(-0));
    expect(scalar(-0, 1, 0).sum).toBe(double(0));
    expect(scalar(3, 5, -15).sum).toBe(double(0));
  });

  test("products without end are nothing special as long as the sum has one", () => {
    expect(scalar(2 ** 1023, 2, -(2 ** 1023))).toEqual({ sum: double(2 ** 1023), flags: 0 });
  });
});

/** What makes sums exact, or ties, or little of the product. */
const numbers = (size: number) =>
  fc
    .tuple(fc.integer({ min: -4096, max: 4096 }), fc.integer({ min: -size, max: size }))
    .map(([digits, exponent]) => digits * 2 ** exponent);

describe.each([
  { code: VFMADD231PD, format: BINARY64, bits: 64, size: 60, bitsOf: double },
  { code: VFMADD231PS, format: BINARY32, bits: 32, size: 24, bitsOf: single },
])("the quick path of $code", ({ code, format, bits, size, bitsOf }) => {
  const context = new FloatContext();
  const operand = fc.oneof(
    numbers(size).map(bitsOf),
    fc.double({ noNaN: true }).map(bitsOf),
    fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n }).map((value) => value.toString(16)),
  );
  const number = (digits: string): bigint => BigInt(`0x${digits}`);

  const exactly = (of: Format, [a, b, c]: readonly string[], mxcsr: number): string => {
    context.useMxcsr(mxcsr);
    const operands = [number(a ?? ""), number(b ?? ""), number(c ?? "")] as const;
    return fusedMultiplyAdd(context, of, operands, 0, 0)
      .toString(16)
      .padStart(bits / 4, "0");
  };

  test("agrees with the exact one, and so do the flags", () => {
    const element = fc.tuple(operand, operand, operand).chain(([a, b, c]) => {
      const [x, y] = [a, b].map((digits) => {
        const view = new DataView(new ArrayBuffer(8));
        view.setBigUint64(0, number(digits) << BigInt(64 - bits));
        return bits === 64 ? view.getFloat64(0) : view.getFloat32(0);
      });
      const product = -(x ?? 0) * (y ?? 0);
      const near = Number.isNaN(product) ? c : bitsOf(product);
      return fc.constantFrom([a, b, c], [a, b, near]);
    });
    const elements = fc.array(element, { minLength: 256 / bits, maxLength: 256 / bits });
    const mxcsrs = fc.constantFrom(DEFAULT_MXCSR, DEFAULT_MXCSR | PRECISION);
    fc.assert(
      fc.property(elements, mxcsrs, (each, mxcsr) => {
        context.begin();
        const expected = each.map((operands) => exactly(format, operands, mxcsr)).join("");
        const column = (n: number) =>
          each.map((operands) => (operands[n] ?? "").padStart(bits / 4, "0")).join("");
        const { sum, flags } = fuse(code, column(0), column(1), column(2), mxcsr);
        expect(sum).toBe(expected);
        expect(flags).toBe(context.flags | (mxcsr & 63));
      }),
      { numRuns: 300 },
    );
  });
});
