import { describe, expect, it } from "vitest";
import { CR4 } from "../../../fallback/bits.ts";
import { GPR } from "../../../fallback/processor.ts";
import { STATE } from "../../../fallback/state.ts";
import { cpuid, cpuidLeaf, PROCESSOR_SIGNATURE } from "../../../fallback/system/cpuid.ts";
import { xgetbv, xsetbv } from "../../../fallback/system/extended-control.ts";
import { exceptionOf, Guest } from "../support/guest.ts";

const bit = (value: number, n: number): number => (value >>> n) & 1;
const text = (...words: number[]): string =>
  String.fromCharCode(...words.flatMap((word) => [0, 8, 16, 24].map((s) => (word >>> s) & 0xff)));

describe("CPUID", () => {
  it("names vendor, processor and hypervisor", () => {
    const { p } = new Guest().longMode();
    p.setGpr(GPR.rax, 0xffff_ffff_0000_0000n);
    cpuid(p);
    const register = (name: "rbx" | "rdx" | "rcx") => p.gpr32(GPR[name]);
    expect(text(register("rbx"), register("rdx"), register("rcx"))).toBe("GenuineIntel");
    expect(p.gpr(GPR.rax)).toBe(0x16n);
    expect(cpuidLeaf(p, 1, 0)[0]).toBe(PROCESSOR_SIGNATURE);
    const brand = [2, 3, 4].map((n) => text(...cpuidLeaf(p, 0x8000_0000 + n, 0))).join("");
    expect(brand.replace(/\0+$/, "")).toBe("solo5-kvm TypeScript processor");
    expect(text(...cpuidLeaf(p, 0x4000_0000, 0).slice(1))).toBe("solo5-kvm\0\0\0");
    expect(cpuidLeaf(p, 0x4000_0001, 0)).toEqual([0, 0, 0, 0]);
  });

  it("claims what x86-64-v3 is made of, and nothing that would raise #UD", () => {
    const { p } = new Guest().longMode();
    const [, , ecx, edx] = cpuidLeaf(p, 1, 0);
    const [, , counting, extended] = cpuidLeaf(p, 0x8000_0001, 0);
    // LAHF, LZCNT and PREFETCHW.
    for (const n of [0, 5, 8]) expect(bit(counting, n)).toBe(1);
    for (const n of [0, 1, 9, 12, 13, 19, 20, 22, 23, 25, 28, 29]) expect(bit(ecx, n)).toBe(1);
    for (const n of [0, 2, 4, 5, 6, 7, 8, 11, 14, 15, 23, 24, 25, 26]) expect(bit(edx, n)).toBe(1);
    for (const n of [11, 20, 26, 27, 29]) expect(bit(extended, n)).toBe(1);
    // MONITOR, PCID, x2APIC
    for (const n of [3, 17, 21]) expect(bit(ecx, n)).toBe(0);
    // FSGSBASE, TSC_ADJUST, BMI1, AVX2, what x87's pointers do not tell, BMI2, RDSEED, ADX, CLFLUSHOPT,
    // CLWB, SHA.
    const leaf7 = [0, 1, 3, 5, 6, 8, 13, 18, 19, 23, 24, 29].reduce((all, n) => all | (1 << n), 0);
    // VAES, VPCLMULQDQ, RDPID.
    const vectors = (1 << 9) | (1 << 10) | (1 << 22);
    // SERIALIZE, and registers about speculation.
    const others = (1 << 14) | (1 << 26) | (1 << 29);
    expect(cpuidLeaf(p, 7, 0)).toEqual([0, leaf7, vectors, others]);
    expect(cpuidLeaf(p, 7, 1)).toEqual([0, 0, 0, 0]);
  });

  it("follows OSXSAVE, the APIC's enable bit and the code size", () => {
    const guest = new Guest().longMode();
    const { p } = guest;
    const [, , ecx, edx] = cpuidLeaf(p, 1, 0);
    expect([bit(ecx, 27), bit(edx, 9)]).toEqual([0, 1]);
    p.cr4 |= CR4.OSXSAVE;
    p.setField(STATE.APIC_BASE, 0xfee0_0000n);
    const [, , ecxAfter, edxAfter] = cpuidLeaf(p, 1, 0);
    expect([bit(ecxAfter, 27), bit(edxAfter, 9)]).toEqual([1, 0]);
    guest.setSegment("cs", 8, 0xc09b);
    expect(bit(cpuidLeaf(p, 0x8000_0001, 0)[3], 11)).toBe(0);
  });

  it("answers beyond its last leaf as for the last basic one", () => {
    const { p } = new Guest();
    const last = cpuidLeaf(p, 0x16, 0);
    expect(last).toEqual([1000, 1000, 100, 0]);
    expect(cpuidLeaf(p, 0x100, 0)).toEqual(last);
    expect(cpuidLeaf(p, 0x8000_0009, 0)).toEqual(last);
    expect(cpuidLeaf(p, 0xffff_ffff, 0)).toEqual(last);
  });

  it("describes XSAVE's area, and the clocks as nanoseconds", () => {
    const { p } = new Guest();
    expect(cpuidLeaf(p, 0xd, 0)).toEqual([7, 576, 832, 0]);
    p.setField(STATE.XCR0, 7n);
    expect(cpuidLeaf(p, 0xd, 0)).toEqual([7, 832, 832, 0]);
    expect(cpuidLeaf(p, 0xd, 1)).toEqual([7, 832, 0, 0]);
    expect(cpuidLeaf(p, 0xd, 2)).toEqual([256, 576, 0, 0]);
    expect(cpuidLeaf(p, 0xd, 3)).toEqual([0, 0, 0, 0]);
    const [denominator, numerator, crystal] = cpuidLeaf(p, 0x15, 0);
    expect((crystal * numerator) / denominator).toBe(1e9);
  });

  it("describes caches until there are no more", () => {
    const { p } = new Guest();
    const sizes = [0, 1, 2].map((n) => {
      const [, ebx, sets] = cpuidLeaf(p, 4, n);
      return ((ebx >>> 22) + 1) * ((ebx & 0xfff) + 1) * (sets + 1);
    });
    expect(sizes).toEqual([32, 32, 256].map((kib) => kib * 1024));
    expect(cpuidLeaf(p, 4, 3)).toEqual([0, 0, 0, 0]);
  });

  it("tells the address widths", () => {
    expect(cpuidLeaf(new Guest().p, 0x8000_0008, 0)[0]).toBe((48 << 8) | 40);
  });
});

