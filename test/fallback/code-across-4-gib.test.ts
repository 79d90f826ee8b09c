import { describe, expect, it } from "vitest";
import { pagesOf } from "../../fallback/jit/region.ts";
import { gpa } from "../../src/core/units.ts";
import { CODE, MODES, machine, runFor, TABLES } from "./jit/machine.ts";

const PAGED = MODES.find(({ name }) => name === "32-bit mode with paging");
const PAGE_SIZE = 0x1000;
/** Where linear page 0 leads: before, and afterwards. */
const BEFORE = CODE + PAGE_SIZE;
const AFTER = CODE + 2 * PAGE_SIZE;
/** The last page's table, and the entry of page 0. */
const LAST_TABLE = TABLES + 2 * PAGE_SIZE;
const ENTRY_OF_0 = TABLES + PAGE_SIZE;
const PRESENT_WRITABLE = 3;

/** The rest of `mov eax, 0x100 * n`; hlt; jmp back to it. */
const onSecondPage = (n: number): number[] => [n, 0, 0, 0xf4, 0xeb, 0xf8];

describe("code that begins below 4 GiB and ends at 0", () => {
  it("is another after INVLPG of page 0", () => {
    const { cpu, ram, clock } = machine([], undefined, PAGED);
    const u32 = (address: number, value: number): void =>
      ram.write(gpa(address), new Uint8Array(Uint32Array.of(value).buffer));
    u32(TABLES + 4 * 1023, LAST_TABLE | PRESENT_WRITABLE);
    u32(LAST_TABLE + 4 * 1023, CODE | PRESENT_WRITABLE);
    u32(ENTRY_OF_0, BEFORE | PRESENT_WRITABLE);
    ram.write(gpa(CODE + 0xffe), Uint8Array.of(0xb8, 0));
    ram.write(gpa(BEFORE), Uint8Array.from(onSecondPage(1)));
    ram.write(gpa(AFTER), Uint8Array.from(onSecondPage(2)));
    const registers = cpu.readRegisters();
    cpu.writeRegisters({ ...registers, cs: { ...registers.cs, base: 0xffff_f000n }, rip: 0xffen });
    const run = (): bigint => {
      expect(runFor({ cpu, ram, clock }, 100)).toBe(true);
      return cpu.readRegisters().rax;
    };
    expect(run()).toBe(0x100n);
    u32(ENTRY_OF_0, AFTER | PRESENT_WRITABLE);
    cpu.mmu.invalidatePage(0);
    expect(run()).toBe(0x200n);
  });

  it("is on pages 0xfffff and 0, and on consecutive ones in 64-bit mode", () => {
    const linear = 0xffff_fffen;
    const numbers = ([32, 64] as const).map((codeSize) => [
      ...pagesOf([{ linear, codeSize, pages: [8, 9] }]),
    ]);
    expect(numbers).toEqual([
      [
        [0xfffff, 8],
        [0, 9],
      ],
      [
        [0xfffff, 8],
        [0x100000, 9],
      ],
    ]);
  });
});
