import { expect, test } from "vitest";
import { createFallbackCpu } from "../../fallback/index.ts";
import { fallbackKnowsMode, hasRegistersOf, leavesToKvm } from "../../src/assisted/leaves.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import { gpa, NEVER } from "../../src/core/units.ts";
import { allocateMemory } from "../../src/machine/memory.ts";
import { stateAt } from "../support/scripted-cpu.ts";

const AVX = 4n;
const OPMASK = 1n << 5n;
const ZMM_HI256 = 1n << 6n;
const OSXSAVE = 1n << 18n;
const HLT = 0xf4;

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

test.each([
  ["xsave", [0x0f, 0xae, 0x27], true],
  ["xrstor", [0x0f, 0xae, 0x2f], true],
  ["xsaves", [0x0f, 0xc7, 0x2f], false],
] as const)("the fallback leaves %s to KVM, but where it has all that XCR0 has", (_, code, own) => {
  const { whole, ram } = allocateMemory(2);
  const clock = new VirtualClock();
  const fallback = createFallbackCpu({
    ...{ memory: whole, ramSize: ram.size, clock, leaves: leavesToKvm },
    hostWaits: () => false,
  });
  ram.write(gpa(0x1000), Uint8Array.of(...code, HLT));
  const { registers, ...state } = fallback.readState();
  const cs = { ...registers.cs, selector: 0, base: 0n };
  const start = { ...registers, cs, rip: 0x1000n, rbx: 0x4000n, cr4: OSXSAVE };
  for (const [xcr0, kind] of [
    [7n, own ? "halt" : "cannot-continue"],
    [7n | OPMASK, "cannot-continue"],
    [7n, own ? "halt" : "cannot-continue"],
  ] as const) {
    fallback.writeState({ ...state, registers: start, xcr0 });
    expect(fallback.run(NEVER).kind).toBe(kind);
  }
});
