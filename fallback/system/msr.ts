/** RDMSR and WRMSR (Intel SDM vol. 4). What is not listed does not exist: #GP(0). */
import { IA32_APIC_BASE, isApicBase } from "../../src/core/apic-base.ts";
import { isCanonical, PHYSICAL_BITS } from "../bits.ts";
import { generalProtection } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import { GPR, type Processor } from "../processor.ts";
import { SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "../state.ts";
import { writeEfer } from "./control-registers.ts";
import { everyByte, MTRR_CONSTANTS, MTRRS, type StoredMsr } from "./mtrr.ts";
import {
  acceptsPrediction,
  IA32_PRED_CMD,
  SPECULATION_CONSTANTS,
  SPECULATION_MSRS,
} from "./speculation.ts";
import { type TimeSource, timeStamp } from "./time-stamp.ts";

const IA32_P5_MC_ADDR = 0x0;
const IA32_P5_MC_TYPE = 0x1;
const IA32_TIME_STAMP_COUNTER = 0x10;
const IA32_PLATFORM_ID = 0x17;
const IA32_TSC_ADJUST = 0x3b;
const EBL_CR_POWERON = 0x2a;
const IA32_BIOS_SIGN_ID = 0x8b;
const FSB_FREQ = 0xcd;
const PLATFORM_INFO = 0xce;
const IA32_MCG_CAP = 0x179;
const IA32_MCG_STATUS = 0x17a;
/** Whether another ratio than that of PLATFORM_INFO was chosen: no. */
const FLEX_RATIO = 0x194;
const IA32_PERF_STATUS = 0x198;
const IA32_MISC_ENABLE = 0x1a0;
const IA32_DEBUGCTL = 0x1d9;
const IA32_EFER = 0xc000_0080;

/**
 * What firmware and operating systems switch: fast strings, thermal control, SpeedStep, MONITOR, the
 * limit of CPUID, xTPR messages, XD. It is kept, and changes nothing here.
 */
const MISC_ENABLE_WRITABLE = 0x4_00c5_0009n;
/** A bus of 100 MHz, times ten. */
const BUS_100_MHZ = 3n;
const RATIO_10 = (10n << 8n) | (10n << 40n);
/** UC, WC, WT, WP, WB and UC-. */
const PAT_TYPES = new Set([0, 1, 4, 5, 6, 7]);

const anything = (): boolean => true;
const word = (value: bigint): boolean => value >> 32n === 0n;
const base = (index: number): number => segmentOffset(index) + SEGMENT.BASE;

const STORED: ReadonlyMap<number, StoredMsr> = new Map<number, StoredMsr>([
  // What was added to the counter since it was zero, by writes to either register (Intel SDM vol. 3B, "Time-Stamp Counter Adjustment").
  [IA32_TSC_ADJUST, { offset: STATE.TSC_OFFSET, accepts: anything }],
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
  ...SPECULATION_MSRS,
]);

/**
 * Read-only. Besides what CPUID promises, some that every processor of this family has and that
 * guests read without asking: machine check has no banks, and nothing can be counted or recorded.
 */
const CONSTANTS: ReadonlyMap<number, bigint> = new Map([
  [IA32_P5_MC_ADDR, 0n],
  [IA32_P5_MC_TYPE, 0n],
  [IA32_PLATFORM_ID, 0n],
  [EBL_CR_POWERON, 0n],
  [IA32_BIOS_SIGN_ID, 0n],
  [FSB_FREQ, BUS_100_MHZ],
  [PLATFORM_INFO, RATIO_10],
  [IA32_MCG_CAP, 0n],
  [IA32_MCG_STATUS, 0n],
  [FLEX_RATIO, 0n],
  [IA32_PERF_STATUS, RATIO_10],
  [IA32_DEBUGCTL, 0n],
  ...MTRR_CONSTANTS,
  ...SPECULATION_CONSTANTS,
]);
/** Of these zero may be written. */
const CLEARED = new Set([IA32_P5_MC_ADDR, IA32_P5_MC_TYPE, IA32_MCG_STATUS, IA32_DEBUGCTL]);

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
  else if (CLEARED.has(msr) && value === 0n) return;
  else if (msr === IA32_PRED_CMD && acceptsPrediction(value)) return;
  // Loading microcode begins with clearing this one; there is none to load.
  else if (msr !== IA32_BIOS_SIGN_ID) throw generalProtection();
}

function writeMiscEnable(p: Processor, value: bigint): void {
  const changed = value ^ p.field(STATE.MISC_ENABLE);
  if ((changed & ~MISC_ENABLE_WRITABLE) !== 0n) throw generalProtection();
  p.setField(STATE.MISC_ENABLE, value);
}
