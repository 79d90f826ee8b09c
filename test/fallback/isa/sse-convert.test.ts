import { describe, expect, test } from "vitest";
import { double, mmx, run, setXmm, single, xmm } from "./snippets.ts";

const RAX = 0;
const INVALID = 1;
const PRECISION = 32;
const ALL = 0xffff_ffff_ffff_ffffn;

/** To EAX or RAX from XMM0: the register, and MXCSR's flags. */
function toInteger(code: string, value: string): [bigint, number] {
  const { state } = run(code, (before) => {
    before.setGpr(RAX, ALL);
    setXmm(before, 0, value);
  });
  return [state.gpr(RAX), state.mxcsr & 63];
}

const CVTTSD2SI = "f2 0f 2c c0";
const CVTTSD2SI_64 = "f2 48 0f 2c c0";
const CVTSD2SI = "f2 0f 2d c0";

describe("conversions to integers", () => {
  test("truncate, or round to the nearest even", () => {
    expect(toInteger(CVTTSD2SI, double(-2.5))).toEqual([0xffff_fffen, PRECISION]);
    expect(toInteger(CVTSD2SI, double(3.5))).toEqual([4n, PRECISION]);
    expect(toInteger(CVTSD2SI, double(2.5))).toEqual([2n, PRECISION]);
    expect(toInteger(CVTTSD2SI, double(7))).toEqual([7n, 0]);
  });

  test("what does not fit is the integer indefinite", () => {
    for (const value of [double(2 ** 31), double(Number.NaN), double(-Infinity)]) {
      expect(toInteger(CVTTSD2SI, value)).toEqual([0x8000_0000n, INVALID]);
    }
    expect(toInteger(CVTTSD2SI_64, double(2 ** 63))).toEqual([1n << 63n, INVALID]);
    expect(toInteger(CVTTSD2SI_64, double(2 ** 31))).toEqual([1n << 31n, 0]);
  });

  test("the most negative integer is a result like others", () => {
    expect(toInteger(CVTTSD2SI, double(-(2 ** 31)))).toEqual([0x8000_0000n, 0]);
    expect(toInteger(CVTTSD2SI_64, double(-(2 ** 63)))).toEqual([1n << 63n, 0]);
  });

  test("packed ones clear what they do not fill", () => {
    const result = run("f2 0f e6 c0", (state) => setXmm(state, 0, double(1e10) + double(-7)));
    expect(xmm(result, 0)).toBe("00000000 00000000 80000000 fffffff9");
    expect(result.state.mxcsr & 63).toBe(INVALID);
  });
});

describe("conversions from integers", () => {
  test("say when 64 bits are too many", () => {
    const convert = (value: bigint) =>
      run("f2 48 0f 2a c0", (state) => state.setGpr(RAX, BigInt.asUintN(64, value)));
    expect(xmm(convert(-3n), 0).replaceAll(" ", "").slice(16)).toBe(double(-3));
    expect(convert(-3n).state.mxcsr & 63).toBe(0);
    expect(convert((1n << 53n) + 1n).state.mxcsr & 63).toBe(PRECISION);
    expect(convert((1n << 63n) - 1n).state.mxcsr & 63).toBe(PRECISION);
    expect(
      xmm(convert((1n << 63n) - 1n), 0)
        .replaceAll(" ", "")
        .slice(16),
    ).toBe(double(2 ** 63));
  });

  test("of 32 bits to single precision round", () => {
    const result = run("0f 5b c0", (state) => setXmm(state, 0, "7fffffff 80000000 00000001"));
    expect(xmm(result, 0)).toBe(`00000000 ${single(2 ** 31)} ${single(-(2 ** 31))} ${single(1)}`);
    expect(result.state.mxcsr & 63).toBe(PRECISION);
  });
});

describe("conversions between precisions", () => {
  test("keep what fits of a NaN, and make it quiet", () => {
    const result = run("f2 0f 5a c0", (state) => setXmm(state, 0, "fff0000020000000"));
    expect(xmm(result, 0)).toBe("00000000 00000000 fff00000 ffc00001");
    expect(result.state.mxcsr & 63).toBe(INVALID);
  });
});

describe("conversions with MMX registers", () => {
  test("go to the low elements, and count as MMX", () => {
    const result = run("0f 2d c0", (state) => {
      setXmm(state, 0, single(-2) + single(100));
      state.statusWord = 3 << 11;
    });
    expect(mmx(result, 0)).toBe("fffffffe00000064");
    expect(result.state.statusWord).toBe(0);
    expect(result.state.tagWord).toBe(0xff);
  });
});

describe("rounding to integers", () => {
  const round = (control: string, value: number, mxcsr = 0x1f80) => {
    const result = run(`66 0f 3a 0b c0 ${control}`, (state) => {
      setXmm(state, 0, double(value));
      state.mxcsr = mxcsr;
    });
    return [xmm(result, 0).replaceAll(" ", "").slice(16), result.state.mxcsr & 63];
  };

  test("goes where the immediate or MXCSR says", () => {
    expect(round("00", 2.5)).toEqual([double(2), PRECISION]);
    expect(round("01", -2.5)).toEqual([double(-3), PRECISION]);
    expect(round("02", -2.5)).toEqual([double(-2), PRECISION]);
    expect(round("03", 2.9)).toEqual([double(2), PRECISION]);
    expect(round("04", 2.1, 0x5f80)).toEqual([double(3), PRECISION]);
    expect(round("08", 2.5)).toEqual([double(2), 0]);
    expect(round("00", -0.4)).toEqual([double(-0), PRECISION]);
  });
});

describe("approximations", () => {
  test("have twelve bits, and raise nothing", () => {
    const result = run("f3 0f 53 c0", (state) => setXmm(state, 0, single(3)));
    expect(xmm(result, 0)).toMatch(/ 3eaaa000$/);
    expect(result.state.mxcsr & 63).toBe(0);
    const root = run("f3 0f 52 c0", (state) => setXmm(state, 0, single(4)));
    expect(xmm(root, 0)).toMatch(/ 3efff000$/);
  });
});
