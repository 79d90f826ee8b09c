import { describe, expect, it } from "vitest";
import { SEGMENT_INDEX } from "../../../fallback/state.ts";
import {
  accessRights,
  isReadable,
  isWritable,
  segmentLimit,
} from "../../../fallback/system/descriptor-queries.ts";
import { loadLdtr, loadSegment, loadTaskRegister } from "../../../fallback/system/segments.ts";
import { exceptionOf, GDT, Guest, TSS } from "../support/guest.ts";

const { ds, ss, fs, ldtr, tr } = SEGMENT_INDEX as Record<string, number>;
/** Descriptors beyond those of `Guest`. */
const SLOT = 0x30;

function load(guest: Guest, index: number | undefined, selector: number): string | undefined {
  return exceptionOf(() => loadSegment(guest.p, guest.mmu, index as number, selector));
}

describe("loading a data segment", () => {
  it("takes base, limit and rights from the table and sets the accessed flag there", () => {
    const guest = new Guest().protectedMode();
    guest.setDescriptor(SLOT, 0xc092, 0x1234_5678, 0x12);
    expect(load(guest, ds, SLOT)).toBeUndefined();
    expect(guest.p.segment(ds as number)).toEqual({
      selector: SLOT,
      base: 0x1234_5678n,
      limit: 0x12fff,
      attributes: 0xc093,
    });
    expect(guest.u16(GDT + SLOT + 4) >> 8).toBe(0x93);
  });

  it.each([
    ["data of the level", 0x93, 0, undefined],
    ["data for an outer level", 0xf3, 3, undefined],
    ["RPL above DPL", 0x93, 3, "13:30"],
    ["readable code", 0x9b, 0, undefined],
    ["execute-only code", 0x99, 0, "13:30"],
    ["conforming code, whatever the RPL", 0x9f, 3, undefined],
    ["system segments", 0x82, 0, "13:30"],
    ["absent", 0x13, 0, "11:30"],
  ])("at level 0: %s", (_, attributes, rpl, expected) => {
    const guest = new Guest().protectedMode();
    guest.setDescriptor(SLOT, attributes);
    const before = guest.p.segment(ds as number);
    expect(load(guest, ds, SLOT | rpl)).toBe(expected);
    if (expected !== undefined) expect(guest.p.segment(ds as number)).toEqual(before);
  });

  it("at level 3 refuses what is not for it", () => {
    const guest = new Guest().protectedMode(3);
    expect([load(guest, ds, 0x10), load(guest, ds, 0x23), load(guest, ds, 0x20)]).toEqual([
      "13:10",
      undefined,
      undefined,
    ]);
  });

  it("refuses selectors beyond their table, and of a table that is not there", () => {
    const guest = new Guest().protectedMode();
    expect([load(guest, ds, 0x100), load(guest, ds, 0xf7), load(guest, ds, 0x0c)]).toEqual([
      "13:100",
      "13:f4",
      "13:c",
    ]);
  });

  it("finds descriptors in the LDT", () => {
    const guest = new Guest().protectedMode();
    guest.setSegment("ldtr", 0x48, 0x82, BigInt(GDT + 8), 7);
    expect([load(guest, ds, 0x04), load(guest, ds, 0x0c)]).toEqual([undefined, "13:c"]);
  });

  it("takes null, which faults when used", () => {
    const guest = new Guest().protectedMode();
    expect(load(guest, fs, 3)).toBeUndefined();
    expect(guest.p.segment(fs as number)).toEqual({
      selector: 3,
      base: 0n,
      limit: 0,
      attributes: 0,
    });
  });

  it("leaves limit and rights alone in real mode", () => {
    const guest = new Guest();
    guest.setSegment("ds", 0, 0xc093);
    load(guest, ds, 0xf123);
    expect(guest.p.segment(ds as number)).toEqual({
      selector: 0xf123,
      base: 0xf1230n,
      limit: 0xffff_ffff,
      attributes: 0xc093,
    });
  });

  it("makes virtual-8086 segments in virtual-8086 mode", () => {
    const guest = new Guest().protectedMode(3);
    guest.p.rflags = 0x2_0002;
    load(guest, ds, 0xb800);
    expect(guest.p.segment(ds as number)).toEqual({
      selector: 0xb800,
      base: 0xb8000n,
      limit: 0xffff,
      attributes: 0xf3,
    });
  });
});

