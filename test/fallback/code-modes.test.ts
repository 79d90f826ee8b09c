import { expect, test } from "vitest";
import { CodeModes } from "../../fallback/code-modes.ts";
import { CodeState } from "../../fallback/code-state.ts";
import { CODE_MODES, STATE } from "../../fallback/state.ts";
import { Guest } from "./support/guest.ts";

test("a mode of code has the same number whenever it comes back", () => {
  const modes = new CodeModes(() => {
    throw new Error("full");
  });
  const all: Parameters<CodeModes["numberOf"]>[] = [
    [16, 0, 0xffff],
    [32, 0, 0xffff],
    [16, 0x10, 0xffff],
    [16, 0, 0xffff_ffff],
  ];
  const numbers = all.map((mode) => modes.numberOf(...mode));
  expect(numbers).toEqual([1, 2, 3, 4]);
  expect([...all].reverse().map((mode) => modes.numberOf(...mode))).toEqual(numbers.reverse());
});

test("numbers begin anew when there are too many, and who has any hears of it", () => {
  let full = 0;
  const modes = new CodeModes(() => full++);
  for (let base = 0; base < CODE_MODES; base++) modes.numberOf(16, base, 0xffff);
  expect([modes.numberOf(16, CODE_MODES - 1, 0xffff), full]).toEqual([CODE_MODES, 0]);
  expect([modes.numberOf(16, CODE_MODES, 0xffff), full]).toEqual([1, 1]);
});

test("nothing is forgotten where code goes to another mode and back", () => {
  const guest = new Guest();
  let forgotten = 0;
  const code = new CodeState(guest.p, () => forgotten++);
  const key = () => guest.p.view.getBigUint64(STATE.CODE_KEY, true);
  code.synchronise();
  const real = key();
  guest.protectedMode();
  code.synchronise();
  const flat = key();
  guest.setSegment("ds", 0x10, 0xc093, 0x1000n);
  code.synchronise();
  const based = key();
  guest.setSegment("ds", 0x10, 0xc093);
  code.synchronise();
  expect(key()).toBe(flat);
  guest.mmu.changePrivilege(3);
  guest.mmu.changePrivilege(0);
  expect(key()).toBe(flat);
  expect(new Set([real, flat, based, 0n]).size).toBe(4);
  expect(forgotten).toBe(0);
});
