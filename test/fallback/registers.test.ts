import { describe, expect, it } from "vitest";
import { GPR } from "../../fallback/processor.ts";
import { readRegisters, resetProcessor, writeRegisters } from "../../fallback/registers.ts";
import { FXSAVE, STATE } from "../../fallback/state.ts";
import { multibootEntryState } from "../../src/boot/entry-state.ts";
import { Guest } from "./support/guest.ts";

describe("registers", () => {
  it("come back as they were set", () => {
    const { p } = new Guest();
    const state = { ...multibootEntryState(0x10_0000, 0x9000, 0x500), r15: 0xfedc_ba98_7654_3210n };
    writeRegisters(p, state);
    expect(readRegisters(p)).toEqual(state);
  });

  it("imply mode and privilege level", () => {
    const { p } = new Guest().longMode(3);
    const state = readRegisters(p);
    p.cpl = 0;
    writeRegisters(p, state);
    expect([p.cpl, p.code64, p.codeSize, p.stackSize]).toEqual([3, true, 64, 64]);
    const cs = { ...state.cs, attributes: 0xc0fb };
    writeRegisters(p, { ...state, cs });
    expect([p.longMode, p.code64, p.codeSize, p.stackSize]).toEqual([true, false, 32, 32]);
    writeRegisters(p, { ...state, cr0: 0x10n, efer: 0n, cs: { ...cs, attributes: 0x9b } });
    expect([p.cpl, p.paragraphSegments, p.codeSize]).toEqual([0, true, 16]);
    writeRegisters(p, { ...state, efer: 0n, rflags: 0x2_0002n });
    expect([p.cpl, p.virtual8086, p.paragraphSegments]).toEqual([3, true, true]);
  });

  it("begin with YMM registers that are zero, and without their component in XCR0", () => {
    const { p } = new Guest();
    p.setField(STATE.XCR0, 7n);
    for (const at of [0, 255]) p.view.setUint8(STATE.YMM_UPPER + at, 1);
    resetProcessor(p);
    expect([0, 255].map((at) => p.view.getUint8(STATE.YMM_UPPER + at))).toEqual([0, 0]);
    expect(p.field(STATE.XCR0)).toBe(1n);
  });

  it("begin with an x87 unit that computes: exceptions masked, no register in use", () => {
    const { p } = new Guest();
    p.view.setUint8(STATE.FX_AREA + FXSAVE.TAG_WORD, 0xff);
    resetProcessor(p);
    const { CONTROL_WORD, STATUS_WORD, TAG_WORD } = FXSAVE;
    expect(p.view.getUint16(STATE.FX_AREA + CONTROL_WORD, true)).toBe(0x37f);
    expect(p.view.getUint16(STATE.FX_AREA + STATUS_WORD, true)).toBe(0);
    expect(p.view.getUint8(STATE.FX_AREA + TAG_WORD)).toBe(0);
  });

  it("start at the reset vector in real mode", () => {
    const { p } = new Guest().longMode(3);
    resetProcessor(p);
    const state = readRegisters(p);
    expect([state.cs.base + state.rip, state.cr0, state.rflags, state.efer]).toEqual([
      0xffff_fff0n,
      0x6000_0010n,
      2n,
      0n,
    ]);
    expect([p.cpl, p.codeSize, p.stackSize, p.dr(6), p.dr(7)]).toEqual([
      0,
      16,
      16,
      0xffff_0ff0n,
      0x400n,
    ]);
  });

  it("have halves: 32-bit writes clear the upper one, 16-bit writes keep all else", () => {
    const { p } = new Guest();
    p.setGpr(GPR.r8, -1n);
    p.setGpr16(GPR.r8, 0x1234);
    expect(p.gpr(GPR.r8)).toBe(0xffff_ffff_ffff_1234n);
    p.setGpr32(GPR.r8, 0x8000_0000);
    expect([p.gpr(GPR.r8), p.gpr32(GPR.r8)]).toEqual([0x8000_0000n, 0x8000_0000]);
  });
});
