import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ARITHMETIC_FLAGS, RFLAGS } from "../../fallback/bits.ts";
import { Processor } from "../../fallback/processor.ts";
import { STATE } from "../../fallback/state.ts";

const { CF, PF, AF, ZF, SF, OF } = RFLAGS;

function lazily(result: bigint, carries: bigint, carry: number): number {
  const p = new Processor(new ArrayBuffer(0x1000));
  p.view.setBigInt64(STATE.FLAG_RESULT, result, true);
  p.view.setBigInt64(STATE.FLAG_CARRIES, carries, true);
  p.view.setInt32(STATE.FLAG_CARRY, carry, true);
  return p.rflags & ARITHMETIC_FLAGS;
}

const SIGN = -(1n << 63n);

describe("arithmetic flags", () => {
  it.each([
    ["zero, even parity", 0n, 0n, 0, ZF | PF],
    ["one, odd parity", 1n, 0n, 0, 0],
    ["three, even parity", 3n, 0n, 0, PF],
    ["parity of the low byte only", 0x100n, 0n, 0, PF],
    ["negative", -1n, 0n, 0, SF | PF],
    ["a carry into the sign alone overflows", 1n, SIGN, 0, OF],
    ["a carry in and out does not", 1n, SIGN, 1, CF],
    ["a carry out alone overflows", 1n, 0n, 1, CF | OF],
    ["carry out of bit 3", 1n, 0x10n, 0, AF],
    ["inverted sign and parity", 1n, 0n, 6, SF | PF],
  ])("come from the lazy form: %s", (_, result, carries, carry, flags) => {
    expect(lazily(result, carries, carry)).toBe(flags);
  });

  it("and all other flags come back as they were set", () => {
    const all = Object.values(RFLAGS).reduce<number>((mask, bit) => mask | bit, 0);
    const p = new Processor(new ArrayBuffer(0x1000));
    fc.assert(
      fc.property(fc.integer(), (flags) => {
        p.rflags = flags;
        expect(p.rflags).toBe((flags & all) | RFLAGS.FIXED);
        expect(p.systemFlags & ARITHMETIC_FLAGS).toBe(0);
      }),
    );
  });
});
