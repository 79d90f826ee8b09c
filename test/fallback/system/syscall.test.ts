import { describe, expect, it } from "vitest";
import { EFER, RFLAGS } from "../../../fallback/bits.ts";
import { GPR } from "../../../fallback/processor.ts";
import { SEGMENT_INDEX, STATE } from "../../../fallback/state.ts";
import { swapgs, syscall, sysenter, sysexit, sysret } from "../../../fallback/system/syscall.ts";
import { exceptionOf, Guest } from "../support/guest.ts";

const { cs, ss, gs } = SEGMENT_INDEX as { cs: number; ss: number; gs: number };
const RIP = 0x1_2345n;
const NOT_CANONICAL = 1n << 47n;

function guestAt(level: 0 | 3): Guest {
  const guest = new Guest().longMode(level);
  const { p } = guest;
  p.rip = RIP;
  p.setGpr(GPR.rsp, 0x9000n);
  p.setField(STATE.STAR, (0x23n << 48n) | (0x08n << 32n));
  p.setField(STATE.LSTAR, 0xffff_8000_0000_1000n);
  p.setField(STATE.SFMASK, BigInt(RFLAGS.IF | RFLAGS.DF));
  p.setField(STATE.SYSENTER_CS, 0x08n);
  p.setField(STATE.SYSENTER_ESP, 0xffff_8000_0000_2000n);
  p.setField(STATE.SYSENTER_EIP, 0xffff_8000_0000_3000n);
  return guest;
}

/** CS, SS with attributes, and the level. */
function segments({ p }: Guest): string[] {
  const show = (index: number) => {
    const { selector, base, limit, attributes } = p.segment(index);
    expect([base, limit]).toEqual([0n, 0xffff_ffff]);
    return `${selector.toString(16)}:${attributes.toString(16)}`;
  };
  return [show(cs), show(ss), `level ${p.cpl}`];
}

describe("SYSCALL and SYSRET", () => {
  it("go in with masked flags and come back with the old ones", () => {
    const guest = guestAt(3);
    const { p, mmu } = guest;
    p.rflags = RFLAGS.IF | RFLAGS.DF | RFLAGS.ZF;
    syscall(p, mmu);
    expect([p.rip, p.gpr(GPR.rcx), p.gpr(GPR.r11), p.rflags]).toEqual([
      0xffff_8000_0000_1000n,
      RIP,
      0x642n,
      0x42,
    ]);
    expect([segments(guest), p.gpr(GPR.rsp)]).toEqual([["8:a09b", "10:c093", "level 0"], 0x9000n]);
    sysret(p, mmu, true);
    expect([p.rip, p.rflags, p.code64]).toEqual([RIP, 0x642, true]);
    expect(segments(guest)).toEqual(["33:a0fb", "2b:c0f3", "level 3"]);
  });

  it("return to compatibility mode without REX.W", () => {
    const guest = guestAt(0);
    guest.p.setGpr(GPR.rcx, 0xffff_ffff_8000_0000n);
    guest.p.setGpr(GPR.r11, BigInt(RFLAGS.RF | RFLAGS.VM | RFLAGS.CF));
    sysret(guest.p, guest.mmu, false);
    expect(segments(guest)).toEqual(["23:c0fb", "2b:c0f3", "level 3"]);
    expect([guest.p.rip, guest.p.rflags]).toEqual([0x8000_0000n, 3]);
  });

  it("do not exist without EFER.SCE or outside 64-bit mode", () => {
    const off = guestAt(0);
    off.p.efer &= ~EFER.SCE;
    const compatible = guestAt(0);
    compatible.setSegment("cs", 8, 0xc09b);
    for (const { p, mmu } of [off, compatible]) {
      expect(exceptionOf(() => syscall(p, mmu))).toBe("6");
      expect(exceptionOf(() => sysret(p, mmu, true))).toBe("6");
    }
  });

  it("return only from level 0 to canonical addresses", () => {
    const { p, mmu } = guestAt(3);
    expect(exceptionOf(() => sysret(p, mmu, true))).toBe("13:0");
    const inner = guestAt(0);
    inner.p.setGpr(GPR.rcx, NOT_CANONICAL);
    expect(exceptionOf(() => sysret(inner.p, inner.mmu, true))).toBe("13:0");
    expect(inner.p.cpl).toBe(0);
  });
});

describe("SYSENTER and SYSEXIT", () => {
  it("use 64 bits in long mode", () => {
    const guest = guestAt(3);
    const { p, mmu } = guest;
    p.rflags = RFLAGS.IF;
    sysenter(p, mmu);
    expect(segments(guest)).toEqual(["8:a09b", "10:c093", "level 0"]);
    expect([p.rip, p.gpr(GPR.rsp), p.rflags]).toEqual([
      0xffff_8000_0000_3000n,
      0xffff_8000_0000_2000n,
      2,
    ]);
    p.setGpr(GPR.rdx, 0x5000n);
    p.setGpr(GPR.rcx, 0x6000n);
    sysexit(p, mmu, true);
    expect(segments(guest)).toEqual(["2b:a0fb", "33:c0f3", "level 3"]);
    expect([p.rip, p.gpr(GPR.rsp)]).toEqual([0x5000n, 0x6000n]);
  });

  it("use 32 bits in protected mode", () => {
    const guest = new Guest().protectedMode(3);
    guest.p.setField(STATE.SYSENTER_CS, 0x0bn);
    guest.p.setField(STATE.SYSENTER_EIP, 0x3000n);
    sysenter(guest.p, guest.mmu);
    expect(segments(guest)).toEqual(["8:c09b", "10:c093", "level 0"]);
    sysexit(guest.p, guest.mmu, false);
    expect(segments(guest)).toEqual(["1b:c0fb", "23:c0f3", "level 3"]);
  });

  it("fault unconfigured, in real mode, from outer levels, to odd addresses", () => {
    const { p, mmu } = guestAt(0);
    p.setGpr(GPR.rdx, NOT_CANONICAL);
    expect(exceptionOf(() => sysexit(p, mmu, true))).toBe("13:0");
    p.setField(STATE.SYSENTER_CS, 3n);
    expect(exceptionOf(() => sysenter(p, mmu))).toBe("13:0");
    expect(exceptionOf(() => sysexit(p, mmu, true))).toBe("13:0");
    const outer = guestAt(3);
    expect(exceptionOf(() => sysexit(outer.p, outer.mmu, true))).toBe("13:0");
    const real = new Guest();
    real.p.setField(STATE.SYSENTER_CS, 8n);
    expect(exceptionOf(() => sysenter(real.p, real.mmu))).toBe("13:0");
  });
});

describe("SWAPGS", () => {
  it("swaps at level 0 of 64-bit mode", () => {
    const { p } = guestAt(0);
    p.setField(STATE.KERNEL_GS_BASE, 0x1234n);
    p.setSegmentBase(gs, 0x5678n);
    swapgs(p);
    expect([p.segmentBase(gs), p.field(STATE.KERNEL_GS_BASE)]).toEqual([0x1234n, 0x5678n]);
    expect(exceptionOf(() => swapgs(guestAt(3).p))).toBe("13:0");
    expect(exceptionOf(() => swapgs(new Guest().protectedMode().p))).toBe("6");
  });
});
