/** Checks of accesses through segments, outside 64-bit mode (Intel SDM vol. 3A §5.3, §5.5). */
import type { Segment } from "../../src/core/cpu.ts";
import { generalProtection, stackFault } from "../exceptions.ts";
import { ATTRIBUTE, type Processor } from "../processor.ts";
import { SEGMENT, SEGMENT_INDEX, segmentOffset } from "../state.ts";

export type SegmentAccess = "read" | "write";

const FLAT_LIMIT = 0xffff_ffff;

/** Whether an access at an offset lies inside a segment: up to its limit, or beyond if it expands down. */
export function isWithin(segment: Segment, offset: number, bytes: number): boolean {
  const last = offset + bytes - 1;
  const { attributes, base, limit } = segment;
  const expandDown =
    (attributes & (ATTRIBUTE.CODE | ATTRIBUTE.EXPAND_DOWN)) === ATTRIBUTE.EXPAND_DOWN;
  if (!expandDown) {
    // The manual leaves accesses across 4 GiB to the processor; silicon goes on at offset 0.
    return last <= limit || (limit === FLAT_LIMIT && base === 0n);
  }
  const top = (attributes & ATTRIBUTE.BIG) !== 0 ? 0xffff_ffff : 0xffff;
  return offset > limit && last <= top;
}

/** Whether the type of a segment permits an access. In real mode code may be written to as well. */
function permits(p: Processor, attributes: number, access: SegmentAccess): boolean {
  const needed = ATTRIBUTE.PRESENT | ATTRIBUTE.NOT_SYSTEM;
  if ((attributes & needed) !== needed) return false;
  const isCode = (attributes & ATTRIBUTE.CODE) !== 0;
  if (access === "read") return !isCode || (attributes & ATTRIBUTE.READABLE) !== 0;
  if (isCode && p.protectedMode) return false;
  return (attributes & ATTRIBUTE.WRITABLE) !== 0;
}

/** Whether {@link mayAccess}, as far as that can be seen at once. */
export function mayPlainly(
  { view }: Processor,
  index: number,
  offset: number,
  bytes: number,
  access: SegmentAccess,
): boolean {
  const last = access === "read" ? SEGMENT.READ_LAST : SEGMENT.WRITE_LAST;
  const at = segmentOffset(index) + last;
  return view.getInt32(at + 4, true) === 0 && offset + bytes - 1 <= view.getUint32(at, true);
}

/**
 * @param index as in `SEGMENT_INDEX`
 * @param offset unsigned, 32 bits
 */
export function mayAccess(
  p: Processor,
  index: number,
  offset: number,
  bytes: number,
  access: SegmentAccess,
): boolean {
  if (mayPlainly(p, index, offset, bytes, access)) return true;
  const segment = p.segment(index);
  return permits(p, segment.attributes, access) && isWithin(segment, offset, bytes);
}

/** @throws CpuException #SS(0) or #GP(0), by the segment, unless {@link mayAccess} */
export function checkAccess(
  p: Processor,
  index: number,
  offset: number,
  bytes: number,
  access: SegmentAccess,
): void {
  if (!mayAccess(p, index, offset, bytes, access)) throw segmentFault(index);
}

/** What an access that a segment does not have raises. */
export const segmentFault = (index: number) =>
  index === SEGMENT_INDEX.ss ? stackFault() : generalProtection();