describe("XGETBV and XSETBV", () => {
  it("exist under OSXSAVE, and x87's state stays on", () => {
    const { p } = new Guest().longMode();
    expect(exceptionOf(() => xgetbv(p))).toBe("6");
    p.cr4 |= CR4.OSXSAVE;
    const set = (value: bigint): string | undefined => {
      p.setGpr(GPR.rax, value & 0xffff_ffffn);
      p.setGpr(GPR.rdx, value >> 32n);
      return exceptionOf(() => xsetbv(p));
    };
    for (const value of [1n, 7n, 3n]) expect(set(value)).toBeUndefined();
    for (const value of [0n, 2n, 5n, 15n, 3n | (1n << 62n)]) expect(set(value)).toBe("13:0");
    xgetbv(p);
    expect([p.gpr(GPR.rax), p.gpr(GPR.rdx)]).toEqual([3n, 0n]);
    p.setGpr(GPR.rcx, 1n);
    expect(set(3n)).toBe("13:0");
    p.setGpr(GPR.rcx, 2n);
    expect(exceptionOf(() => xgetbv(p))).toBe("13:0");
  });

  it("tell which components are in use", () => {
    const { p } = new Guest().longMode();
    p.cr4 |= CR4.OSXSAVE;
    p.setField(STATE.XCR0, 7n);
    p.view.setUint16(STATE.X87_CONTROL, 0x37f, true);
    p.setGpr(GPR.rcx, 1n);
    const inUse = (): bigint => {
      xgetbv(p);
      return p.gpr(GPR.rax);
    };
    expect(inUse()).toBe(0n);
    p.view.setUint8(STATE.YMM_UPPER + 255, 1);
    expect(inUse()).toBe(4n);
    p.view.setUint8(STATE.XMM, 1);
    p.view.setUint8(STATE.X87_TAGS, 1);
    expect(inUse()).toBe(7n);
    p.setField(STATE.XCR0, 3n);
    expect(inUse()).toBe(3n);
  });
});
