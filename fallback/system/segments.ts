import type { Segment } from "../../src/core/cpu.ts";
import { isCanonical } from "../bits.ts";
import { generalProtection, notPresent, stackFault } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import { ATTRIBUTE, attributesDpl, type Processor } from "../processor.ts";
import { SEGMENT, SEGMENT_INDEX, segmentOffset } from "../state.ts";
import {
  type Descriptor,
  type Failure,
  inLdt,
  isNull,
  markAccessed,
  readDescriptor,
  readUpperHalf,
  rplOf,
  SYSTEM_TYPE,
  selectorCode,
} from "./descriptors.ts";

const PARAGRAPH = 16;
const VIRTUAL_8086_LIMIT = 0xffff;
/** Present, level 3, read/write data, accessed: what virtual-8086 mode gives every segment. */
const VIRTUAL_8086_ATTRIBUTES = 0xf3;
const BUSY = 2;

/** A segment register that was loaded with a null selector: any use of it faults. */
export const nullSegment = (selector = 0): Segment => ({
  selector,
  base: 0n,
  limit: 0,
  attributes: 0,
});

/** SS as 64-bit mode has it below level 3 after a change of level: null, but of that level. */
export const nullStack = (level: number): Segment => ({
  ...nullSegment(level),
  attributes: level << 5,
});

/** What a real-mode or virtual-8086 load makes of a segment register. */
export function paragraphSegment(p: Processor, index: number, selector: number): Segment {
  const base = BigInt(selector * PARAGRAPH);
  if (p.virtual8086) return virtual8086Segment(selector);
  const before = p.segment(index);
  const usable = (before.attributes & ATTRIBUTE.PRESENT) !== 0;
  // Limit and rights stay what they were: "unreal mode" lives from it.
  const { limit, attributes } = usable ? before : REAL_MODE_DATA;
  return { selector, base, limit, attributes };
}

/** What a segment register that was null when protected mode was left becomes. */
const REAL_MODE_DATA = { limit: 0xffff, attributes: 0x93 } as const;

export const virtual8086Segment = (selector: number): Segment => ({
  selector,
  base: BigInt(selector * PARAGRAPH),
  limit: VIRTUAL_8086_LIMIT,
  attributes: VIRTUAL_8086_ATTRIBUTES,
});

/**
 * MOV, POP and LxS to a segment register other than CS (Intel SDM vol. 2B, MOV).
 * @param index as in `SEGMENT_INDEX`
 * @throws CpuException #GP, #NP, or for SS #SS, with the selector
 */
export function loadSegment(p: Processor, mmu: Mmu, index: number, selector: number): void {
  if (p.paragraphSegments) loadParagraph(p, index, selector);
  else if (index === SEGMENT_INDEX.ss) loadStack(p, mmu, selector);
  else loadData(p, mmu, index, selector);
}

/** The limit that a segment register has behind {@link loadParagraph}. */
export function paragraphLimit(p: Processor, index: number): number {
  const isUsable = (p.segmentAttributes(index) & ATTRIBUTE.PRESENT) !== 0;
  if (p.virtual8086 || !isUsable) return REAL_MODE_DATA.limit;
  return p.view.getUint32(segmentOffset(index) + SEGMENT.LIMIT, true);
}

/** In real and virtual-8086 mode. */
export function loadParagraph(p: Processor, index: number, selector: number): void {
  const isUsable = (p.segmentAttributes(index) & ATTRIBUTE.PRESENT) !== 0;
  if (isUsable && !p.virtual8086) p.moveSegment(index, selector, selector * PARAGRAPH);
  else p.setSegment(index, paragraphSegment(p, index, selector));
}

function loadData(p: Processor, mmu: Mmu, index: number, selector: number): void {
  if (isNull(selector)) {
    p.setSegment(index, nullSegment(selector));
    return;
  }
  const code = selectorCode(selector);
  const descriptor = readDescriptor(p, mmu, selector, generalProtection);
  if (!descriptor.isReadable) throw generalProtection(code);
  if (!descriptor.isConformingCode) {
    if (rplOf(selector) > descriptor.dpl || p.cpl > descriptor.dpl) throw generalProtection(code);
  }
  if (!descriptor.present) throw notPresent(code);
  markAccessed(mmu, descriptor);
  descriptor.load(p, index);
}

