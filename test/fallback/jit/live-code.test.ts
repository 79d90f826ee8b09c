import { expect, test } from "vitest";
import { RAM_OFFSET } from "../../../src/core/guest-memory.ts";
import { gpa } from "../../../src/core/units.ts";
import { CodeCheck } from "../../support/code-check.ts";
import { CODE, machine, runFor } from "./machine.ts";

/** mov ecx, 2000; again: add eax, ecx; dec ecx; jnz again; hlt */
const LOOP = [0xb9, 0xd0, 7, 0, 0, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa, 0xf4];
/** Of ADD's ModRM. */
const CHANGED = CODE + 6;

function checked(): { m: ReturnType<typeof machine>; check: CodeCheck } {
  const m = machine(LOOP, 3);
  m.ram.onWrite = (address, length) => m.cpu.mmu.noticeWrite(address, length);
  const check = new CodeCheck(m.cpu, m.ram.slice(gpa(0), m.ram.size));
  runFor(m, 1000);
  expect(check.find()).toBeUndefined();
  return { m, check };
}

test("what is written over code leaves nothing that was made of it", () => {
  const { m, check } = checked();
  m.ram.writeU8(gpa(CHANGED), 0xd0);
  expect(check.find()).toBeUndefined();
  runFor(m, 1000);
  expect(check.find()).toBeUndefined();
  expect(m.cpu.liveCode.all.length).toBeGreaterThan(0);
});

test("the check finds what was made of code that is no longer there", () => {
  const { m, check } = checked();
  new Uint8Array(m.ram.buffer, RAM_OFFSET)[CHANGED] = 0xd0;
  expect(check.find()).toMatch(/^code at 2000\d\d is stale$/);
});

test("the check finds code whose changes nobody would notice", () => {
  const { m, check } = checked();
  m.cpu.mmu.unmarkCode(CODE >> 12);
  expect(check.find()).toMatch(/^code at 2000\d\d is not guarded$/);
});
