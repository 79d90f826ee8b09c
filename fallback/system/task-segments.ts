/** The segments of a task that is entered (Intel SDM vol. 3A table 8-1). */
import type { Segment } from "../../src/core/cpu.ts";
import { invalidTss, notPresent, stackFault } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import type { Processor } from "../processor.ts";
import { SEGMENT_INDEX } from "../state.ts";
import {
  type Descriptor,
  inLdt,
  isNull,
  markAccessed,
  readDescriptor,
  rplOf,
  SYSTEM_TYPE,
  selectorCode,
} from "./descriptors.ts";
import { nullSegment } from "./segments.ts";
import type { TaskState } from "./tss-image.ts";

/** A segment whose selector is there and whose descriptor has not been read: any use of it faults. */
export const unloadedSegment = (selector: number): Segment => nullSegment(selector);

const { es, cs, ss, ds, fs, gs, ldtr } = SEGMENT_INDEX as Record<
  "es" | "cs" | "ss" | "ds" | "fs" | "gs" | "ldtr",
  number
>;

/**
 * Reads the descriptors of a task's selectors, which are in the registers already.
 * @param ext of error codes: 1 if an event outside the program is the cause
 * @throws CpuException #TS, #NP, #SS with the selector
 */
export function loadTaskSegments(
  p: Processor,
  mmu: Mmu,
  { selectors, ldt }: TaskState,
  ext: number,
): void {
  loadLdt(p, mmu, ldt, ext);
  if (p.virtual8086) return;
  const selector = (index: number): number => selectors[index] ?? 0;
  loadCode(p, mmu, selector(cs), ext);
  loadStack(p, mmu, selector(ss), ext);
  for (const index of [es, ds, fs, gs]) loadData(p, mmu, index, selector(index), ext);
}

function loadLdt(p: Processor, mmu: Mmu, selector: number, ext: number): void {
  if (isNull(selector)) return;
  const code = selectorCode(selector, ext);
  if (inLdt(selector)) throw invalidTss(code);
  const descriptor = readDescriptor(p, mmu, selector, invalidTss, ext);
  const isLdt = descriptor.isSystem && descriptor.systemType === SYSTEM_TYPE.LDT;
  if (!isLdt || !descriptor.present) throw invalidTss(code);
  p.setSegment(ldtr, descriptor.segment(selector));
}

function loadCode(p: Processor, mmu: Mmu, selector: number, ext: number): void {
  const code = selectorCode(selector, ext);
  const descriptor = descriptorOf(p, mmu, selector, ext);
  const level = rplOf(selector);
  if (!descriptor.isCode) throw invalidTss(code);
  const fits = descriptor.isConformingCode ? descriptor.dpl <= level : descriptor.dpl === level;
  if (!fits) throw invalidTss(code);
  if (!descriptor.present) throw notPresent(code);
  load(p, mmu, cs, descriptor);
}

function loadStack(p: Processor, mmu: Mmu, selector: number, ext: number): void {
  const code = selectorCode(selector, ext);
  const descriptor = descriptorOf(p, mmu, selector, ext);
  const fits = descriptor.isWritableData && descriptor.dpl === p.cpl && rplOf(selector) === p.cpl;
  if (!fits) throw invalidTss(code);
  if (!descriptor.present) throw stackFault(code);
  load(p, mmu, ss, descriptor);
}

function loadData(p: Processor, mmu: Mmu, index: number, selector: number, ext: number): void {
  if (isNull(selector)) return;
  const code = selectorCode(selector, ext);
  const descriptor = descriptorOf(p, mmu, selector, ext);
  if (!descriptor.isReadable) throw invalidTss(code);
  if (!descriptor.isConformingCode) {
    if (descriptor.dpl < p.cpl || descriptor.dpl < rplOf(selector)) throw invalidTss(code);
  }
  if (!descriptor.present) throw notPresent(code);
  load(p, mmu, index, descriptor);
}

function descriptorOf(p: Processor, mmu: Mmu, selector: number, ext: number): Descriptor {
  if (isNull(selector)) throw invalidTss(selectorCode(selector, ext));
  return readDescriptor(p, mmu, selector, invalidTss, ext);
}

function load(p: Processor, mmu: Mmu, index: number, descriptor: Descriptor): void {
  markAccessed(mmu, descriptor);
  p.setSegment(index, descriptor.segment(descriptor.selector));
}
