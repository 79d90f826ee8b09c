import { expect, it } from "vitest";
import { run } from "./snippets.ts";

/** CF is set and the others of the six are cleared, whatever they were. */
const STATUS_FLAGS = 0x8d5n;

it.each([
  ["RDRAND", "f0"],
  ["RDSEED", "f8"],
])("%s fills its operand with chance, as wide as it is", (_name, modrm) => {
  const [wide, middle, narrow] = ["48 0f c7", "0f c7", "66 0f c7"].map((code) => {
    const { state } = run(`${code} ${modrm}`, (before) => {
      before.setGpr(0, 0x1234_5678_9abc_def0n);
      before.rflags = before.rflags | 0x8d4n;
    });
    expect(state.rflags & STATUS_FLAGS).toBe(1n);
    return state.gpr(0);
  });
  expect(wide).not.toBe(0x1234_5678_9abc_def0n);
  expect((middle ?? 1n) >> 32n).toBe(0n);
  expect((narrow ?? 0n) >> 16n).toBe(0x1234_5678_9abcn);
});
