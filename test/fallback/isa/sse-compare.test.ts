import { describe, expect, test } from "vitest";
import { double, run, setXmm, single, xmm } from "./snippets.ts";

const QUIET_NAN = "7ff8000000000001";
const FLAGS = 0x8d5n;
const UNORDERED = 0x45n;
const LESS = 0x01n;
const EQUAL = 0x40n;

/** An instruction on XMM0 and XMM1: EFLAGS and MXCSR's flags. */
function compare(code: string, first: string, second: string): [bigint, number] {
  const { state } = run(code, (before) => {
    before.rflags = FLAGS;
    setXmm(before, 0, first);
    setXmm(before, 1, second);
  });
  return [state.rflags & FLAGS, state.mxcsr & 63];
}

const COMISD = "66 0f 2f c1";
const UCOMISD = "66 0f 2e c1";

describe("comparisons into EFLAGS", () => {
  test("tell less, equal and greater", () => {
    expect(compare(UCOMISD, double(1), double(2))).toEqual([LESS, 0]);
    expect(compare(UCOMISD, double(-0), double(0))).toEqual([EQUAL, 0]);
    expect(compare(UCOMISD, double(2), double(1))).toEqual([0n, 0]);
    expect(compare("0f 2e c1", single(-1), single(1))).toEqual([LESS, 0]);
  });

  test("NaNs are unordered, and invalid for COMISD only", () => {
    expect(compare(UCOMISD, QUIET_NAN, double(1))).toEqual([UNORDERED, 0]);
    expect(compare(COMISD, QUIET_NAN, double(1))).toEqual([UNORDERED, 1]);
  });
});

describe("comparisons into masks", () => {
  const masks = (first: string, second: string): string[] =>
    [0, 1, 2, 3, 4, 5, 6, 7].map((predicate) => {
      const result = run(`f2 0f c2 c1 0${predicate}`, (state) => {
        setXmm(state, 0, first);
        setXmm(state, 1, second);
      });
      return xmm(result, 0).slice(18, 19);
    });

  test("by the eight predicates", () => {
    const [no, yes] = ["0", "f"];
    // EQ, LT, LE, UNORD, NEQ, NLT, NLE, ORD
    expect(masks(double(1), double(2))).toEqual([no, yes, yes, no, yes, no, no, yes]);
    expect(masks(double(2), double(2))).toEqual([yes, no, yes, no, no, yes, no, yes]);
    expect(masks(double(2), QUIET_NAN)).toEqual([no, no, no, yes, yes, yes, yes, no]);
  });
});
