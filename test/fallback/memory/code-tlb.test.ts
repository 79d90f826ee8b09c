import { describe, expect, it } from "vitest";
import { CR0, CR4 } from "../../../fallback/bits.ts";
import { Guest, PAGE_TABLE, PAGE_TABLES } from "../support/guest.ts";

describe("INVLPG, of code", () => {
  it("forgets what belongs to the page, of a large one all of it, with all rights", () => {
    const guest = new Guest().longMode().smallPages();
    guest.setU64(PAGE_TABLES + 8 * 511, PAGE_TABLES + 0x1000 + 7);
    const forgotten: number[] = [];
    guest.mmu.onForgetCode = ({ number }) => forgotten.push(number);
    const base = -(2 ** 39);
    const fetch = (linear: number) => guest.mmu.fetchPage(linear).address;
    expect([base + 0x20_0005, base + 0x20_1000, 0x1fff].map(fetch)).toEqual([
      0x7000, 0x20_1000, 0x1000,
    ]);
    guest.mmu.changePrivilege(3);
    for (const linear of [base + 0x20_1fff, 0x3000]) fetch(linear);
    guest.mmu.invalidatePage(base + 0x20_1000);
    expect(forgotten).toEqual([base / 0x1000 + 0x201, base / 0x1000 + 0x201]);
    forgotten.length = 0;
    guest.mmu.invalidatePage(0x10_0000);
    expect(forgotten.toSorted((a, b) => a - b)).toEqual([1, 3]);
  });
});

describe("loading CR3, of code", () => {
  it("forgets what is not global, which comes back where the page is the same, and only there", () => {
    const guest = new Guest().longMode().smallPages();
    guest.p.cr4 |= CR4.PGE;
    const revived: (readonly [number, readonly number[]])[] = [];
    guest.mmu.onReviveCode = ({ number, own, jumps, slots }) =>
      revived.push([number, [own, jumps, slots].flatMap((of) => [...of])]);
    const [first, second, third] = [0x201, 0x202, 0x203];
    const fetch = (number: number) => guest.mmu.fetchPage(number * 0x1000);
    for (const number of [first, second, third]) {
      const { own, jumps, slots } = fetch(number);
      for (const [index, of] of [own, jumps, slots].entries()) of.add(index);
    }
    guest.mmu.loadRoot();
    guest.setU64(PAGE_TABLE + 8 * 2, 0x8007);
    fetch(first);
    fetch(second);
    expect(revived).toEqual([[first, [0]]]);
    guest.mmu.flush();
    fetch(third);
    fetch(second);
    expect(revived.slice(1)).toEqual([[third, [0]]]);
  });
});

describe("a full flush, of code", () => {
  const numbers = [0x201, 0x202, 0x203, 0x204, 0x205];

  /** Code on some pages, of which those are told that are forgotten. */
  function codeOn(guest: Guest): { fetch: (number: number) => unknown; forgotten: number[] } {
    guest.p.cr4 |= CR4.PGE;
    guest.mmu.flush();
    guest.p.cr4 &= ~CR4.PGE;
    const forgotten: number[] = [];
    guest.mmu.onForgetCode = ({ number }) => forgotten.push(number);
    const fetch = (number: number) => guest.mmu.fetchPage(number * 0x1000);
    for (const number of numbers) fetch(number);
    return { fetch, forgotten };
  }

  it("forgets of code what leads elsewhere, may not be executed, or has its accessed flag clear", () => {
    const guest = new Guest().longMode().smallPages();
    const { fetch, forgotten } = codeOn(guest);
    const pages = numbers.map(fetch);
    guest.setU64(PAGE_TABLE + 8 * 1, 0x8027);
    guest.setU64(PAGE_TABLE + 8 * 2, 0);
    guest.setU64(PAGE_TABLE + 8 * 3, 0x8000_0000_0020_3027n);
    guest.setU64(PAGE_TABLE + 8 * 4, 0x20_4007);
    guest.mmu.flush();
    expect(forgotten).toEqual(numbers.slice(0, 4));
    expect(fetch(0x205)).toBe(pages[4]);
  });

  it("looks where code is with the rights that it had", () => {
    const guest = new Guest().longMode().smallPages();
    const { forgotten } = codeOn(guest);
    guest.mmu.changePrivilege(3);
    guest.mmu.fetchPage(0x20_1000);
    guest.setU64(PAGE_TABLE + 8, 0x20_1023);
    guest.mmu.flush();
    expect(forgotten).toEqual([0x201]);
  });

  it("forgets all code of a guest that has had no global pages since it switched paging on", () => {
    const guest = new Guest().longMode().smallPages();
    const { fetch, forgotten } = codeOn(guest);
    guest.p.cr0 &= ~CR0.PG;
    guest.mmu.flush();
    guest.p.cr0 |= CR0.PG;
    guest.mmu.flush();
    for (const number of numbers) fetch(number);
    forgotten.length = 0;
    guest.mmu.flush();
    expect(forgotten).toEqual(numbers);
  });

  it("learns which code goes with CR3", () => {
    const guest = new Guest().longMode().smallPages();
    const { forgotten } = codeOn(guest);
    guest.setU64(PAGE_TABLE + 8, 0x20_1127);
    guest.p.cr4 |= CR4.PGE;
    guest.mmu.flush();
    expect(forgotten).toEqual([]);
    guest.mmu.loadRoot();
    expect(forgotten).toEqual(numbers.slice(1));
    forgotten.length = 0;
    guest.setU64(PAGE_TABLE + 8, 0x20_1027);
    guest.mmu.flush();
    guest.mmu.loadRoot();
    expect(forgotten).toEqual([0x201]);
  });
});
