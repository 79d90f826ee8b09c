import { describe, expect, it } from "vitest";
import { CR4, RFLAGS } from "../../../fallback/bits.ts";
import { SHADOW } from "../../../fallback/processor.ts";
import { readTable } from "../../../fallback/registers.ts";
import { STATE } from "../../../fallback/state.ts";
import { loadGdtr, loadIdtr } from "../../../fallback/system/descriptor-tables.ts";
import {
  clearInterruptFlag,
  flagsToPush,
  popFlags,
  setAccessFlag,
  setInterruptFlag,
} from "../../../fallback/system/flags-register.ts";
import { preparePortAccess } from "../../../fallback/system/io-permission.ts";
import { exceptionOf, Guest, TSS } from "../support/guest.ts";

const { IF, IOPL, VM, RF, VIF, CF, AC, NT } = RFLAGS;

describe("POPF", () => {
  it.each([
    ["all at level 0", 0, 0, IF | IOPL | CF | NT | AC, 32, IF | IOPL | CF | NT | AC],
    ["not IOPL at level 3", 3, IOPL, CF, 32, IOPL | CF],
    ["not IF above IOPL", 3, 0, IF | CF, 32, CF],
    ["neither VM nor RF nor VIF", 0, RF, VM | RF | VIF, 32, 0],
    ["the lower half for 16 bits", 0, AC, IF | (1 << 21), 16, AC | IF],
  ] as const)("changes %s", (_, level, before, popped, size, after) => {
    const { p } = new Guest().protectedMode(level);
    p.rflags = before;
    popFlags(p, popped, size);
    expect(p.rflags).toBe(after | RFLAGS.FIXED);
  });

  it("and PUSHF need IOPL 3 in virtual-8086 mode", () => {
    const { p } = new Guest().protectedMode(3);
    p.rflags = VM;
    expect(exceptionOf(() => popFlags(p, 0, 16))).toBe("13:0");
    expect(exceptionOf(() => flagsToPush(p, 16))).toBe("13:0");
    p.rflags = VM | IOPL | RF | CF;
    expect(flagsToPush(p, 16)).toBe(IOPL | CF | RFLAGS.FIXED);
  });
});

describe("CLI and STI", () => {
  it("change IF up to IOPL; STI holds interrupts off once", () => {
    const { p } = new Guest().protectedMode(3);
    expect(exceptionOf(() => setInterruptFlag(p))).toBe("13:0");
    expect(exceptionOf(() => clearInterruptFlag(p))).toBe("13:0");
    p.rflags = IOPL;
    setInterruptFlag(p);
    expect([p.rflags & IF, p.shadow]).toEqual([IF, SHADOW.STI]);
    p.shadow = 0;
    setInterruptFlag(p);
    expect(p.shadow).toBe(0);
    clearInterruptFlag(p);
    expect(p.rflags & IF).toBe(0);
  });
});

describe("CLAC and STAC", () => {
  it("change AC at level 0, where SMAP is on", () => {
    const { p } = new Guest().longMode(0);
    expect(exceptionOf(() => setAccessFlag(p, 1))).toBe("6");
    p.cr4 |= CR4.SMAP;
    p.rflags = CF;
    setAccessFlag(p, 1);
    expect(p.rflags & (AC | CF)).toBe(AC | CF);
    setAccessFlag(p, 0);
    expect(p.rflags & (AC | CF)).toBe(CF);
    const outer = new Guest().longMode(3).p;
    outer.cr4 |= CR4.SMAP;
    expect(exceptionOf(() => setAccessFlag(outer, 1))).toBe("6");
  });
});

describe("ports", () => {
  const MAP = 0x68;

  it("are open up to IOPL and in real mode", () => {
    const real = new Guest();
    expect(exceptionOf(() => preparePortAccess(real.p, real.mmu, 0x3f8, 1))).toBeUndefined();
    const guest = new Guest().protectedMode(3);
    expect(exceptionOf(() => preparePortAccess(guest.p, guest.mmu, 0x3f8, 1))).toBe("13:0");
    guest.p.rflags = IOPL;
    expect(exceptionOf(() => preparePortAccess(guest.p, guest.mmu, 0x3f8, 1))).toBeUndefined();
  });

  it("are open to the bits of the TSS's map, over two bytes", () => {
    const guest = new Guest().protectedMode(3);
    const allowed = (port: number, bytes: number) =>
      exceptionOf(() => preparePortAccess(guest.p, guest.mmu, port, bytes)) === undefined;
    guest.setU16(TSS + 0x66, MAP);
    guest.setU32(TSS + MAP, 0xffff_f87f);
    guest.setSegment("tr", 0x28, 0x8b, BigInt(TSS), MAP + 2);
    expect([allowed(7, 4), allowed(7, 1), allowed(10, 1), allowed(10, 2), allowed(6, 2)]).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    guest.setU32(TSS + MAP, 0);
    expect([allowed(15, 1), allowed(16, 1)]).toEqual([true, false]);
    guest.p.rflags = VM | IOPL;
    expect([allowed(15, 1), allowed(16, 1)]).toEqual([true, false]);
    guest.setSegment("tr", 0x28, 0x83, BigInt(TSS), 0xfff);
    expect(allowed(15, 1)).toBe(false);
  });
});

describe("LGDT and LIDT", () => {
  it("take canonical bases", () => {
    const { p } = new Guest().longMode();
    loadGdtr(p, 0xffff_8000_0000_0000n, 0xffff);
    loadIdtr(p, 0x1234n, 0x7ff);
    expect(readTable(p, STATE.GDTR_BASE, STATE.GDTR_LIMIT)).toEqual({
      base: 0xffff_8000_0000_0000n,
      limit: 0xffff,
    });
    expect(readTable(p, STATE.IDTR_BASE, STATE.IDTR_LIMIT)).toEqual({
      base: 0x1234n,
      limit: 0x7ff,
    });
    expect(exceptionOf(() => loadGdtr(p, 1n << 47n, 0))).toBe("13:0");
  });
});
