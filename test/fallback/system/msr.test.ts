import { describe, expect, it } from "vitest";
import { CR4, EFER } from "../../../fallback/bits.ts";
import { GPR } from "../../../fallback/processor.ts";
import { SEGMENT_INDEX } from "../../../fallback/state.ts";
import { rdmsr, readMsr, writeMsr, wrmsr } from "../../../fallback/system/msr.ts";
import { rdtsc, rdtscp } from "../../../fallback/system/time-stamp.ts";
import { APIC_BASE_AT_RESET, IA32_APIC_BASE } from "../../../src/core/apic-base.ts";
import { exceptionOf, Guest } from "../support/guest.ts";

const FS_BASE = 0xc000_0100;
const EFER_MSR = 0xc000_0080;
const TSC = 0x10;
const TSC_ADJUST = 0x3b;

function setUp() {
  const guest = new Guest().longMode();
  const time = { now: 1000n, readTsc: () => time.now };
  return {
    ...guest,
    guest,
    time,
    read: (msr: number) => readMsr(guest.p, time, msr),
    write: (msr: number, value: bigint) =>
      exceptionOf(() => writeMsr(guest.p, guest.mmu, time, msr, value)),
  };
}

describe("model-specific registers", () => {
  it.each([
    ["SYSENTER_CS", 0x174, 0x1234n, undefined],
    ["LSTAR", 0xc000_0082, 0xffff_8000_0000_0000n, 1n << 47n],
    ["SFMASK", 0xc000_0084, 0xffff_ffffn, 1n << 32n],
    ["FS base", FS_BASE, 0x7fff_ffff_f000n, 0x8000_0000_0000n],
    ["kernel GS base", 0xc000_0102, 0xffff_ffff_ffff_ffffn, 0xffff_0000_0000_0000n],
    ["PAT", 0x277, 0x0001_0405_0607_0100n, 2n],
    ["an MTRR's base", 0x200, 0xff_ffff_f006n, 0xff_ffff_f002n],
    ["an MTRR's mask", 0x20f, 0xff_ffff_f800n, 1n << 40n],
    ["a fixed MTRR", 0x26f, 0x0606_0606_0606_0606n, 0x0700_0000_0000_0000n],
    ["the MTRR default", 0x2ff, 0xc06n, 0x1000n],
    ["APIC base", IA32_APIC_BASE, 0xfec0_0900n, 0xfee0_0c00n],
    ["TSC_AUX", 0xc000_0103, 7n, 1n << 32n],
    ["SPEC_CTRL", 0x48, 3n, 4n],
  ])("%s keeps what it takes, and takes nothing else", (_, msr, good, bad) => {
    const { read, write } = setUp();
    expect(write(msr, good)).toBeUndefined();
    expect(read(msr)).toBe(good);
    if (bad !== undefined) expect(write(msr, bad)).toBe("13:0");
    expect(read(msr)).toBe(good);
  });

  it("say that nothing is executed speculatively, and take the command to forget predictions", () => {
    const { read, write } = setUp();
    const [meltdown, enhancedIbrs] = [1n, 2n];
    expect(read(0x10a) & (meltdown | enhancedIbrs)).toBe(meltdown | enhancedIbrs);
    expect([write(0x10a, 0n), write(0x49, 1n), write(0x49, 2n)]).toEqual([
      "13:0",
      undefined,
      "13:0",
    ]);
    expect(exceptionOf(() => read(0x49))).toBe("13:0");
  });

  it("are the segment bases and EFER themselves", () => {
    const { p, read, write } = setUp();
    write(FS_BASE, 0x1234n);
    expect(p.segmentBase(SEGMENT_INDEX.fs as number)).toBe(0x1234n);
    write(EFER_MSR, BigInt(EFER.LME | EFER.SCE));
    expect([p.efer, read(EFER_MSR)]).toEqual([0x501, 0x501n]);
  });

  it("have the manual's values after reset", () => {
    const { read } = setUp();
    expect([read(0x277), read(IA32_APIC_BASE), read(0xfe), read(0x1a0)]).toEqual([
      0x0007_0406_0007_0406n,
      BigInt(APIC_BASE_AT_RESET),
      0x508n,
      0x1801n,
    ]);
  });

  it("that only tell refuse writes, and what there is not refuses everything", () => {
    const { read, write } = setUp();
    expect([write(0xfe, 0n), write(0x17, 0n), write(0x1a0, 0n), write(0x8b, 0n)]).toEqual([
      "13:0",
      "13:0",
      "13:0",
      undefined,
    ]);
    expect(write(0x1a0, 0x1800n)).toBeUndefined();
    for (const msr of [2, 0x4b56_4d01, 0xc001_0015]) {
      expect([exceptionOf(() => read(msr)), write(msr, 0n)]).toEqual(["13:0", "13:0"]);
    }
  });

  it("of machine check and debugging say that there is nothing", () => {
    const { read, write } = setUp();
    for (const msr of [0, 1, 0x17a, 0x1d9]) {
      expect([read(msr), write(msr, 0n), write(msr, 1n)]).toEqual([0n, undefined, "13:0"]);
    }
    expect([read(0x179), write(0x179, 0n)]).toEqual([0n, "13:0"]);
  });

  it("tell memory testers the ratio to the bus: ten, and no other chosen", () => {
    const { read } = setUp();
    expect([(read(0xce) >> 8n) & 0xffn, read(0x194), (read(0x198) >> 8n) & 0xffn]).toEqual([
      ...[10n, 0n, 10n],
    ]);
  });

  it("keep what operating systems switch of the processor's features", () => {
    const { read, write } = setUp();
    expect(write(0x1a0, 0x4_00c5_1808n)).toBeUndefined();
    expect(read(0x1a0)).toBe(0x4_00c5_1808n);
    expect([write(0x1a0, 0x1803n), write(0x1a0, 0x1n)]).toEqual(["13:0", "13:0"]);
  });

  it("go through ECX and EDX:EAX", () => {
    const { p, mmu, time } = setUp();
    p.setGpr(GPR.rcx, 0xffff_ffff_c000_0100n);
    p.setGpr(GPR.rax, 0xffff_ffff_8765_4321n);
    p.setGpr(GPR.rdx, 0xffff_ffff_0000_1234n);
    wrmsr(p, mmu, time);
    p.setGpr(GPR.rax, -1n);
    p.setGpr(GPR.rdx, -1n);
    rdmsr(p, time);
    expect([p.gpr(GPR.rax), p.gpr(GPR.rdx)]).toEqual([0x8765_4321n, 0x1234n]);
  });
});

