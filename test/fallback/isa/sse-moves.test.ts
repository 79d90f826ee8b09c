import { describe, expect, test } from "vitest";
import { DATA } from "../../conformance/environment.ts";
import { mmx, run, setXmm, xmm } from "./snippets.ts";

const RAX = 0;
const RDI = 7;
const ONES = "ffffffff ffffffff ffffffff ffffffff";
const COUNTING = "0f0e0d0c 0b0a0908 07060504 03020100";

const inMemory = (state: { setGpr(n: number, value: bigint): void }, offset = 0): void =>
  state.setGpr(RAX, BigInt(DATA + offset));

describe("moves of XMM registers", () => {
  test("a scalar from a register leaves the rest of the destination", () => {
    const result = run("f3 0f 10 c1", (state) => {
      setXmm(state, 0, ONES);
      setXmm(state, 1, COUNTING);
    });
    expect(xmm(result, 0)).toBe("ffffffff ffffffff ffffffff 03020100");
  });

  test("a scalar from memory clears the rest of the destination", () => {
    const result = run("f2 0f 10 00", (state) => {
      setXmm(state, 0, ONES);
      state.data.set([1, 2, 3, 4, 5, 6, 7, 8]);
      inMemory(state);
    });
    expect(xmm(result, 0)).toBe("00000000 00000000 08070605 04030201");
  });

  test("MOVQ and MOVD clear the rest of an XMM register", () => {
    const fromRegister = run("66 48 0f 6e c0", (state) => {
      setXmm(state, 0, ONES);
      state.setGpr(RAX, 0x1122_3344_5566_7788n);
    });
    expect(xmm(fromRegister, 0)).toBe("00000000 00000000 11223344 55667788");
    const toItself = run("66 0f d6 c0", (state) => setXmm(state, 0, ONES));
    expect(xmm(toItself, 0)).toBe("00000000 00000000 ffffffff ffffffff");
  });

  test("halves move to halves", () => {
    const prepare = (state: Parameters<typeof setXmm>[0]): void => {
      setXmm(state, 0, ONES);
      setXmm(state, 1, COUNTING);
    };
    expect(xmm(run("0f 12 c1", prepare), 0)).toBe("ffffffff ffffffff 0f0e0d0c 0b0a0908");
    expect(xmm(run("0f 16 c1", prepare), 0)).toBe("07060504 03020100 ffffffff ffffffff");
  });

  test("aligned moves raise #GP(0) for other addresses, unaligned ones do not", () => {
    const prepare = (state: Parameters<typeof inMemory>[0]): void => inMemory(state, 1);
    expect(run("0f 28 00", prepare).fault).toEqual({ vector: 13, errorCode: 0 });
    expect(run("66 0f 7f 00", prepare).fault).toEqual({ vector: 13, errorCode: 0 });
    expect(run("0f 10 00", prepare).fault).toBeUndefined();
    expect(run("66 0f fe 00", prepare).fault).toEqual({ vector: 13, errorCode: 0 });
  });

  test("sign bits become a mask", () => {
    const result = run("66 0f d7 c0", (state) => {
      setXmm(state, 0, "80000000 00000000 00000000 00008080");
      state.setGpr(RAX, -1n & 0xffff_ffff_ffff_ffffn);
    });
    expect(result.state.gpr(RAX)).toBe(0x8003n);
  });

  test("a masked move writes the selected bytes only", () => {
    const result = run("66 0f f7 c1", (state) => {
      setXmm(state, 0, COUNTING);
      setXmm(state, 1, "80000000 00000000 00000000 00008000");
      state.setGpr(RDI, BigInt(DATA));
      state.data.fill(0x55, 0, 16);
    });
    const expected = new Uint8Array(16).fill(0x55);
    expected[1] = 1;
    expected[15] = 15;
    expect(result.state.data.slice(0, 16)).toEqual(expected);
  });
});

describe("MMX registers", () => {
  const TOP_5 = 5 << 11;

  test("writing one makes it a NaN of x87, all registers valid and the top 0", () => {
    const result = run("0f 6e c8", (state) => {
      state.setGpr(RAX, 0x89ab_cdefn);
      state.statusWord = TOP_5;
    });
    expect(mmx(result, 1)).toBe("0000000089abcdef");
    expect([...result.state.st(1).subarray(8)]).toEqual([0xff, 0xff]);
    expect(result.state.tagWord).toBe(0xff);
    expect(result.state.statusWord).toBe(0);
  });

  test("are the physical registers, whatever x87's top was", () => {
    const result = run("0f 6f c2", (state) => {
      state.statusWord = TOP_5;
      // Register 2 is ST(5) when register 5 is ST(0).
      state.st(5).set([1, 2, 3, 4, 5, 6, 7, 8]);
    });
    expect(mmx(result, 0)).toBe("0807060504030201");
  });

  test("EMMS empties them all", () => {
    const result = run("0f 77", (state) => {
      state.tagWord = 0xff;
    });
    expect(result.state.tagWord).toBe(0);
  });

  test("a pending exception of x87 comes first", () => {
    const result = run("0f 6e c8", (state) => {
      state.controlWord = 0x37e;
      state.statusWord = 0x8081;
    });
    expect(result.fault).toEqual({ vector: 16 });
  });
});
