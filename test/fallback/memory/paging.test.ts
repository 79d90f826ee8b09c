import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CR0, CR4, EFER } from "../../../fallback/bits.ts";
import { exceptionOf, Guest, PAGE_TABLES, RAM_SIZE } from "../support/guest.ts";

const P = 1;
const RW = 2;
const US = 4;
const A = 0x20;
const D = 0x40;
const PS = 0x80;
const XD = 1n << 63n;

function paged(cr4: number, efer = 0): Guest {
  const guest = new Guest();
  guest.p.cr0 = CR0.PE | CR0.PG | CR0.WP;
  guest.p.cr4 = cr4;
  guest.p.efer = efer;
  guest.p.cr3 = BigInt(PAGE_TABLES);
  return guest;
}

const LONG = EFER.LME | EFER.LMA | EFER.NXE;

describe("two-level paging", () => {
  const PDE = PAGE_TABLES + 4 * 0x200; // linear 0x8000_0000
  const PT = PAGE_TABLES + 0x1000;

  function twoLevel(pde = PT | P | RW | US, pte = 0x5000 | P | RW | US): Guest {
    const guest = paged(CR4.PSE);
    guest.setU32(PDE, pde);
    guest.setU32(PT + 4, pte);
    return guest;
  }

  it("finds a 4 KiB page and sets accessed flags, the dirty flag at the first write", () => {
    const guest = twoLevel();
    expect(guest.mmu.translate(0x8000_1234, "read")).toBe(0x5234);
    expect([guest.u32(PDE) & (A | D), guest.u32(PT + 4) & (A | D)]).toEqual([A, A]);
    guest.mmu.translate(0x8000_1234, "write");
    expect([guest.u32(PDE) & (A | D), guest.u32(PT + 4) & (A | D)]).toEqual([A, A | D]);
  });

  it("finds a 4 MiB page with address bits 39 to 32 in the entry", () => {
    const guest = twoLevel(PS | P | RW | (0x12 << 13) | 0x0040_0000);
    expect(guest.mmu.translate(0x8012_3456, "read")).toBe(0x12_0052_3456);
    expect(guest.u32(PDE) & (A | D)).toBe(A);
  });

  it("takes bit 7 for nothing without PSE", () => {
    const guest = twoLevel(PT | PS | P | RW);
    guest.p.cr4 = 0;
    expect(guest.mmu.translate(0x8000_1000, "read")).toBe(0x5000);
  });

  it("reports bit 21 of a 4 MiB page as reserved", () => {
    const guest = twoLevel(PS | P | (1 << 21));
    expect(exceptionOf(() => guest.mmu.translate(0x8000_0000, "read"))).toBe("14:9");
  });

  it.each([
    ["absent table", 0, P, "read", false, "14:0"],
    ["absent page, a user's write", PT | 7, 0, "write", true, "14:6"],
    ["supervisor page", PT | 7, 0x5000 | P | RW, "read", true, "14:5"],
    ["supervisor table", PT | P | RW, 0x5000 | 7, "read", true, "14:5"],
    ["read-only page", PT | 7, 0x5000 | P | US, "write", true, "14:7"],
    ["read-only table", PT | P | US, 0x5000 | 7, "write", true, "14:7"],
    ["read-only page under WP", PT | 7, 0x5000 | P | US, "write", false, "14:3"],
    ["a fetch, which has no bit of its own without NX", PT | 7, 0, "execute", true, "14:4"],
  ] as const)("faults: %s", (_, pde, pte, access, user, expected) => {
    const guest = twoLevel(pde, pte);
    expect(exceptionOf(() => guest.mmu.translate(0x8000_1678, access, user))).toBe(expected);
    expect(guest.p.cr2).toBe(0x8000_1678n);
    expect([guest.u32(PDE) & A, guest.u32(PT + 4) & A]).toEqual([0, 0]);
  });

  it("lets the supervisor write to read-only pages without WP", () => {
    const guest = twoLevel(PT | 7, 0x5000 | P);
    guest.p.cr0 = CR0.PE | CR0.PG;
    expect(guest.mmu.translate(0x8000_1000, "write", false)).toBe(0x5000);
  });
});

