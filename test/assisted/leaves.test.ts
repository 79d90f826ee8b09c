import { expect, test } from "vitest";
import { fallbackKnowsMode, hasRegistersOf } from "../../src/assisted/leaves.ts";
import { stateAt } from "../support/scripted-cpu.ts";

const AVX = 4n;
const OPMASK = 1n << 5n;
const ZMM_HI256 = 1n << 6n;

test("the fallback saves AVX's registers, and none of AVX-512 that are in use", () => {
  for (const name of ["xsave", "xsaveopt", "xrstor"]) {
    expect([AVX, OPMASK].map((inUse) => hasRegistersOf(name, inUse))).toEqual([true, false]);
  }
});

test("the fallback executes what clears the upper parts of vectors where it has all of them", () => {
  for (const [name, clears] of [
    ["vaddps", true],
    ["vzeroupper", true],
    ["verr", false],
    ["movaps", false],
  ] as const) {
    expect(hasRegistersOf(name, AVX | OPMASK)).toBe(true);
    expect(hasRegistersOf(name, ZMM_HI256)).toBe(!clears);
  }
  const state = stateAt(0);
  expect([AVX, ZMM_HI256].map((inUse) => fallbackKnowsMode(state, inUse))).toEqual([true, false]);
});
