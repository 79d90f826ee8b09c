import { beforeEach, describe, expect, test } from "vitest";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa } from "../../src/core/units.ts";
import { readLinear, writeLinear } from "../../src/debug/linear-memory.ts";
import { type PagingRegisters, translate, walkPages } from "../../src/debug/page-walk.ts";

const TABLES = 0x1_0000;
const LONG: PagingRegisters = { cr0: 0x8000_0001n, cr3: BigInt(TABLES), cr4: 0x20n, efer: 0xd00n };
const PAE: PagingRegisters = { ...LONG, efer: 0n };
const LEGACY: PagingRegisters = { ...PAE, cr4: 0x10n };
const REAL: PagingRegisters = { cr0: 0n, cr3: 0n, cr4: 0n, efer: 0n };

describe("the guest's page tables", () => {
  let memory: GuestMemory;

  beforeEach(() => {
    memory = new GuestMemory(new ArrayBuffer(0x4_0000));
  });

  const set = (table: number, index: number, value: number): void =>
    memory.writeU64(gpa(TABLES + 0x1000 * table + 8 * index), value);
  const set32 = (table: number, index: number, value: number): void =>
    memory.writeU32(gpa(TABLES + 0x1000 * table + 4 * index), value);
  const table = (n: number): number => TABLES + 0x1000 * n;

  test("of long mode have four levels", () => {
    set(0, 511, table(1) + 3);
    set(1, 510, table(2) + 7);
    set(2, 1, table(3) + 3);
    set(3, 5, 0x2_0001);
    const { steps, mapping } = walkPages(LONG, memory, 0xffff_ffff_8020_5678n);
    expect(steps.map((step) => step.table)).toEqual(["PML4", "PDPT", "PD", "PT"]);
    expect(steps.map((step) => step.address)).toEqual([
      table(0) + 8 * 511,
      table(1) + 8 * 510,
      table(2) + 8,
      table(3) + 40,
    ]);
    expect(mapping).toEqual({
      physical: 0x2_0678n,
      size: 0x1000n,
      writable: false,
      user: false,
      executable: true,
    });
  });

  test("may end early: in a large page, or where nothing is", () => {
    set(0, 0, table(1) + 7);
    set(1, 0, table(2) + 7);
    set(1, 1, 0x4000_0087);
    set(2, 0, 0x20_0083);
    expect(walkPages(LONG, memory, 0x12_3456n).mapping).toMatchObject({
      physical: 0x32_3456n,
      size: 0x20_0000n,
      user: false,
    });
    expect(walkPages(LONG, memory, 0x4000_1234n).mapping?.physical).toBe(0x4000_1234n);
    expect(walkPages(LONG, memory, 0x20_0000n).steps.at(-1)).toMatchObject({
      table: "PD",
      entry: 0n,
    });
    expect(translate(LONG, memory, 0x20_0000n)).toBeUndefined();
    // Not canonical; and a table that is not in RAM.
    expect(walkPages(LONG, memory, 1n << 47n)).toMatchObject({ steps: [], mapping: undefined });
    set(1, 2, 0x7fff_f003);
    expect(walkPages(LONG, memory, 0x8000_0000n).steps.at(-1)?.entry).toBeUndefined();
  });

  test("forbid execution only where EFER says that they can", () => {
    set(0, 0, table(1) + 3);
    set(1, 0, 0x83);
    memory.writeU32(gpa(table(1) + 4), 0x8000_0000);
    expect(walkPages(LONG, memory, 0n).mapping?.executable).toBe(false);
    expect(walkPages({ ...LONG, efer: 0x500n }, memory, 0n).mapping?.executable).toBe(true);
  });

  test("of PAE have three levels, and four entries in the first", () => {
    memory.writeU64(gpa(TABLES + 0x20 + 8 * 3), table(1) + 1);
    set(1, 511, table(2) + 3);
    set(2, 511, 0x3_0003);
    const registers = { ...PAE, cr3: BigInt(TABLES + 0x20) };
    expect(walkPages(registers, memory, 0xffff_ffffn)).toMatchObject({
      mode: "PAE",
      mapping: { physical: 0x3_0fffn, writable: true },
    });
  });

  test("of 32 bits have two, with pages of 4 MiB where CR4.PSE is set", () => {
    set32(0, 1, table(1) + 7);
    set32(1, 2, 0x2_0007);
    set32(0, 2, 0x80_2087);
    expect(translate(LEGACY, memory, 0x40_2abcn)).toBe(0x2_0abcn);
    expect(translate(LEGACY, memory, 0x80_0004n)).toBe(0x1_0080_0004n);
    set32(0, 2, table(1) + 0x87);
    expect(translate({ ...LEGACY, cr4: 0n }, memory, 0x80_2004n)).toBe(0x2_0004n);
  });

  test("may be switched off", () => {
    expect(walkPages(REAL, memory, 0x1234n)).toMatchObject({ mode: "none", steps: [] });
    expect(translate(REAL, memory, 0x1234n)).toBe(0x1234n);
  });

  test("memory is read page by page, as far as there is any, and written whole or not at all", () => {
    set(0, 0, table(1) + 3);
    set(1, 0, table(2) + 3);
    set(2, 0, table(3) + 3);
    // Two pages that follow each other in the other order.
    set(3, 1, 0x2_1003);
    set(3, 2, 0x2_0003);
    memory.write(gpa(0x2_1ffe), Uint8Array.of(1, 2));
    memory.write(gpa(0x2_0000), Uint8Array.of(3, 4));
    expect([...readLinear(LONG, memory, 0x1ffen, 4)]).toEqual([1, 2, 3, 4]);
    expect(readLinear(LONG, memory, 0x2ffen, 4).length).toBe(2);
    expect(readLinear(LONG, memory, 0x3000n, 4).length).toBe(0);
    const seen: number[] = [];
    memory.onWrite = (address) => seen.push(address);
    expect(writeLinear(LONG, memory, 0x2ffen, Uint8Array.of(9, 9, 9))).toBe(false);
    expect(seen).toEqual([]);
    expect(writeLinear(LONG, memory, 0x1fffn, Uint8Array.of(7, 8))).toBe(true);
    expect(seen).toEqual([0x2_1fff, 0x2_0000]);
    expect([memory.readU8(gpa(0x2_1fff)), memory.readU8(gpa(0x2_0000))]).toEqual([7, 8]);
  });
});