describe("PAE paging", () => {
  const PDPT = PAGE_TABLES;
  const PD = PAGE_TABLES + 0x1000;
  const PT = PAGE_TABLES + 0x2000;

  function pae(efer: number = EFER.NXE): Guest {
    const guest = paged(CR4.PAE, efer);
    guest.setU64(PDPT + 16, PD | P); // linear 0x8000_0000
    guest.setU64(PD, PT | 7);
    guest.setU64(PT + 8, 0x12_0000_5007n);
    guest.setU64(PD + 8, 0x0060_0000 | PS | 7);
    guest.mmu.loadPdptes(guest.p.cr3);
    return guest;
  }

  it("finds 4 KiB and 2 MiB pages", () => {
    const guest = pae();
    expect(guest.mmu.translate(0x8000_1234, "read")).toBe(0x12_0000_5234);
    expect(guest.mmu.translate(0x8020_1234, "write")).toBe(0x0060_1234);
    expect(guest.u32(PD + 8) & (A | D)).toBe(A | D);
  });

  it("keeps the four upper entries until they are loaded anew", () => {
    const guest = pae();
    guest.setU64(PDPT + 16, 0);
    expect(guest.mmu.translate(0x8000_1000, "execute")).toBe(0x12_0000_5000);
    guest.mmu.loadPdptes(guest.p.cr3);
    expect(exceptionOf(() => guest.mmu.translate(0x8000_1000, "execute"))).toBe("14:10");
  });

  it("loads the upper entries without a word when all of the state is replaced", () => {
    const guest = pae();
    guest.setU64(PDPT + 24, PD | P);
    guest.setU64(PDPT, P | RW);
    guest.mmu.stateReplaced();
    expect(guest.mmu.translate(0xc000_1000, "read")).toBe(0x12_0000_5000);
  });

  it("refuses upper entries with reserved bits, keeping what it had", () => {
    const guest = pae();
    guest.setU64(PDPT, P | RW);
    guest.setU64(PDPT + 16, 0);
    expect(exceptionOf(() => guest.mmu.loadPdptes(guest.p.cr3))).toBe("13:0");
    expect(guest.mmu.translate(0x8000_1000, "read")).toBe(0x12_0000_5000);
  });

  it.each([
    [PD, XD | BigInt(PT | 7), "execute", EFER.NXE, "14:15"],
    [PD, XD | BigInt(PT | 7), "read", 0, "14:d"],
    [PT + 8, 0x5007n | (1n << 40n), "read", EFER.NXE, "14:d"],
    [PT + 8, 0x5007n | (1n << 52n), "read", EFER.NXE, "14:d"],
    [PD, BigInt(0x2000 | PS | 7), "write", EFER.NXE, "14:f"],
  ] as const)("entry %x with %x: %s fails", (at, entry, access, efer, expected) => {
    const guest = pae(efer);
    guest.setU64(at, entry);
    expect(exceptionOf(() => guest.mmu.translate(0x8000_1000, access, true))).toBe(expected);
  });
});

