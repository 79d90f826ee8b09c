import { describe, expect, test } from "vitest";
import type { CpuState } from "../../conformance/cpu-state.ts";
import { DATA, DATA_SIZE } from "../../conformance/environment.ts";
import { double, run, setYmm, single, xmm, ymm } from "./snippets.ts";

const singles = (...values: number[]): string => values.map(single).join(" ");
const doubles = (...values: number[]): string => values.map(double).join("");
const OLD = "11".repeat(32);
const RAX = 0;
const PRECISION = 0x20;
const INVALID = 1;

/** Each register with what is given, the first of them number 0. */
const registers =
  (...values: string[]) =>
  (state: CpuState): void =>
    values.forEach((value, n) => {
      setYmm(state, n, value);
    });

describe("floating point with VEX prefixes", () => {
  test("computes eight elements of two sources, and leaves the sources alone", () => {
    const a = singles(1, 2, 3, 4, 5, 6, 7, 8);
    const b = singles(10, 20, 30, 40, 50, 60, 70, 80);
    const result = run("c5 f4 58 c2", registers(OLD, a, b)); // vaddps ymm0, ymm1, ymm2
    expect(ymm(result, 0)).toBe(singles(11, 22, 33, 44, 55, 66, 77, 88));
    expect(ymm(result, 1)).toBe(a);
  });

  test("of 128 bits clears what is above, where SSE keeps it", () => {
    const prepare = registers(singles(9, 9, 9, 9, 1, 2, 3, 4), singles(...Array(8).fill(1)), OLD);
    // vaddps xmm0, xmm0, xmm1 and addps xmm0, xmm1
    expect(ymm(run("c5 f8 58 c1", prepare), 0)).toBe(singles(0, 0, 0, 0, 2, 3, 4, 5));
    expect(ymm(run("0f 58 c1", prepare), 0)).toBe(singles(9, 9, 9, 9, 2, 3, 4, 5));
  });

  test("a scalar has its other elements from the first source", () => {
    const a = `${"0".repeat(32)}${doubles(7, 1)}`;
    // vaddsd xmm0, xmm1, xmm2 and vsqrtss xmm0, xmm1, xmm2
    const sum = run("c5 f3 58 c2", registers(OLD, a, doubles(0, 0, 5, 2)));
    expect(ymm(sum, 0).replaceAll(" ", "")).toBe(doubles(0, 0, 7, 3));
    const root = run("c5 f2 51 c2", registers(OLD, singles(8, 7, 6, 5, 4, 3, 2, 1), singles(9)));
    expect(ymm(root, 0)).toBe(singles(0, 0, 0, 0, 4, 3, 2, 3));
  });

  test("what any element raises is raised, of both halves", () => {
    const prepare = registers(
      OLD,
      singles(0, 1, 1, 1, 1, 1, 1, 1),
      singles(0, 1, 1, 1, 1, 1, 1, 3),
    );
    const result = run("c5 f4 5e c2", prepare); // vdivps ymm0, ymm1, ymm2
    expect(ymm(result, 0)).toBe(`ffc00000 ${singles(1, 1, 1, 1, 1, 1, 1 / 3)}`);
    expect(result.state.mxcsr & 63).toBe(INVALID | PRECISION);
  });

  test("memory need not be aligned, but for VMOVAPS", () => {
    const prepare = (state: CpuState): void => {
      registers(OLD, singles(...Array(8).fill(1)))(state);
      state.setGpr(RAX, BigInt(DATA + 4));
      new Uint8Array(state.data).fill(0, 0, 64);
    };
    expect(run("c5 f4 58 00", prepare).fault).toBeUndefined(); // vaddps ymm0, ymm1, [rax]
    expect(run("c5 fc 28 00", prepare).fault).toMatchObject({ vector: 13 }); // vmovaps ymm0, [rax]
  });

  test("elements meet their neighbours in the same half", () => {
    const prepare = registers(
      OLD,
      singles(1, 2, 3, 4, 5, 6, 7, 8),
      singles(8, 7, 6, 5, 4, 3, 2, 1),
    );
    const result = run("c5 f7 7c c2", prepare); // vhaddps ymm0, ymm1, ymm2
    expect(ymm(result, 0)).toBe(singles(15, 11, 3, 7, 7, 3, 11, 15));
  });

  test("comparisons by the predicates that SSE has not", () => {
    const nan = "7fc00000";
    const a = `${nan} ${singles(1, 2, 3, 4, 5, 6, 7)}`;
    const b = singles(0, 1, 3, 2, 4, 9, 6, 7);
    const compared = (predicate: string) => {
      const result = run(`c5 f4 c2 c2 ${predicate}`, registers(OLD, a, b)); // vcmpps
      const lanes = ymm(result, 0).replaceAll("ffffffff", "1").replaceAll("00000000", "0");
      return [lanes.replaceAll(" ", ""), result.state.mxcsr & 63];
    };
    expect(compared("08")).toEqual(["11001011", 0]); // EQ_UQ
    expect(compared("0d")).toEqual(["01011011", INVALID]); // GE_OS
    expect(compared("1d")).toEqual(["01011011", 0]); // GE_OQ
    expect(compared("0b")).toEqual(["00000000", 0]); // FALSE_OQ
    expect(compared("1f")).toEqual(["11111111", INVALID]); // TRUE_US
  });

  test("conversions change how much of a register there is", () => {
    const narrowed = run("c5 fd 5a c1", registers(OLD, doubles(1, 2, 3, 4))); // vcvtpd2ps xmm0, ymm1
    expect(ymm(narrowed, 0)).toBe(singles(0, 0, 0, 0, 1, 2, 3, 4));
    const widened = run("c5 fc 5a c1", registers(OLD, singles(9, 9, 9, 9, 1, 2, 3, 4)));
    expect(ymm(widened, 0).replaceAll(" ", "")).toBe(doubles(1, 2, 3, 4)); // vcvtps2pd ymm0, xmm1
  });

  test("halves are singles with fewer bits", () => {
    const values = singles(1, -2, 65504, 2 ** -14, 0.1, -0, 1 / 3, 1e6);
    const narrowed = run("c4 e3 7d 1d c8 00", (state) => {
      registers(OLD, values)(state); // vcvtps2ph xmm0, ymm1, 0
    });
    expect(xmm(narrowed, 0)).toBe("3c00c000 7bff0400 2e668000 35557c00");
    const widened = run("c4 e2 7d 13 c1", registers(OLD, xmm(narrowed, 0))); // vcvtph2ps ymm0, xmm1
    expect(ymm(widened, 0)).toBe(
      `${singles(1, -2, 65504, 2 ** -14, 0.0999755859375, -0, 0.333251953125)} 7f800000`,
    );
  });

  test("halves of registers and elements go elsewhere", () => {
    const a = singles(1, 2, 3, 4, 5, 6, 7, 8);
    const b = singles(11, 12, 13, 14, 15, 16, 17, 18);
    // vperm2f128 ymm0, ymm1, ymm2, 0x21; with bit 7: zero; vinsertf128 ymm0, ymm1, xmm2, 1
    const permuted = (control: string) =>
      ymm(run(`c4 e3 75 06 c2 ${control}`, registers(OLD, a, b)), 0);
    expect(permuted("21")).toBe(singles(15, 16, 17, 18, 1, 2, 3, 4));
    expect(permuted("81")).toBe(singles(0, 0, 0, 0, 1, 2, 3, 4));
    const inserted = run("c4 e3 75 18 c2 01", registers(OLD, a, b));
    expect(ymm(inserted, 0)).toBe(singles(15, 16, 17, 18, 5, 6, 7, 8));
    const numbers = "00000007 00000000 0000000a 00000003 00000004 00000005 00000006 00000001";
    const chosen = run("c4 e2 75 16 c2", registers(OLD, numbers, b)); // vpermps ymm0, ymm1, ymm2
    expect(ymm(chosen, 0)).toBe(singles(11, 18, 16, 15, 14, 13, 12, 17));
  });

  test("VZEROUPPER clears the upper halves, VZEROALL everything", () => {
    const prepare = registers(...Array<string>(16).fill(OLD));
    const upper = run("c5 f8 77", prepare);
    expect(ymm(upper, 15).replaceAll(" ", "")).toBe("0".repeat(32) + "1".repeat(32));
    expect(ymm(run("c5 fc 77", prepare), 15).replaceAll(" ", "")).toBe("0".repeat(64));
  });
});

