import { describe, expect, it } from "vitest";
import { CR4 } from "../../../fallback/bits.ts";
import { MmioNeeded } from "../../../fallback/memory/mmio.ts";
import { TLB_HASH_SHIFT } from "../../../fallback/memory/tlb.ts";
import { RAM_BASE, STATE, TLB, TLB_ENTRIES, TLB_ENTRY_SIZE } from "../../../fallback/state.ts";
import { writeControlRegister } from "../../../fallback/system/control-registers.ts";
import { exceptionOf, Guest, PAGE_TABLE, PAGE_TABLES, RAM_SIZE } from "../support/guest.ts";

const LENGTH_REDUCTION = 31;

function windowOf(guest: Guest, kind: "READ" | "WRITE"): [number, number] {
  const base = Number(guest.p.field(STATE[`${kind}_WINDOW_BASE`]));
  const length = Number(guest.p.field(STATE[`${kind}_WINDOW_LENGTH`]));
  return length === 0 ? [0, 0] : [base, base + length + LENGTH_REDUCTION];
}

/** What generated code does: whether an access hits the TLB, and where. */
function hit(guest: Guest, linear: bigint, write: boolean): number | undefined {
  const page = BigInt.asUintN(64, linear) >> 12n;
  const slot = Number((page + (page >> BigInt(TLB_HASH_SHIFT))) & BigInt(TLB_ENTRIES - 1));
  const at = TLB + guest.p.view.getInt32(STATE.TLB_AT, true) + slot * TLB_ENTRY_SIZE;
  if (guest.p.view.getBigUint64(at + (write ? 8 : 0), true) !== page) return undefined;
  return guest.p.view.getUint32(at + 16, true) - RAM_BASE;
}

describe("memory accesses", () => {
  it("cross pages, checking both before the first byte is written", () => {
    const guest = new Guest().longMode().smallPages();
    guest.mmu.write64(0x20_0ffc, 0x1122_3344_5566_7788n);
    expect([guest.u32(0x7ffc), guest.u32(0x20_1000)]).toEqual([0x5566_7788, 0x1122_3344]);
    expect(guest.mmu.read(0x20_0ffe, 4)).toBe(0x3344_5566);
    guest.setU64(PAGE_TABLE + 8, 0);
    guest.mmu.flush();
    expect(exceptionOf(() => guest.mmu.write(0x20_0ffe, 4, 0))).toBe("14:2");
    expect(guest.p.cr2).toBe(0x20_1000n);
    expect(guest.u32(0x7ffc)).toBe(0x5566_7788);
  });

  it("wrap at 4 GiB outside long mode", () => {
    const guest = new Guest().protectedMode();
    guest.setU16(0, 0xbeef);
    const access = { address: 0xffff_fffe, size: 2, write: false, value: 0n };
    guest.mmu.mmio.complete(access, 0x1234n);
    expect(guest.mmu.read(0xffff_fffe, 4)).toBe(0xbeef_1234);
  });

  it("move whole areas over a page's end", () => {
    const guest = new Guest().longMode().smallPages();
    const bytes = Uint8Array.from({ length: 100 }, (_, index) => index);
    guest.mmu.writeBytes(0x20_0fd0, bytes);
    const back = new Uint8Array(100);
    guest.mmu.readBytes(0x20_0fd0, back);
    expect(back).toEqual(bytes);
    expect(guest.ram.getUint8(0x20_1000)).toBe(0x30);
  });

  it.each([
    ["before", 0x20_0ffe, 0x7ffe],
    ["behind", 0x20_1ffe, 0x20_2000],
  ])("leave RAM as it is until a device %s has taken its part", (_, linear, inRam) => {
    const guest = new Guest().longMode().smallPages();
    guest.setU64(PAGE_TABLE + 8, 0xfee0_0007);
    guest.setU16(inRam, 0x1111);
    const write = () => guest.mmu.write(linear, 4, 0x2222_2222);
    expect(write).toThrow(MmioNeeded);
    expect(guest.ram.getUint16(inRam, true)).toBe(0x1111);
    const address = 0xfee0_0000 + (linear === 0x20_0ffe ? 0 : 0xffe);
    guest.mmu.mmio.complete({ address, size: 2, write: true, value: 0x2222n }, 0x2222n);
    guest.mmu.mmio.rewind();
    write();
    expect(guest.ram.getUint16(inRam, true)).toBe(0x2222);
  });

  it("ask for what is not RAM, and take the answers from the log when executed again", () => {
    const guest = new Guest().protectedMode();
    const instruction = () => {
      const value = guest.mmu.read(0xfee0_0020, 4);
      guest.mmu.write(0xfee0_0080, 4, value + 1);
    };
    const asked: string[] = [];
    for (let again = true; again; ) {
      guest.mmu.mmio.rewind();
      try {
        instruction();
        again = false;
      } catch (error) {
        if (!(error instanceof MmioNeeded)) throw error;
        asked.push(`${error.write ? "w" : "r"}${error.address.toString(16)}=${error.value}`);
        guest.mmu.mmio.complete(error, error.write ? error.value : 41n);
      }
    }
    expect(asked).toEqual(["rfee00020=0", "wfee00080=42"]);
  });

  it("ask anew where an instruction executed again goes elsewhere", () => {
    const guest = new Guest().protectedMode();
    guest.mmu.mmio.complete({ address: 0xfee0_0000, size: 4, write: false, value: 0n }, 1n);
    guest.mmu.mmio.complete({ address: 0xfee0_0010, size: 4, write: false, value: 0n }, 2n);
    expect(guest.mmu.read(0xfee0_0000, 4)).toBe(1);
    expect(() => guest.mmu.read(0xfee0_0020, 4)).toThrow();
    guest.mmu.mmio.rewind();
    expect(guest.mmu.read(0xfee0_0000, 4)).toBe(1);
    expect(() => guest.mmu.read(0xfee0_0010, 4)).toThrow();
  });

  it("tell of writes to code before they happen, those of page walks included", () => {
    const guest = new Guest().longMode();
    const writes: string[] = [];
    guest.mmu.onCodeWrite = (address, length) => {
      writes.push(`${address.toString(16)}+${length}:${guest.u32(0x5000)}`);
    };
    guest.mmu.write(0x5000, 4, 1);
    guest.mmu.markCode(5);
    guest.mmu.write(0x5000, 4, 2);
    guest.mmu.write(0x4ffe, 4, 0x3_0000);
    guest.mmu.unmarkCode(5);
    guest.mmu.write(0x5000, 4, 4);
    expect(writes).toEqual(["5000+4:1", "5000+2:2"]);
    guest.mmu.markCode((PAGE_TABLES + 0x2000) >> 12);
    guest.mmu.translate(0x20_0000, "write");
    expect(writes.at(-1)).toBe(`${(PAGE_TABLES + 0x2008).toString(16)}+4:4`);
  });
});