describe("loading SS", () => {
  it.each([
    ["writable data of the level", 0x93, SLOT, undefined],
    ["read-only data", 0x91, SLOT, "13:30"],
    ["code", 0x9b, SLOT, "13:30"],
    ["another RPL", 0x93, SLOT | 1, "13:30"],
    ["another DPL", 0xb3, SLOT, "13:30"],
    ["absent", 0x13, SLOT, "12:30"],
    ["null", 0x93, 0, "13:0"],
  ])("%s", (_, attributes, selector, expected) => {
    const guest = new Guest().protectedMode();
    guest.setDescriptor(SLOT, attributes);
    expect(load(guest, ss, selector)).toBe(expected);
  });

  it("takes null in 64-bit mode below level 3, with that level", () => {
    const guest = new Guest().longMode();
    expect([load(guest, ss, 0), load(guest, ss, 3)]).toEqual([undefined, "13:0"]);
    expect(load(new Guest().longMode(3), ss, 3)).toBe("13:0");
  });
});

describe("LLDT and LTR", () => {
  it("load system segments; LTR marks the TSS busy and refuses it a second time", () => {
    const guest = new Guest().protectedMode();
    guest.setDescriptor(SLOT, 0x89, TSS, 0x67);
    guest.setDescriptor(SLOT + 8, 0x82, 0x5000, 0xf);
    loadTaskRegister(guest.p, guest.mmu, SLOT);
    loadLdtr(guest.p, guest.mmu, SLOT + 8);
    expect(guest.p.segment(tr as number)).toMatchObject({ base: BigInt(TSS), attributes: 0x8b });
    expect(guest.p.segment(ldtr as number)).toMatchObject({ base: 0x5000n, limit: 0xf });
    expect(exceptionOf(() => loadTaskRegister(guest.p, guest.mmu, SLOT))).toBe("13:30");
  });

  it("take 64-bit bases in long mode", () => {
    const guest = new Guest().longMode();
    guest.setDescriptor(SLOT, 0x89, 0x1234_5678, 0x67);
    guest.setU64(GDT + SLOT + 8, 0xffff_8000);
    loadTaskRegister(guest.p, guest.mmu, SLOT);
    expect(guest.p.segmentBase(tr as number)).toBe(0xffff_8000_1234_5678n);
    guest.setDescriptor(SLOT, 0x89, 0, 0x67);
    guest.setU64(GDT + SLOT + 8, 0x1_0000);
    expect(exceptionOf(() => loadTaskRegister(guest.p, guest.mmu, SLOT))).toBe("13:30");
  });

  it.each([
    ["a 16-bit TSS in long mode", 0x81, SLOT, "13:30"],
    ["an absent TSS", 0x09, SLOT, "11:30"],
    ["a data segment", 0x93, SLOT, "13:30"],
    ["the LDT's", 0x89, SLOT | 4, "13:34"],
    ["null", 0x89, 0, "13:0"],
  ])("LTR refuses %s", (_, attributes, selector, expected) => {
    const guest = new Guest().longMode();
    guest.setDescriptor(SLOT, attributes, TSS, 0x67);
    expect(exceptionOf(() => loadTaskRegister(guest.p, guest.mmu, selector))).toBe(expected);
  });
});

describe("LAR, LSL, VERR and VERW", () => {
  const about = (level: 0 | 3, selector: number) => {
    const { p, mmu } = new Guest().protectedMode(level);
    return [
      accessRights(p, mmu, selector)?.toString(16),
      segmentLimit(p, mmu, selector),
      isReadable(p, mmu, selector),
      isWritable(p, mmu, selector),
    ];
  };

  it("tell what the level may know", () => {
    expect(about(0, 0x08)).toEqual(["cf9b00", 0xffff_ffff, true, false]);
    expect(about(0, 0x10)).toEqual(["cf9300", 0xffff_ffff, true, true]);
    expect(about(0, 0x28)).toEqual(["8b00", 0x67, false, false]);
    expect(about(3, 0x10)).toEqual([undefined, undefined, false, false]);
    expect(about(0, 0x13)).toEqual([undefined, undefined, false, false]);
    expect(about(3, 0x23)).toEqual(["cff300", 0xffff_ffff, true, true]);
    expect(about(0, 0x200)).toEqual([undefined, undefined, false, false]);
    expect(about(0, 0)).toEqual([undefined, undefined, false, false]);
  });
});
