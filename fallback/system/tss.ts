import type { Segment } from "../../src/core/cpu.ts";
import { isCanonical } from "../bits.ts";
import { invalidTss, stackFault } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import type { Processor } from "../processor.ts";
import { SEGMENT_INDEX } from "../state.ts";
import { isNull, linearIn, markAccessed, SYSTEM_TYPE, selectorCode } from "./descriptors.ts";
import { nullStack, stackDescriptor } from "./segments.ts";
import { Stack } from "./stack.ts";

/** Offsets (Intel SDM vol. 3A figures 8-2, 8-10, 8-11). */
const TSS_16_STACKS = 2;
const TSS_32_STACKS = 4;
const TSS_64_STACKS = 4;
const TSS_64_IST = 0x24;

/** A stack that the processor switches to, not yet in use. */
export interface NewStack {
  readonly segment: Segment;
  readonly stack: Stack;
}

/**
 * Where the TSS keeps the stack of an inner privilege level, in protected mode.
 * @param level 0 to 2
 * @throws CpuException #TS or #SS, with the TSS's or the stack's selector
 */
export function innerStack(p: Processor, mmu: Mmu, level: number, ext = 0): NewStack {
  const tss = p.segment(SEGMENT_INDEX.tr);
  const wide = (tss.attributes & 0xf) === SYSTEM_TYPE.TSS_32_BUSY;
  const bytes = wide ? 4 : 2;
  const offset = wide ? TSS_32_STACKS + 8 * level : TSS_16_STACKS + 4 * level;
  if (offset + bytes + 1 > tss.limit) throw invalidTss(selectorCode(tss.selector, ext));
  const pointer = mmu.read(linearIn(p, tss.base, offset), bytes, false);
  const selector = mmu.read(linearIn(p, tss.base, offset + bytes), 2, false);
  if (isNull(selector)) throw invalidTss(ext);
  const descriptor = stackDescriptor(p, mmu, selector, level, invalidTss, ext);
  markAccessed(mmu, descriptor);
  const segment = descriptor.segment(selector);
  const size = descriptor.isBig ? 32 : 16;
  const code = selectorCode(selector, ext);
  const stack = new Stack(mmu, segment, size, BigInt(pointer), level === 3, code);
  return { segment, stack };
}

/** The stack pointer of an inner level in long mode. @param level 0 to 2 */
export const levelStack64 = (p: Processor, mmu: Mmu, level: number, ext = 0): bigint =>
  pointer64(p, mmu, TSS_64_STACKS + 8 * level, ext);

/** A stack pointer of the interrupt stack table. @param ist 1 to 7 */
export const interruptStack64 = (p: Processor, mmu: Mmu, ist: number, ext = 0): bigint =>
  pointer64(p, mmu, TSS_64_IST + 8 * (ist - 1), ext);

function pointer64(p: Processor, mmu: Mmu, offset: number, ext: number): bigint {
  const tss = p.segment(SEGMENT_INDEX.tr);
  if (offset + 7 > tss.limit) throw invalidTss(selectorCode(tss.selector, ext));
  const pointer = mmu.read64(linearIn(p, tss.base, offset), false);
  if (!isCanonical(pointer)) throw stackFault(ext);
  return pointer;
}

/** A stack of 64-bit mode with a null SS. */
export function newStack64(mmu: Mmu, level: number, pointer: bigint, ext = 0): NewStack {
  const segment = nullStack(level);
  return { segment, stack: new Stack(mmu, segment, 64, pointer, level === 3, ext) };
}