describe("TLB", () => {
  it("holds what was read and written, as generated code looks it up", () => {
    const guest = new Guest().longMode().smallPages();
    guest.mmu.read(0x20_0123, 1);
    expect([hit(guest, 0x20_0000n, false), hit(guest, 0x20_0000n, true)]).toEqual([
      0x7000,
      undefined,
    ]);
    guest.mmu.write(0x20_0123, 1, 0);
    expect(hit(guest, 0x20_0000n, true)).toBe(0x7000);
    guest.mmu.invalidatePage(0x20_0000);
    expect(hit(guest, 0x20_0000n, false)).toBeUndefined();
  });

  it("holds negative linear addresses under their unsigned page number", () => {
    const guest = new Guest().longMode();
    guest.setU64(PAGE_TABLES + 8 * 511, PAGE_TABLES + 0x1000 + 7);
    guest.mmu.read(-(2 ** 39), 4);
    expect(hit(guest, 0xffff_ff80_0000_0000n, false)).toBe(0);
    expect(hit(guest, 0xffff_ff80_0000_1000n, false)).toBeUndefined();
  });

  it("takes the write permission away from pages with code, through every mapping", () => {
    const guest = new Guest().longMode().smallPages();
    guest.mmu.write(0x7000, 1, 0);
    guest.mmu.write(0x20_0000, 1, 0);
    guest.mmu.markCode(7);
    expect([hit(guest, 0x7000n, true), hit(guest, 0x20_0000n, true)]).toEqual([
      undefined,
      undefined,
    ]);
    expect(hit(guest, 0x20_0000n, false)).toBe(0x7000);
    guest.mmu.write(0x20_0000, 1, 0);
    expect(hit(guest, 0x20_0000n, true)).toBeUndefined();
  });

  it("is for the current level: supervisor pages are forgotten on the way to level 3", () => {
    const guest = new Guest().longMode().smallPages();
    guest.setU64(PAGE_TABLE + 8, 0x20_1003);
    guest.mmu.read(0x20_1000, 1);
    guest.mmu.changePrivilege(3);
    expect(hit(guest, 0x20_1000n, false)).toBeUndefined();
    expect(guest.mmu.translate(0x20_1000, "read", false)).toBe(0x20_1000);
    expect(hit(guest, 0x20_1000n, false)).toBeUndefined();
    expect(exceptionOf(() => guest.mmu.read(0x20_1000, 1))).toBe("14:5");
    guest.mmu.changePrivilege(0);
    expect(hit(guest, 0x20_1000n, false)).toBe(0x20_1000);
  });

  it("is emptied for both levels when all mappings change", () => {
    const guest = new Guest().longMode().smallPages();
    guest.mmu.read(0x20_1000, 1);
    guest.mmu.changePrivilege(3);
    guest.mmu.read(0x20_2000, 1);
    guest.mmu.flush();
    expect(hit(guest, 0x20_2000n, false)).toBeUndefined();
    guest.mmu.changePrivilege(0);
    expect(hit(guest, 0x20_1000n, false)).toBeUndefined();
  });

  it("keeps global pages, and no others, when CR3 is loaded", () => {
    const guest = new Guest().longMode().smallPages();
    const global = 1 << 8;
    guest.setU64(PAGE_TABLE + 8, 0x20_1007 | global);
    const load = (cr4: number) => {
      guest.p.cr4 |= cr4;
      guest.mmu.read(0x20_1000, 1);
      guest.mmu.read(0x20_2000, 1);
      writeControlRegister(guest.p, guest.mmu, 3, guest.p.cr3);
      return [hit(guest, 0x20_1000n, false), hit(guest, 0x20_2000n, false)];
    };
    expect(load(0)).toEqual([undefined, undefined]);
    expect(load(CR4.PGE)).toEqual([0x20_1000, undefined]);
  });
});

