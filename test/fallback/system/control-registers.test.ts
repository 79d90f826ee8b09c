import { describe, expect, it } from "vitest";
import { CR0, CR4, EFER } from "../../../fallback/bits.ts";
import {
  clearTaskSwitched,
  loadMachineStatusWord,
  readControlRegister,
  writeControlRegister,
  writeEfer,
} from "../../../fallback/system/control-registers.ts";
import { exceptionOf, Guest, PAGE_TABLES } from "../support/guest.ts";

const write = (guest: Guest, index: number, value: number | bigint): string | undefined =>
  exceptionOf(() => writeControlRegister(guest.p, guest.mmu, index, BigInt(value)));

const PROTECTED = CR0.PE | CR0.ET;
const PAGED = (PROTECTED | CR0.PG) >>> 0;

/** Protected mode about to enter long mode. */
function entering(): Guest {
  const guest = new Guest().protectedMode();
  write(guest, 4, CR4.PAE);
  writeEfer(guest.p, guest.mmu, BigInt(EFER.LME));
  write(guest, 3, PAGE_TABLES);
  return guest;
}

describe("CR0", () => {
  it.each([
    ["paging without protection", CR0.PG],
    ["not write-through with caches on", CR0.PE | CR0.NW],
    ["upper bits", 1n << 32n],
  ])("refuses %s", (_, value) => {
    const guest = new Guest().protectedMode();
    expect(write(guest, 0, value)).toBe("13:0");
    expect(guest.p.cr0).toBe(PROTECTED);
  });

  it("ignores reserved bits below, and keeps ET", () => {
    const guest = new Guest().protectedMode();
    expect(write(guest, 0, 0x1ffa_ffc1)).toBeUndefined();
    expect(readControlRegister(guest.p, 0)).toBe(BigInt(PROTECTED));
  });

  it("leaves what is remembered of mappings alone, unless paging changes", () => {
    const guest = new Guest().protectedMode();
    let changes = 0;
    guest.mmu.onChange = () => changes++;
    write(guest, 0, CR0.ET);
    write(guest, 0, PROTECTED);
    expect(changes).toBe(0);
    write(guest, 0, PAGED);
    expect(changes).toBe(1);
  });

  it("enters long mode with paging, and leaves it", () => {
    const guest = entering();
    expect(guest.p.longMode).toBe(false);
    expect(write(guest, 0, PAGED)).toBeUndefined();
    expect([guest.p.longMode, guest.p.codeSize]).toEqual([true, 32]);
    expect(write(guest, 0, PROTECTED)).toBeUndefined();
    expect([guest.p.longMode, guest.p.efer]).toEqual([false, EFER.LME]);
  });

  it.each([
    ["PAE is off", (g: Guest) => write(g, 4, 0)],
    ["the code segment is 64-bit", (g: Guest) => g.setSegment("cs", 8, 0xa09b)],
    ["the TSS is 16-bit", (g: Guest) => g.setSegment("tr", 0x28, 0x83)],
  ])("does not enter long mode while %s", (_, change) => {
    const guest = entering();
    change(guest);
    expect(write(guest, 0, PAGED)).toBe("13:0");
    expect([guest.p.paging, guest.p.longMode]).toEqual([false, false]);
  });

  it("keeps paging on in 64-bit code", () => {
    const guest = new Guest().longMode();
    expect(write(guest, 0, PROTECTED)).toBe("13:0");
  });

  it("drops translations with WP", () => {
    const guest = new Guest().longMode();
    guest.setU64(PAGE_TABLES + 0x2008, 0x20_0085);
    write(guest, 0, PAGED);
    guest.mmu.write(0x20_0000, 1, 0);
    write(guest, 0, (PAGED | CR0.WP) >>> 0);
    expect(exceptionOf(() => guest.mmu.write(0x20_0000, 1, 0))).toBe("14:3");
  });
});

