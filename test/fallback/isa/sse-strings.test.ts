import { describe, expect, test } from "vitest";
import { DATA, DATA_SIZE } from "../../conformance/environment.ts";
import { run, setYmm, xmm, ymm } from "./snippets.ts";

const RAX = 0;
const RCX = 1;
const RDX = 2;
const CF = 0x01n;
const ZF = 0x40n;
const SF = 0x80n;
const OF = 0x800n;

const text = (value: string): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, at) => (at < value.length ? value.charCodeAt(at) : 0));

/** On XMM0 (the set) and XMM1. */
function compare(code: string, set: string, characters: string, lengths = [0n, 0n]) {
  const result = run(code, (state) => {
    state.xmm(0).set(text(set));
    state.xmm(1).set(text(characters));
    state.setGpr(RAX, lengths[0] ?? 0n);
    state.setGpr(RDX, lengths[1] ?? 0n);
  });
  return {
    index: result.state.gpr(RCX),
    flags: result.state.rflags & 0x8d5n,
    mask: xmm(result, 0),
  };
}

const PCMPISTRI = (control: string) => `66 0f 3a 63 c1 ${control}`;
const PCMPISTRM = (control: string) => `66 0f 3a 62 c1 ${control}`;
const PCMPESTRI = (control: string) => `66 0f 3a 61 c1 ${control}`;

describe("comparisons of strings", () => {
  test("find the first character of a set", () => {
    expect(compare(PCMPISTRI("00"), ",;", "key;value,x")).toMatchObject({
      index: 3n,
      flags: CF | ZF | SF,
    });
  });

  test("find the last one as well", () => {
    expect(compare(PCMPISTRI("40"), ",;", "key;value,x").index).toBe(9n);
  });

  test("find the first outside of ranges", () => {
    expect(compare(PCMPISTRI("14"), "azAZ", "Word7").index).toBe(4n);
  });

  test("find where strings differ", () => {
    expect(compare(PCMPISTRI("18"), "same text", "same test").index).toBe(7n);
    expect(compare(PCMPISTRI("18"), "same", "same")).toMatchObject({ index: 16n, flags: ZF | SF });
  });

  test("find a substring, or its beginning at the end", () => {
    expect(compare(PCMPISTRI("0c"), "ab", "caabab").index).toBe(2n);
    expect(compare(PCMPISTRI("0c"), "ab", "123456789012345a").index).toBe(15n);
  });

  test("take lengths from registers, negative or too large ones too", () => {
    expect(compare(PCMPESTRI("00"), "xy", "aay", [2n, 2n]).index).toBe(16n);
    expect(compare(PCMPESTRI("00"), "xy", "aay", [0xffff_fffen, 100n]).index).toBe(2n);
  });

  test("make masks of bits or of bytes", () => {
    expect(compare(PCMPISTRM("00"), "a", "abba").mask).toBe("00000000 00000000 00000000 00000009");
    const bytes = compare(PCMPISTRM("40"), "a", "abba");
    expect(bytes.mask).toBe("00000000 00000000 00000000 ff0000ff");
    expect(bytes.flags).toBe(CF | ZF | SF | OF);
  });

  test("make masks of words", () => {
    expect(compare(PCMPISTRM("41"), "a\0", "b\0a\0").mask).toBe(
      "00000000 00000000 00000000 ffff0000",
    );
  });

  test("take lengths of 64 bits with REX.W", () => {
    const wide = (code: string) => compare(code, "xy", "aay", [2n ** 32n, 3n]).index;
    expect(wide("66 48 0f 3a 61 c1 00")).toBe(2n);
    expect(wide(PCMPESTRI("00"))).toBe(16n);
  });

  test("with a VEX prefix clear the upper half of what they write, an index of none", () => {
    const old = "11111111_11111111_11111111_11111111_00000000_00000000_00000000_00000061";
    const results = ["c4 e3 79 62 c1 00", "c4 e3 79 63 c1 00"].map((code) =>
      ymm(
        run(code, (state) => {
          setYmm(state, 0, old);
          setYmm(state, 1, old);
        }),
        0,
      ),
    );
    expect(results).toEqual([
      "00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001",
      old.replaceAll("_", " "),
    ]);
  });

  /** Of `[RAX]` by what is in XMM0, RAX so many bytes before the end of a page or of all. */
  const ofMemory = (behind: number, bytes: number) =>
    run("66 0f 3a 63 00 00", (state) => {
      state.data.fill(0x62, behind - bytes, behind + 16);
      state.data[behind + 2] = 0x61;
      state.xmm(0).set(text("a"));
      state.setGpr(RAX, BigInt(DATA + behind - bytes));
      state.setGpr(RCX, 99n);
    });

  test("have operands in memory that are not aligned, on two pages too", () => {
    expect(ofMemory(DATA_SIZE / 2, 5).state.gpr(RCX)).toBe(7n);
  });

  test("change nothing where the second page cannot be read", () => {
    const { fault, state } = ofMemory(DATA_SIZE, 5);
    const cr2 = BigInt(DATA + DATA_SIZE);
    expect(fault).toEqual({ vector: 14, errorCode: 4, cr2 });
    expect(state.gpr(RCX)).toBe(99n);
  });
});
