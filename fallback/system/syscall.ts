/** Fast system calls (Intel SDM vol. 2B: SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS). */
import type { Segment } from "../../src/core/cpu.ts";
import { EFER, isCanonical, RFLAGS } from "../bits.ts";
import { generalProtection, undefinedOpcode } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import { ATTRIBUTE, GPR, type Processor } from "../processor.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";
import { enterCode } from "./code-segments.ts";

const FLAT_LIMIT = 0xffff_ffff;
/** Present, accessed, readable code or writable data, 4 KiB granularity; code without D and L. */
const CODE = 0x809b;
const DATA = 0xc093;
const LEVEL_SHIFT = 5;

/** What SYSRET takes from R11: not RF, not VM. */
const SYSRET_FLAGS = 0x3c_7fd7;

/** RIP is behind the instruction. @throws CpuException #UD */
export function syscall(p: Processor, mmu: Mmu): void {
  // Outside 64-bit mode Intel's processors do not have it.
  if (!p.code64 || (p.efer & EFER.SCE) === 0) throw undefinedOpcode();
  const selector = Number((p.field(STATE.STAR) >> 32n) & 0xffffn);
  const flags = p.rflags;
  p.setGpr(GPR.rcx, p.rip);
  p.setGpr(GPR.r11, BigInt(flags & ~RFLAGS.RF));
  p.rflags = flags & ~(p.view.getInt32(STATE.SFMASK, true) | RFLAGS.RF | RFLAGS.VM);
  enterFlat(p, mmu, { selector, level: 0, code64: true, stackOffset: 8 }, p.field(STATE.LSTAR));
}

/** @param to64 REX.W @throws CpuException #UD, #GP(0) */
export function sysret(p: Processor, mmu: Mmu, to64: boolean): void {
  if (!p.code64 || (p.efer & EFER.SCE) === 0) throw undefinedOpcode();
  if (p.cpl !== 0) throw generalProtection();
  const target = to64 ? p.gpr(GPR.rcx) : BigInt(p.gpr32(GPR.rcx));
  if (!isCanonical(target)) throw generalProtection();
  const base = Number(p.field(STATE.STAR) >> 48n);
  const selector = base + (to64 ? 16 : 0);
  p.rflags = p.gpr32(GPR.r11) & SYSRET_FLAGS;
  enterFlat(p, mmu, { selector, level: 3, code64: to64, stackOffset: to64 ? -8 : 8 }, target);
}

/** @throws CpuException #GP(0) */
export function sysenter(p: Processor, mmu: Mmu): void {
  const selector = Number(p.field(STATE.SYSENTER_CS) & 0xfffcn);
  if (!p.protectedMode || selector === 0) throw generalProtection();
  const width = p.longMode ? 64 : 32;
  p.changeSystemFlags(RFLAGS.VM | RFLAGS.IF, 0);
  p.setGpr(GPR.rsp, BigInt.asUintN(width, p.field(STATE.SYSENTER_ESP)));
  const target = BigInt.asUintN(width, p.field(STATE.SYSENTER_EIP));
  enterFlat(p, mmu, { selector, level: 0, code64: p.longMode, stackOffset: 8 }, target);
}

/** @param to64 REX.W @throws CpuException #GP(0) */
export function sysexit(p: Processor, mmu: Mmu, to64: boolean): void {
  const base = Number(p.field(STATE.SYSENTER_CS) & 0xfffcn);
  if (!p.protectedMode || base === 0 || p.cpl !== 0) throw generalProtection();
  const width = to64 ? 64 : 32;
  const target = BigInt.asUintN(width, p.gpr(GPR.rdx));
  const stack = BigInt.asUintN(width, p.gpr(GPR.rcx));
  if (!isCanonical(target) || !isCanonical(stack)) throw generalProtection();
  const selector = base + (to64 ? 32 : 16);
  p.setGpr(GPR.rsp, stack);
  enterFlat(p, mmu, { selector, level: 3, code64: to64, stackOffset: 8 }, target);
}

/** @throws CpuException #UD outside 64-bit mode */
export function swapgs(p: Processor): void {
  if (!p.code64) throw undefinedOpcode();
  if (p.cpl !== 0) throw generalProtection();
  const base = p.segmentBase(SEGMENT_INDEX.gs);
  p.setSegmentBase(SEGMENT_INDEX.gs, p.field(STATE.KERNEL_GS_BASE));
  p.setField(STATE.KERNEL_GS_BASE, base);
}

interface FlatTarget {
  readonly selector: number;
  readonly level: 0 | 3;
  readonly code64: boolean;
  /** From the code's selector to the stack's. */
  readonly stackOffset: number;
}

/** These instructions read no descriptors: the segments are what an operating system would have. */
function enterFlat(p: Processor, mmu: Mmu, target: FlatTarget, rip: bigint): void {
  const { level, selector, stackOffset } = target;
  const rights = level << LEVEL_SHIFT;
  const size = target.code64 ? ATTRIBUTE.LONG : ATTRIBUTE.BIG;
  p.setSegment(SEGMENT_INDEX.ss, flat(withLevel(selector + stackOffset, level), DATA | rights));
  enterCode(p, mmu, flat(withLevel(selector, level), CODE | rights | size), rip, level);
}

const withLevel = (selector: number, level: number): number => (selector & 0xfffc) | level;

const flat = (selector: number, attributes: number): Segment => ({
  selector,
  base: 0n,
  limit: FLAT_LIMIT,
  attributes,
});
