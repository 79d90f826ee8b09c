/** An instruction that begins at a page's end and goes on at the same page's beginning, which is mapped behind it. */
import { expect, it } from "vitest";
import { gpa } from "../../src/core/units.ts";
import { CODE, MODES, machine, runFor, TABLES } from "./jit/machine.ts";

const PAGE_SIZE = 0x1000;
const ENTRY = 0x40;
/** mov eax, imm32: its last three bytes are the first of the page. */
const MOV = PAGE_SIZE - 2;
const le32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >> shift) & 0xff);

it.each([undefined, 1])("is noticed when its second part changes (threshold %s)", (threshold) => {
  const mode = MODES.find(({ system }) => system === "paging");
  const m = machine([], threshold, mode);
  const page = new Uint8Array(PAGE_SIZE);
  page.set([0x22, 0x33, 0x44, 0xc3]);
  page.set([0xb8, 0x11], MOV);
  const call = (at: number): number[] => [0xe8, ...le32(MOV - at - 5)];
  const code = [...call(ENTRY), 0x89, 0xc6];
  code.push(0xc6, 0x05, ...le32(CODE + 1), 0x55);
  code.push(...call(ENTRY + code.length), 0xf4);
  page.set(code, ENTRY);
  m.ram.write(gpa(CODE), page);
  const next = (CODE + PAGE_SIZE) / PAGE_SIZE;
  m.ram.writeU32(gpa(TABLES + PAGE_SIZE + 4 * next), CODE | 7);
  m.cpu.writeRegisters({ ...m.cpu.readRegisters(), rip: BigInt(CODE + ENTRY) });
  expect(runFor(m, 1000)).toBe(true);
  const { rsi, rax } = m.cpu.readRegisters();
  expect([rsi, rax]).toEqual([0x4433_2211n, 0x4455_2211n]);
});