describe("INVLPG", () => {
  it("forgets every part of a large page", () => {
    const guest = new Guest().longMode();
    guest.setU64(PAGE_TABLES + 8 * 511, PAGE_TABLES + 0x1000 + 7);
    guest.mmu.read(-(2 ** 39) + 0x1000, 4);
    guest.mmu.read(-(2 ** 39) + 0x20_0000, 4);
    guest.mmu.read(0x1000, 4);
    guest.mmu.invalidatePage(-(2 ** 39) + 0x5000);
    expect(hit(guest, 0xffff_ff80_0000_1000n, false)).toBeUndefined();
    expect(windowOf(guest, "READ")).toEqual([0, 0x40_0000]);
  });

  it("forgets no other small page", () => {
    const guest = new Guest().longMode().smallPages();
    guest.setU64(PAGE_TABLES + 8 * 511, PAGE_TABLES + 0x1000 + 7);
    guest.mmu.read(-(2 ** 39) + 0x20_1000, 4);
    guest.mmu.read(-(2 ** 39) + 0x20_2000, 4);
    guest.mmu.invalidatePage(-(2 ** 39) + 0x20_1000);
    expect(hit(guest, 0xffff_ff80_0020_1000n, false)).toBeUndefined();
    expect(hit(guest, 0xffff_ff80_0020_2000n, false)).toBe(0x20_2000);
  });
});