describe("four-level paging", () => {
  const [PML4, PDPT, PD, PT] = [0, 1, 2, 3].map((n) => PAGE_TABLES + n * 0x1000) as [
    number,
    number,
    number,
    number,
  ];
  // linear 0xffff_9234_5678_9abc
  const LINEAR = Number(BigInt.asIntN(64, 0xffff_9234_5678_9abcn));
  const SLOT = {
    pml4: PML4 + 8 * 0x124,
    pdpt: PDPT + 8 * 0xd1,
    pd: PD + 8 * 0xb3,
    pt: PT + 8 * 0x189,
  };

  function fourLevel(): Guest {
    const guest = paged(CR4.PAE, LONG);
    guest.setU64(SLOT.pml4, PDPT | 7);
    guest.setU64(SLOT.pdpt, PD | 7);
    guest.setU64(SLOT.pd, PT | 7);
    guest.setU64(SLOT.pt, 0x6007);
    return guest;
  }

  it("finds 4 KiB, 2 MiB and 1 GiB pages in the upper half", () => {
    const guest = fourLevel();
    expect(guest.mmu.translate(LINEAR, "read")).toBe(0x6abc);
    guest.mmu.flush();
    guest.setU64(SLOT.pd, 0x0020_0000 | PS | 7);
    expect(guest.mmu.translate(LINEAR, "read")).toBe(0x0038_9abc);
    guest.mmu.flush();
    guest.setU64(SLOT.pdpt, 0x1_4000_0000n | BigInt(PS | 7));
    expect(guest.mmu.translate(LINEAR, "read")).toBe(0x1_5678_9abc);
  });

  it("sets the accessed flag at each level and CR2 to the unsigned address", () => {
    const guest = fourLevel();
    guest.mmu.translate(LINEAR, "write");
    expect(Object.values(SLOT).map((at) => guest.u32(at) & (A | D))).toEqual([A, A, A, A | D]);
    exceptionOf(() => guest.mmu.translate(LINEAR + 4096, "read"));
    expect(guest.p.cr2).toBe(0xffff_9234_5678_aabcn);
  });

  it.each([
    ["pml4", BigInt(PDPT | PS | 7), "read", "14:9"],
    ["pml4", BigInt(PDPT | 7) | (1n << 40n), "read", "14:9"],
    ["pdpt", BigInt(PS | 7 | (1 << 13)), "read", "14:9"],
    ["pd", BigInt(PS | 7 | (1 << 20)), "write", "14:b"],
    ["pd", XD | BigInt(PT | 7), "execute", "14:11"],
    ["pt", 0n, "execute", "14:10"],
    ["pt", 0x7fff_0000_0000_0000n, "read", "14:0"],
  ] as const)("%s entry %x: %s fails", (slot, entry, access, expected) => {
    const guest = fourLevel();
    guest.setU64(SLOT[slot], entry);
    expect(exceptionOf(() => guest.mmu.translate(LINEAR, access))).toBe(expected);
  });

  it("ignores bits 62 to 52", () => {
    const guest = fourLevel();
    guest.setU64(SLOT.pt, 0x7ff0_0000_0000_6007n);
    expect(guest.mmu.translate(LINEAR, "read")).toBe(0x6abc);
  });

  it("reads tables outside RAM as all ones", () => {
    const guest = fourLevel();
    guest.setU64(SLOT.pml4, RAM_SIZE | 7);
    expect(exceptionOf(() => guest.mmu.translate(LINEAR, "read"))).toBe("14:9");
  });

  it("survives any tables", () => {
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { minLength: 4, maxLength: 4 }),
        fc.constantFrom(0, CR4.PSE, CR4.PAE),
        fc.boolean(),
        fc.integer({ min: -(2 ** 47), max: 2 ** 47 - 1 }),
        (entries, cr4, long, linear) => {
          const guest = paged(long ? CR4.PAE : cr4, long ? LONG : 0);
          for (const [level, entry] of entries.entries()) {
            const index = Math.floor(linear / 2 ** (39 - 9 * level)) & 0x1ff;
            const next = BigInt(PAGE_TABLES + (level + 1) * 0x1000);
            guest.setU64(
              PAGE_TABLES + level * 0x1000 + 8 * index,
              (entry & ~0x00ff_ffff_f000n) | next,
            );
          }
          const address = long ? linear : linear >>> 0;
          const outcome = exceptionOf(() => {
            const found = guest.mmu.translate(address, "write");
            expect(found).toBeGreaterThanOrEqual(0);
            expect(found).toBeLessThan(2 ** 40);
          });
          if (outcome !== undefined) expect(outcome).toMatch(/^14:/);
        },
      ),
      { numRuns: 50 },
    );
  });
});
