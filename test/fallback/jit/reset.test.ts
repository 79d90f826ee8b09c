import { expect, test } from "vitest";
import { begin, machine, runFor } from "./machine.ts";

/** mov ecx, 2000; again: add eax, ecx; dec ecx; jnz again; hlt */
const LOOP = [0xb9, 0xd0, 7, 0, 0, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa, 0xf4];
const EXECUTED = 2 + 3 * 2000;

test("what regions have executed before a reset is told of behind it", () => {
  const m = machine(LOOP, 3);
  const told = (): string | undefined => m.cpu.notes.find(([name]) => name === "executed")?.[1];
  for (let run = 1; run <= 2; run++) {
    while (!runFor(m, 10_000));
    expect(told()).toMatch(new RegExp(`^${run * EXECUTED} instructions.*, 99\\.\\d % of them`));
    m.cpu.reset();
    begin(m, LOOP);
  }
});
