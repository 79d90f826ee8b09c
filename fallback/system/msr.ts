/** RDMSR and WRMSR (Intel SDM vol. 4). What is not listed does not exist: #GP(0). */
import { IA32_APIC_BASE, isApicBase } from "../../src/core/apic-base.ts";
import { isCanonical, PHYSICAL_BITS } from "../bits.ts";
import { generalProtection } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import { GPR, type Processor } from "../processor.ts";
import { SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "../state.ts";
import { writeEfer } from "./control-registers.ts";
import { everyByte, MTRR_CONSTANTS, MTRRS, type StoredMsr } from "./mtrr.ts";
import { type TimeSource, timeStamp } from "./time-stamp.ts";

const IA32_TIME_STAMP_COUNTER = 0x10;
const IA32_PLATFORM_ID = 0x17;
const IA32_BIOS_SIGN_ID = 0x8b;
const IA32_MISC_ENABLE = 0x1a0;
const IA32_EFER = 0xc000_0080;

/** Only fast string operations can be switched; all else tells what there is not. */
const MISC_ENABLE_WRITABLE = 1n;
/** UC, WC, WT, WP, WB and UC-. */
const PAT_TYPES = new Set([0, 1, 4, 5, 6, 7]);

const anything = (): boolean => true;
const word = (value: bigint): boolean => value >> 32n === 0n;
const base = (index: number): number => segmentOffset(index) + SEGMENT.BASE;

const STORED: ReadonlyMap<number, StoredMsr> = new Map<number, StoredMsr>([
  [0x174, { offset: STATE.SYSENTER_CS, accepts: anything }],
  [0x175, { offset: STATE.SYSENTER_ESP, accepts: isCanonical }],
  [0x176, { offset: STATE.SYSENTER_EIP, accepts: isCanonical }],
  [0x277, { offset: STATE.PAT, accepts: (v) => everyByte(v, (byte) => PAT_TYPES.has(byte)) }],
  [
    IA32_APIC_BASE,
    { offset: STATE.APIC_BASE, accepts: (v) => isApicBase(Number(v), PHYSICAL_BITS) },
  ],
  [0xc000_0081, { offset: STATE.STAR, accepts: anything }],
  [0xc000_0082, { offset: STATE.LSTAR, accepts: isCanonical }],
  [0xc000_0083, { offset: STATE.CSTAR, accepts: isCanonical }],
  [0xc000_0084, { offset: STATE.SFMASK, accepts: word }],
  [0xc000_0100, { offset: base(SEGMENT_INDEX.fs), accepts: isCanonical }],
  [0xc000_0101, { offset: base(SEGMENT_INDEX.gs), accepts: isCanonical }],
  [0xc000_0102, { offset: STATE.KERNEL_GS_BASE, accepts: isCanonical }],
  [0xc000_0103, { offset: STATE.TSC_AUX, accepts: word }],
  ...MTRRS,
]);

/** Read-only; microcode's revision can be written, which loads nothing. */
const CONSTANTS: ReadonlyMap<number, bigint> = new Map([
  [IA32_PLATFORM_ID, 0n],
  [IA32_BIOS_SIGN_ID, 0n],
  ...MTRR_CONSTANTS,
]);

/** RDMSR: number in ECX, value to EDX:EAX. @throws CpuException #GP(0) */
export function rdmsr(p: Processor, time: TimeSource): void {
  const value = readMsr(p, time, p.gpr32(GPR.rcx));
  p.setGpr32(GPR.rax, Number(value & 0xffff_ffffn));
  p.setGpr32(GPR.rdx, Number(value >> 32n));
}

/** WRMSR: number in ECX, value in EDX:EAX. @throws CpuException #GP(0) */
export function wrmsr(p: Processor, mmu: Mmu, time: TimeSource): void {
  const value = (BigInt(p.gpr32(GPR.rdx)) << 32n) | BigInt(p.gpr32(GPR.rax));
  writeMsr(p, mmu, time, p.gpr32(GPR.rcx), value);
}

/** @throws CpuException #GP(0) */
export function readMsr(p: Processor, time: TimeSource, msr: number): bigint {
  const stored = STORED.get(msr);
  if (stored !== undefined) return p.field(stored.offset);
  if (msr === IA32_EFER) return BigInt(p.efer);
  if (msr === IA32_TIME_STAMP_COUNTER) return timeStamp(p, time);
  if (msr === IA32_MISC_ENABLE) return p.field(STATE.MISC_ENABLE);
  const constant = CONSTANTS.get(msr);
  if (constant === undefined) throw generalProtection();
  return constant;
}

/** @param value 64 bits, unsigned @throws CpuException #GP(0) */
export function writeMsr(
  p: Processor,
  mmu: Mmu,
  time: TimeSource,
  msr: number,
  value: bigint,
): void {
  const stored = STORED.get(msr);
  if (stored !== undefined) {
    if (!stored.accepts(value)) throw generalProtection();
    p.setField(stored.offset, value);
  } else if (msr === IA32_EFER) writeEfer(p, mmu, value);
  else if (msr === IA32_TIME_STAMP_COUNTER) {
    p.setField(STATE.TSC_OFFSET, BigInt.asUintN(64, value - time.readTsc()));
  } else if (msr === IA32_MISC_ENABLE) writeMiscEnable(p, value);
  else if (msr !== IA32_BIOS_SIGN_ID) throw generalProtection();
}

function writeMiscEnable(p: Processor, value: bigint): void {
  const changed = value ^ p.field(STATE.MISC_ENABLE);
  if ((changed & ~MISC_ENABLE_WRITABLE) !== 0n) throw generalProtection();
  p.setField(STATE.MISC_ENABLE, value);
}
