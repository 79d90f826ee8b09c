import { expect, it } from "vitest";
import { SoftwareTlb, TLB_HASH_SHIFT } from "../../../fallback/memory/tlb.ts";
import { RAM_BASE, TLB_ENTRIES } from "../../../fallback/state.ts";

const PAGE = 4096;
/** Pages with the same place: that of page 1. */
const LOCAL = PAGE;
const GLOBAL = (TLB_ENTRIES * 2 ** TLB_HASH_SHIFT + 1) * PAGE;

const makeTlb = (): SoftwareTlb => new SoftwareTlb(new ArrayBuffer(RAM_BASE), 0);

it("forgets the pages that are not global, whatever had their places before", () => {
  const tlb = makeTlb();
  tlb.fill(LOCAL, 0x10_0000, "WRITE_PAGE", PAGE, false);
  tlb.fill(GLOBAL, 0x20_0000, "WRITE_PAGE", PAGE, true);
  expect(tlb.lookup(LOCAL, "READ_PAGE")).toBe(-1);
  tlb.forgetLocal();
  expect(tlb.lookup(GLOBAL + 5, "WRITE_PAGE")).toBe(0x20_0000);
  tlb.fill(LOCAL, 0x10_0000, undefined, PAGE, false);
  expect(tlb.lookup(LOCAL, "READ_PAGE")).toBe(0x10_0000);
  expect(tlb.lookup(LOCAL, "WRITE_PAGE")).toBe(-1);
  tlb.forgetLocal();
  expect(tlb.lookup(LOCAL, "READ_PAGE")).toBe(-1);
  tlb.fill(GLOBAL, 0x20_0000, "WRITE_PAGE", PAGE, true);
  tlb.flush();
  expect(tlb.lookup(GLOBAL, "READ_PAGE")).toBe(-1);
});

it("remembers that a page with code may be written, but not by generated code", () => {
  const tlb = makeTlb();
  tlb.fill(LOCAL, 0x10_0000, "WRITE_PAGE", PAGE, true);
  tlb.fill(2 * PAGE, 0x10_0000, undefined, PAGE, true);
  tlb.protect(0x10_0000);
  expect(tlb.lookup(LOCAL, "WRITE_PAGE")).toBe(-1);
  expect(tlb.lookup(LOCAL, "CODE_PAGE")).toBe(0x10_0000);
  expect(tlb.lookup(2 * PAGE, "CODE_PAGE")).toBe(-1);
  expect(tlb.lookup(2 * PAGE, "READ_PAGE")).toBe(0x10_0000);
});

it("gives pages next to each other different places", () => {
  const tlb = makeTlb();
  // Up to the last one, which is followed by the first.
  for (let bits = 0; bits <= 48; bits++) {
    const second = bits === 48 ? 0 : 2 ** bits * PAGE;
    const first = second - PAGE;
    tlb.fill(first, 0x10_0000, "WRITE_PAGE", PAGE, false);
    tlb.fill(second, 0x20_0000, "WRITE_PAGE", PAGE, false);
    expect([bits, tlb.lookup(first, "READ_PAGE")]).toEqual([bits, 0x10_0000]);
    expect([bits, tlb.lookup(second, "READ_PAGE")]).toEqual([bits, 0x20_0000]);
  }
});