describe("time stamp counter", () => {
  it("goes on from where it was set", () => {
    const { p, mmu, time } = setUp();
    writeMsr(p, mmu, time, TSC, 0xffff_ffff_0000_0000n);
    time.now += 5n;
    rdtsc(p, time);
    expect([p.gpr(GPR.rax), p.gpr(GPR.rdx)]).toEqual([5n, 0xffff_ffffn]);
    writeMsr(p, mmu, time, TSC, 3n);
    expect(readMsr(p, time, TSC)).toBe(3n);
  });

  it("is adjusted by what is added to it in either way", () => {
    const { p, mmu, time } = setUp();
    expect(readMsr(p, time, TSC_ADJUST)).toBe(0n);
    writeMsr(p, mmu, time, TSC_ADJUST, 7n);
    expect(readMsr(p, time, TSC)).toBe(1007n);
    writeMsr(p, mmu, time, TSC, 3n);
    expect(readMsr(p, time, TSC_ADJUST)).toBe(BigInt.asUintN(64, 3n - 1000n));
    time.now += 5n;
    writeMsr(p, mmu, time, TSC_ADJUST, 0n);
    expect(readMsr(p, time, TSC)).toBe(1005n);
  });

  it("comes with TSC_AUX, and to outer levels unless CR4.TSD", () => {
    const { p, mmu, time } = setUp();
    writeMsr(p, mmu, time, 0xc000_0103, 9n);
    mmu.changePrivilege(3);
    rdtscp(p, time);
    expect([p.gpr(GPR.rax), p.gpr(GPR.rcx)]).toEqual([1000n, 9n]);
    p.cr4 |= CR4.TSD;
    expect(exceptionOf(() => rdtscp(p, time))).toBe("13:0");
  });
});
