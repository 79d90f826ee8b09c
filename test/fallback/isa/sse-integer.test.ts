import { describe, expect, test } from "vitest";
import { run, setXmm, xmm } from "./snippets.ts";

/** XMM0 after an instruction on XMM0 and XMM1. */
const combine = (code: string, first: string, second: string): string =>
  xmm(
    run(code, (state) => {
      setXmm(state, 0, first);
      setXmm(state, 1, second);
    }),
    0,
  );

describe("integer arithmetic of vectors", () => {
  test("saturates where it says so", () => {
    expect(combine("66 0f dd c1", "ffff 0001 7fff", "0001 0001 0001")).toBe(
      "00000000 00000000 0000ffff 00028000",
    );
    expect(combine("66 0f ed c1", "00007fff 80007fff", "00000001 ffff8000")).toBe(
      "00000000 00000000 00007fff 8000ffff",
    );
  });

  test("PMULHRSW wraps the one product that overflows", () => {
    expect(combine("66 0f 38 0b c1", "80004000", "80004000")).toBe(
      "00000000 00000000 00000000 80002000",
    );
  });

  test("PMADDUBSW multiplies unsigned by signed bytes", () => {
    // 255 * 127 twice saturates; 2 * -1 + 1 * -128.
    expect(combine("66 0f 38 04 c1", "ffff 0201", "7f7f ff80")).toBe(
      "00000000 00000000 00000000 7fffff7e",
    );
  });

  test("PSADBW sums eight differences in each half", () => {
    const first = "0000000000000005 00000000000000ff";
    const second = "0000000000000305 ff000000000000fe";
    expect(combine("66 0f f6 c1", first, second)).toBe("00000000 00000003 00000000 00000100");
  });

  test("PHMINPOSUW finds the first of the least", () => {
    expect(combine("66 0f 38 41 c1", "0", "0009 0003 0007 0003 0009 0008 0004 0005")).toBe(
      "00000000 00000000 00000000 00040003",
    );
  });

  test("MPSADBW compares one block with eight", () => {
    const destination = "0f0e0d0c0b0a0908 0706050403020100";
    const source = "0000000000000000 0000000003020100";
    expect(combine("66 0f 3a 42 c1 00", destination, source)).toBe(
      "001c0018 00140010 000c0008 00040000",
    );
  });

  test("horizontal sums are of the destination, then of the source", () => {
    expect(
      combine(
        "66 0f 38 02 c1",
        "00000004 00000003 00000002 00000001",
        "8 00000007 00000006 00000005",
      ),
    ).toBe("0000000f 0000000b 00000007 00000003");
  });
});

describe("shifts of vectors", () => {
  const VALUE = "80000000 00000001 ffffffff 12345678";

  test("farther than the width give zero, or signs", () => {
    expect(combine("66 0f d2 c1", VALUE, "20")).toBe("00000000 00000000 00000000 00000000");
    expect(combine("66 0f e2 c1", VALUE, "20")).toBe("ffffffff 00000000 ffffffff 00000000");
    // All 64 bits of the count matter.
    expect(combine("66 0f f2 c1", VALUE, "0000000100000000")).toBe(
      "00000000 00000000 00000000 00000000",
    );
  });

  test("of the whole register go by bytes", () => {
    expect(combine("66 0f 73 d8 05", VALUE, "0")).toBe("00000000 00800000 00000000 01ffffff");
    expect(combine("66 0f 73 f8 05", VALUE, "0")).toBe("000001ff ffffff12 34567800 00000000");
    expect(combine("66 0f 73 f8 ff", VALUE, "0")).toBe("00000000 00000000 00000000 00000000");
  });
});

describe("PTEST", () => {
  const flags = (first: string, second: string): bigint =>
    run("66 0f 38 17 c1", (state) => {
      state.rflags = 0x8d5n;
      setXmm(state, 0, first);
      setXmm(state, 1, second);
    }).state.rflags & 0x8d5n;

  test("sets ZF without common bits, CF where the source is a subset, and clears the others", () => {
    expect(flags("f0", "0f")).toBe(0x40n);
    expect(flags("ff", "0f")).toBe(0x01n);
    expect(flags("0f", "ff")).toBe(0n);
    expect(flags("ff", "0")).toBe(0x41n);
  });
});
