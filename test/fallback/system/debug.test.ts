import { describe, expect, it } from "vitest";
import { CR4, DR6, DR7 } from "../../../fallback/bits.ts";
import { readDebugRegister, writeDebugRegister } from "../../../fallback/system/debug.ts";
import { exceptionOf, Guest } from "../support/guest.ts";

describe("debug registers", () => {
  it("keep addresses, and of DR6 and DR7 the bits that there are", () => {
    const { p } = new Guest().longMode();
    writeDebugRegister(p, 3, 0xffff_8000_0000_0001n);
    writeDebugRegister(p, 6, 0xffff_ffffn);
    writeDebugRegister(p, 7, 0x0000_dcffn & ~BigInt(DR7.GD));
    expect([3, 6, 7].map((n) => readDebugRegister(p, n))).toEqual([
      0xffff_8000_0000_0001n,
      0xffff_efffn & ~0x1000n,
      0x4ffn,
    ]);
    writeDebugRegister(p, 6, 0n);
    expect(readDebugRegister(p, 6)).toBe(0xffff_0ff0n);
  });

  it("have other names for the last two", () => {
    const { p } = new Guest().longMode();
    writeDebugRegister(p, 5, 0x401n);
    expect([readDebugRegister(p, 7), readDebugRegister(p, 4)]).toEqual([0x401n, 0xffff_0ff0n]);
    expect(exceptionOf(() => readDebugRegister(p, 8))).toBe("6");
  });

  it("have none with debug extensions", () => {
    const { p } = new Guest().longMode();
    p.cr4 |= CR4.DE;
    expect(exceptionOf(() => readDebugRegister(p, 4))).toBe("6");
    expect(exceptionOf(() => writeDebugRegister(p, 5, 0n))).toBe("6");
    expect(readDebugRegister(p, 7)).toBe(0x400n);
  });

  it("refuse bits above 31 in DR6 and DR7", () => {
    const { p } = new Guest().longMode();
    expect(exceptionOf(() => writeDebugRegister(p, 6, 1n << 32n))).toBe("13:0");
    expect(exceptionOf(() => writeDebugRegister(p, 7, 1n << 63n))).toBe("13:0");
  });

  it("raise #DB when guarded", () => {
    const { p } = new Guest().longMode();
    writeDebugRegister(p, 7, BigInt(DR7.GD));
    expect(exceptionOf(() => readDebugRegister(p, 0))).toBe("1");
    expect(p.dr(6)).toBe(0xffff_0ff0n | BigInt(DR6.BD));
  });
});