function loadStack(p: Processor, mmu: Mmu, selector: number): void {
  if (isNull(selector)) {
    if (!p.code64 || p.cpl === 3 || rplOf(selector) !== p.cpl) throw generalProtection();
    p.setSegment(SEGMENT_INDEX.ss, nullStack(p.cpl));
    return;
  }
  const descriptor = stackDescriptor(p, mmu, selector, p.cpl, generalProtection);
  markAccessed(mmu, descriptor);
  descriptor.load(p, SEGMENT_INDEX.ss);
}

/**
 * The checks that any load of SS makes.
 * @param selector not null
 * @param level privilege level that the stack is for
 * @param fail #GP, or #TS for stacks that a TSS names
 */
export function stackDescriptor(
  p: Processor,
  mmu: Mmu,
  selector: number,
  level: number,
  fail: Failure,
  ext = 0,
): Descriptor {
  const code = selectorCode(selector, ext);
  const descriptor = readDescriptor(p, mmu, selector, fail, ext);
  if (rplOf(selector) !== level) throw fail(code);
  if (!descriptor.isWritableData || descriptor.dpl !== level) throw fail(code);
  if (!descriptor.present) throw stackFault(code);
  return descriptor;
}

/**
 * On the way to an outer level, segments that it may not use become null (vol. 3A §5.8.6). Their
 * bases stay, which 64-bit code sees of FS and GS.
 * @param level the new one
 */
export function dropInaccessibleSegments(p: Processor, level: number): void {
  const { es, ds, fs, gs } = SEGMENT_INDEX;
  for (const index of [es, ds, fs, gs] as number[]) {
    const attributes = p.segmentAttributes(index);
    const usable = (attributes & ATTRIBUTE.PRESENT) !== 0;
    const conforming = ATTRIBUTE.CODE | ATTRIBUTE.CONFORMING;
    if (!usable || (attributes & conforming) === conforming) continue;
    if (attributesDpl(attributes) >= level) continue;
    p.setSegment(index, { ...nullSegment(), base: p.segmentBase(index) });
  }
}

/** LLDT. @throws CpuException #GP and #NP with the selector */
export function loadLdtr(p: Processor, mmu: Mmu, selector: number): void {
  if (isNull(selector)) {
    p.setSegment(SEGMENT_INDEX.ldtr, nullSegment(selector));
    return;
  }
  const descriptor = systemDescriptor(p, mmu, selector, [SYSTEM_TYPE.LDT]);
  const base = systemBase(p, mmu, descriptor);
  p.setSegment(SEGMENT_INDEX.ldtr, { ...descriptor.segment(selector), base });
}

/** LTR: marks the TSS busy. @throws CpuException as {@link loadLdtr} */
export function loadTaskRegister(p: Processor, mmu: Mmu, selector: number): void {
  if (isNull(selector)) throw generalProtection();
  const { TSS_16, TSS_32 } = SYSTEM_TYPE;
  const descriptor = systemDescriptor(p, mmu, selector, p.longMode ? [TSS_32] : [TSS_16, TSS_32]);
  const base = systemBase(p, mmu, descriptor);
  const attributes = descriptor.attributes | BUSY;
  mmu.write(descriptor.at + 5, 1, attributes & 0xff, false);
  p.setSegment(SEGMENT_INDEX.tr, { ...descriptor.segment(selector), base, attributes });
}

function systemDescriptor(
  p: Processor,
  mmu: Mmu,
  selector: number,
  types: readonly number[],
): Descriptor {
  const code = selectorCode(selector);
  if (inLdt(selector)) throw generalProtection(code);
  const descriptor = readDescriptor(p, mmu, selector, generalProtection);
  if (!descriptor.isSystem || !types.includes(descriptor.systemType)) throw generalProtection(code);
  if (!descriptor.present) throw notPresent(code);
  return descriptor;
}

function systemBase(p: Processor, mmu: Mmu, descriptor: Descriptor): bigint {
  const low = BigInt(descriptor.base);
  if (!p.longMode) return low;
  const base = (BigInt(readUpperHalf(p, mmu, descriptor, generalProtection)) << 32n) | low;
  if (!isCanonical(base)) throw generalProtection(selectorCode(descriptor.selector));
  return base;
}