describe("masked moves", () => {
  const END = BigInt(DATA + DATA_SIZE);
  const selected = (...places: number[]): string =>
    [7, 6, 5, 4, 3, 2, 1, 0].map((at) => (places.includes(at) ? "80000000" : "7fffffff")).join(" ");

  test("do not look at what is not selected", () => {
    const prepare = (state: CpuState): void => {
      registers(OLD, selected(0, 1))(state);
      state.setGpr(RAX, END - 8n);
      state.data.set([1, 2, 3, 4, 5, 6, 7, 8], DATA_SIZE - 8);
    };
    const loaded = run("c4 e2 75 2c 00", prepare); // vmaskmovps ymm0, ymm1, [rax]
    expect(loaded.fault).toBeUndefined();
    expect(ymm(loaded, 0)).toBe(`${"00000000 ".repeat(6)}08070605 04030201`);
    const stored = run("c4 e2 75 2e 00", prepare); // vmaskmovps [rax], ymm1, ymm0
    expect(stored.fault).toBeUndefined();
    expect([...stored.state.data.slice(-8)]).toEqual(Array(8).fill(0x11));
  });

  test("fault for what is, and then have written nothing", () => {
    const prepare = (state: CpuState): void => {
      registers(OLD, selected(0, 2))(state);
      state.setGpr(RAX, END - 8n);
    };
    const stored = run("c4 e2 75 2e 00", prepare);
    expect(stored.fault).toMatchObject({ vector: 14, cr2: END });
    expect([...stored.state.data.slice(-8)]).toEqual(Array(8).fill(0));
  });

  test("a gather that faults keeps what it has, and goes on from there", () => {
    const first = run("c4 e2 75 92 04 90", (state) => {
      // vgatherdps ymm0, [rax + ymm2 * 4], ymm1
      const far = "00100000";
      registers(OLD, selected(0, 1), `${far} ${"00000000 ".repeat(5)}${far} 00000000`)(state);
      state.setGpr(RAX, BigInt(DATA));
      state.data.set([1, 2, 3, 4]);
    });
    expect(first.fault).toMatchObject({ vector: 14 });
    expect(ymm(first, 0).slice(-17)).toBe("11111111 04030201");
    expect(ymm(first, 1).slice(-17)).toBe("80000000 00000000");
  });
});
