import type { Segment } from "../../src/core/cpu.ts";
import { isCanonical } from "../bits.ts";
import { generalProtection, notPresent } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import { ATTRIBUTE, type CodeSize, type Processor } from "../processor.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";
import { type Descriptor, isNull, readDescriptor, rplOf, selectorCode } from "./descriptors.ts";
import { loadParagraph, paragraphLimit, paragraphSegment } from "./segments.ts";

/** The descriptor that a far transfer names. @throws CpuException #GP */
export function transferDescriptor(p: Processor, mmu: Mmu, selector: number, ext = 0): Descriptor {
  if (isNull(selector)) throw generalProtection(ext);
  return readDescriptor(p, mmu, selector, generalProtection, ext);
}

/**
 * Checks of a code segment that is jumped to or called directly: the level does not change.
 * @throws CpuException #GP, #NP with the selector
 */
export function checkDirectTarget(p: Processor, target: Descriptor): void {
  const code = selectorCode(target.selector);
  if (!target.isCode) throw generalProtection(code);
  const allowed = target.isConformingCode
    ? target.dpl <= p.cpl
    : rplOf(target.selector) <= p.cpl && target.dpl === p.cpl;
  if (!allowed) throw generalProtection(code);
  checkLongCode(p, target);
  if (!target.present) throw notPresent(code);
}

/** L and D together are reserved in long mode. */
export function checkLongCode(p: Processor, target: Descriptor): void {
  if (p.longMode && target.isLong && target.isBig) {
    throw generalProtection(selectorCode(target.selector));
  }
}

/** Whether code from this segment is 64-bit. */
export const isCode64 = (p: Processor, attributes: number): boolean =>
  p.longMode && (attributes & ATTRIBUTE.LONG) !== 0;

/** @throws CpuException #GP(0) when an instruction pointer is not inside a code segment */
export function checkTarget(p: Processor, segment: Segment, offset: bigint, ext = 0): void {
  if (isCode64(p, segment.attributes) ? !isCanonical(offset) : offset > BigInt(segment.limit)) {
    throw generalProtection(ext);
  }
}

/** What an instruction pointer of this operand size keeps. */
export const cutOffset = (offset: bigint, size: CodeSize): bigint => BigInt.asUintN(size, offset);

/** CS for a far transfer in real and virtual-8086 mode. @throws CpuException #GP(0) */
export function paragraphCode(p: Processor, selector: number, offset: bigint): Segment {
  const segment = paragraphSegment(p, SEGMENT_INDEX.cs, selector);
  if (offset > BigInt(segment.limit)) throw generalProtection();
  return segment;
}

/** Goes there, in real and virtual-8086 mode. @throws CpuException #GP(0) */
export function enterParagraph(p: Processor, selector: number, offset: number): void {
  checkParagraphTarget(p, offset);
  loadParagraph(p, SEGMENT_INDEX.cs, selector);
  p.view.setUint32(STATE.RIP, offset, true);
  p.view.setUint32(STATE.RIP + 4, 0, true);
}

/** @throws CpuException #GP(0) unless code may be there after {@link enterParagraph} */
export function checkParagraphTarget(p: Processor, offset: number): void {
  if (offset > paragraphLimit(p, SEGMENT_INDEX.cs)) throw generalProtection();
}

/** Goes there: the last step, which cannot fail. */
export function enterCode(
  p: Processor,
  mmu: Mmu,
  segment: Segment,
  offset: bigint,
  level: number,
): void {
  p.setSegment(SEGMENT_INDEX.cs, segment);
  p.rip = offset;
  mmu.changePrivilege(level);
}