describe("CR3 and CR4", () => {
  it("read the upper entries of PAE paging, and refuse bad ones", () => {
    const guest = new Guest().protectedMode();
    write(guest, 4, CR4.PAE);
    write(guest, 3, PAGE_TABLES);
    guest.setU64(PAGE_TABLES, 3);
    expect(write(guest, 0, PAGED)).toBe("13:0");
    guest.setU64(PAGE_TABLES, 0x10_1001);
    guest.setU64(0x10_1000, 0x20_00e3);
    expect(write(guest, 0, PAGED)).toBeUndefined();
    expect(guest.mmu.translate(0x1234, "read")).toBe(0x20_1234);
    guest.setU64(PAGE_TABLES + 8, 0x21);
    expect(write(guest, 3, PAGE_TABLES)).toBe("13:0");
    expect(write(guest, 4, CR4.PAE | CR4.PGE)).toBe("13:0");
    expect(guest.p.cr4).toBe(CR4.PAE);
  });

  it("refuse reserved bits", () => {
    const guest = new Guest().longMode();
    expect(write(guest, 3, 1n << 40n)).toBe("13:0");
    expect(write(guest, 3, 1n << 63n)).toBe("13:0");
    expect(write(guest, 4, CR4.PAE | (1 << 20))).toBe("13:0");
    expect(write(guest, 4, CR4.PAE | (1 << 13))).toBe("13:0");
    expect(write(guest, 4, BigInt(CR4.PAE) | (1n << 32n))).toBe("13:0");
  });

  it("keep PAE in long mode", () => {
    const guest = new Guest().longMode();
    expect(write(guest, 4, CR4.PSE)).toBe("13:0");
    expect(write(guest, 4, CR4.PAE | CR4.OSFXSR)).toBeUndefined();
  });

  it("drop translations", () => {
    const guest = new Guest().longMode();
    guest.mmu.read(0x1000, 1);
    guest.setU64(PAGE_TABLES + 0x2000, 0);
    expect(exceptionOf(() => guest.mmu.read(0x1000, 1))).toBeUndefined();
    write(guest, 3, guest.p.cr3);
    expect(exceptionOf(() => guest.mmu.read(0x1000, 1))).toBe("14:0");
  });
});

describe("the other control registers", () => {
  it("CR8 has four bits, CR2 all of them, and the rest do not exist", () => {
    const guest = new Guest().longMode();
    expect([write(guest, 8, 15), write(guest, 8, 16)]).toEqual([undefined, "13:0"]);
    write(guest, 2, 0xffff_ffff_ffff_fff0n);
    expect([2, 8].map((index) => readControlRegister(guest.p, index))).toEqual([
      0xffff_ffff_ffff_fff0n,
      15n,
    ]);
    for (const index of [1, 5, 7, 15]) {
      expect(write(guest, index, 0)).toBe("6");
      expect(exceptionOf(() => readControlRegister(guest.p, index))).toBe("6");
    }
  });

  it("LMSW sets PE and never clears it; CLTS clears TS", () => {
    const guest = new Guest();
    guest.p.cr0 = CR0.ET | CR0.NE;
    loadMachineStatusWord(guest.p, guest.mmu, 0xffff);
    expect(guest.p.cr0).toBe(CR0.ET | CR0.NE | 0xf);
    clearTaskSwitched(guest.p);
    expect(guest.p.cr0).toBe(CR0.ET | CR0.NE | 7);
    loadMachineStatusWord(guest.p, guest.mmu, 0);
    expect(guest.p.cr0).toBe(CR0.ET | CR0.NE | CR0.PE);
  });

  it("EFER keeps LMA as it is, refuses reserved bits and LME under paging", () => {
    const guest = new Guest().longMode();
    const efer = (value: number) => exceptionOf(() => writeEfer(guest.p, guest.mmu, BigInt(value)));
    expect(efer(EFER.LME)).toBeUndefined();
    expect(guest.p.efer).toBe(EFER.LME | EFER.LMA);
    expect([efer(0), efer(1 << 1), efer(EFER.LME | (1 << 14))]).toEqual(["13:0", "13:0", "13:0"]);
  });
});