describe("identity windows", () => {
  it("cover all of RAM without paging, apart from translated code for writing", () => {
    const guest = new Guest().protectedMode();
    guest.mmu.write(0x5000, 1, 0);
    expect(windowOf(guest, "READ")).toEqual([0, RAM_SIZE]);
    expect(windowOf(guest, "WRITE")).toEqual([0, RAM_SIZE]);
    guest.mmu.markCode(0x100);
    expect(windowOf(guest, "WRITE")).toEqual([0x10_1000, RAM_SIZE]);
    guest.mmu.markCode(0x700);
    expect(windowOf(guest, "WRITE")).toEqual([0x10_1000, 0x70_0000]);
    guest.mmu.flush();
    const touch = (from: number, to: number) => {
      for (let page = from; page < to; page += 0x8000) guest.mmu.write(page, 1, 0);
    };
    touch(0x70_8000, RAM_SIZE);
    expect(windowOf(guest, "WRITE")).toEqual([0x70_1000, RAM_SIZE]);
    touch(0x10_8000, 0x70_0000);
    expect(windowOf(guest, "WRITE")).toEqual([0x10_1000, 0x70_0000]);
  });

  it("grow over 2 MiB pages, for writes over those that are dirty", () => {
    const guest = new Guest().longMode();
    guest.mmu.read(0x1000, 1);
    expect(windowOf(guest, "READ")).toEqual([0, 0x40_0000]);
    guest.mmu.write(0x20_0000, 1, 0);
    expect(windowOf(guest, "WRITE")).toEqual([0x20_0000, 0x40_0000]);
    guest.mmu.write(0x1000, 1, 0);
    expect(windowOf(guest, "WRITE")).toEqual([0, 0x40_0000]);
  });

  it("find the accessed flags of 2 MiB pages set beside one that is read, where these are alike", () => {
    const directory = PAGE_TABLES + 0x2000;
    const flagsOf = (entry: number, change: (guest: Guest) => void): number => {
      const guest = new Guest().longMode();
      change(guest);
      guest.mmu.read(0x1000, 1);
      return guest.u32(directory + 8 * entry) & 0x60;
    };
    expect(flagsOf(1, () => {})).toBe(0x20);
    expect(flagsOf(1, (guest) => guest.setU64(directory + 8, 0x20_0083))).toBe(0x20);
    // Mapped elsewhere; of 4 KiB pages; behind RAM.
    expect(flagsOf(1, (guest) => guest.setU64(directory + 8, 0x40_0083))).toBe(0);
    expect(flagsOf(1, (guest) => guest.smallPages())).toBe(0);
    const behind = RAM_SIZE / 0x20_0000;
    expect(behind).toBeLessThan(512);
    const mapAll = (guest: Guest): void => {
      for (let n = 1; n <= behind; n++) guest.setU64(directory + 8 * n, n * 0x20_0000 + 0x83);
    };
    expect([flagsOf(behind - 1, mapAll), flagsOf(behind, mapAll)]).toEqual([0x20, 0]);
  });

  it("for reading have another version when they lose something, and then alone", () => {
    const guest = new Guest().longMode();
    const version = () => guest.p.view.getInt32(STATE.READ_WINDOWS_VERSION, true);
    guest.mmu.read(0x1000, 1);
    const first = version();
    guest.mmu.read(0x20_0000, 1);
    guest.mmu.write(0x20_0000, 1, 0);
    guest.mmu.markCode(0x201);
    expect(version()).toBe(first);
    guest.mmu.flush();
    const flushed = version();
    expect(flushed).not.toBe(first);
    guest.mmu.read(0x1000, 1);
    guest.mmu.moveWindow("general", "read", 0x1000);
    expect(version()).toBe(flushed);
    guest.mmu.changePrivilege(3);
    expect(version()).not.toBe(flushed);
  });

  it("grow page by page where pages are small, and stop at other mappings", () => {
    const guest = new Guest().longMode().smallPages();
    for (const page of [1, 2, 3, 5, 4]) guest.mmu.write(0x20_0000 + page * 0x1000, 1, 0);
    expect(windowOf(guest, "WRITE")).toEqual([0x20_1000, 0x20_6000]);
  });

  it("stay at the larger of two places that are accessed in turns", () => {
    const guest = new Guest().longMode().smallPages();
    for (const page of [1, 2, 4, 5, 6]) guest.mmu.write(0x20_0000 + page * 0x1000, 1, 0);
    const move = (page: number) => {
      const moved = guest.mmu.moveWindow("general", "read", 0x20_0000 + page * 0x1000);
      return [moved, ...windowOf(guest, "READ")];
    };
    const [smaller, larger] = [
      [0x20_1000, 0x20_3000],
      [0x20_4000, 0x20_7000],
    ];
    expect(move(4)).toEqual([true, ...(larger as number[])]);
    expect(move(1)).toEqual([true, ...(smaller as number[])]);
    expect(move(6)).toEqual([true, ...(larger as number[])]);
    expect(move(2)).toEqual([false, ...(larger as number[])]);
    guest.mmu.flush();
    expect(move(2)).toEqual([true, ...(smaller as number[])]);
  });

  it("take many misses to grow over many small pages, never looking without bound", () => {
    const guest = new Guest().longMode().smallPages();
    for (let n = 1; n < 512; n++) guest.setU32(PAGE_TABLE + 8 * n, (0x20_0000 + n * 0x1000) | 0x67);
    const sizes: number[] = [];
    for (let miss = 0; miss < 6; miss++) {
      const [, end] = windowOf(guest, "READ");
      guest.mmu.read(Math.max(end, 0x20_1000), 1);
      const [from, to] = windowOf(guest, "READ");
      sizes.push((to - from) / 0x1000);
      if (to === 0x40_0000) break;
    }
    expect(sizes).toEqual([9, 26, 59, 124, 253, 510]);
  });

  it("are dropped by flush, INVLPG and a change between user and supervisor", () => {
    for (const drop of [
      (guest: Guest) => guest.mmu.flush(),
      (guest: Guest) => guest.mmu.invalidatePage(0x70_0000),
      (guest: Guest) => guest.mmu.changePrivilege(3),
    ]) {
      const guest = new Guest().longMode();
      guest.mmu.write(0x1000, 1, 0);
      expect(windowOf(guest, "WRITE")).toEqual([0, 0x20_0000]);
      drop(guest);
      expect([windowOf(guest, "READ"), windowOf(guest, "WRITE")]).toEqual([
        [0, 0],
        [0, 0],
      ]);
    }
  });
});
