import { describe, expect, test } from "vitest";
import { DATA } from "../../conformance/environment.ts";
import { mmx, run, setXmm, xmm } from "./snippets.ts";

const RAX = 0;
const A = "aaaaaaa3 aaaaaaa2 aaaaaaa1 aaaaaaa0";
const B = "bbbbbbb3 bbbbbbb2 bbbbbbb1 bbbbbbb0";
const COUNTING = "0f0e0d0c 0b0a0908 07060504 03020100";

const combine = (code: string, first: string, second: string): string =>
  xmm(
    run(code, (state) => {
      setXmm(state, 0, first);
      setXmm(state, 1, second);
    }),
    0,
  );

describe("shuffles", () => {
  test("take lanes by the immediate's selectors", () => {
    expect(combine("66 0f 70 c1 1b", A, B)).toBe("bbbbbbb0 bbbbbbb1 bbbbbbb2 bbbbbbb3");
    expect(combine("0f c6 c1 1b", A, B)).toBe("bbbbbbb0 bbbbbbb1 aaaaaaa2 aaaaaaa3");
    expect(combine("66 0f c6 c1 01", A, B)).toBe("bbbbbbb1 bbbbbbb0 aaaaaaa3 aaaaaaa2");
    expect(combine("f2 0f 70 c1 1b", A, COUNTING)).toBe("0f0e0d0c 0b0a0908 01000302 05040706");
    expect(combine("f3 0f 70 c1 1b", A, COUNTING)).toBe("09080b0a 0d0c0f0e 07060504 03020100");
  });

  test("PSHUFB takes bytes by index, or zero", () => {
    expect(combine("66 0f 38 00 c1", COUNTING, "80000000 00000000 00000000 0f8f1e01")).toBe(
      "00000000 00000000 00000000 0f000e01",
    );
  });

  test("PALIGNR takes from both registers, and zeros behind them", () => {
    expect(combine("66 0f 3a 0f c1 04", A, B)).toBe("aaaaaaa0 bbbbbbb3 bbbbbbb2 bbbbbbb1");
    expect(combine("66 0f 3a 0f c1 14", A, B)).toBe("00000000 aaaaaaa3 aaaaaaa2 aaaaaaa1");
    expect(combine("66 0f 3a 0f c1 20", A, B)).toBe("00000000 00000000 00000000 00000000");
  });
});

describe("packs and blends", () => {
  test("packs saturate", () => {
    expect(combine("66 0f 67 c1", "0100 00ff ffff 0000", "0000")).toBe(
      "00000000 00000000 00000000 ffff0000",
    );
    expect(combine("66 0f 38 2b c1", "00010000 ffffffff", "0000ffff")).toBe(
      "00000000 0000ffff 00000000 ffff0000",
    );
  });

  test("MMX packs four words of each", () => {
    const result = run("0f 63 c1", (state) => {
      state.st(0).set([1, 0, 2, 0, 3, 0, 0, 0x7f]);
      state.st(1).set([5, 0, 6, 0, 7, 0, 0, 0x80]);
    });
    expect(mmx(result, 0)).toBe("800706057f030201");
  });

  test("blends choose by immediate, or by signs in XMM0", () => {
    expect(combine("66 0f 3a 0c c1 05", A, B)).toBe("aaaaaaa3 bbbbbbb2 aaaaaaa1 bbbbbbb0");
    expect(combine("66 0f 3a 0d c1 02", A, B)).toBe("bbbbbbb3 bbbbbbb2 aaaaaaa1 aaaaaaa0");
    const bySign = run("66 0f 38 14 d1", (state) => {
      setXmm(state, 0, "80000000 7fffffff ffffffff 00000000");
      setXmm(state, 1, B);
      setXmm(state, 2, A);
    });
    expect(xmm(bySign, 2)).toBe("bbbbbbb3 aaaaaaa2 bbbbbbb1 aaaaaaa0");
  });
});

describe("insertions and extractions", () => {
  test("take the lane's number modulo the lanes", () => {
    const inserted = run("66 0f c4 c0 0a", (state) => {
      setXmm(state, 0, A);
      state.setGpr(RAX, 0x1234n);
    });
    expect(xmm(inserted, 0)).toBe("aaaaaaa3 aaaaaaa2 aaaa1234 aaaaaaa0");
    const extracted = run("66 0f 3a 14 c0 13", (state) => {
      setXmm(state, 0, COUNTING);
      state.setGpr(RAX, -1n & 0xffff_ffff_ffff_ffffn);
    });
    expect(extracted.state.gpr(RAX)).toBe(3n);
  });

  test("INSERTPS chooses source lane, place and zeros; memory has one lane", () => {
    expect(combine("66 0f 3a 21 c1 d8", A, B)).toBe("00000000 aaaaaaa2 bbbbbbb3 aaaaaaa0");
    const fromMemory = run("66 0f 3a 21 00 d8", (state) => {
      setXmm(state, 0, A);
      state.data.set([1, 2, 3, 4]);
      state.setGpr(RAX, BigInt(DATA));
    });
    expect(xmm(fromMemory, 0)).toBe("00000000 aaaaaaa2 04030201 aaaaaaa0");
  });
});
