import type { CodeSize, Processor } from "./processor.ts";
import { SEGMENT, SEGMENT_INDEX, segmentOffset } from "./state.ts";

/**
 * What the JIT relies on of the segments outside 64-bit mode, as bits: those of ES, SS and DS, by
 * their numbers, that are flat; and {@link WIDE_STACK}. FS and GS hardly ever are flat.
 */
export type SegmentTraits = number;

/** The stack pointer is ESP. In the place of CS, which the mode itself says all of. */
export const WIDE_STACK = 1 << SEGMENT_INDEX.cs;

/** Whether a segment is known to be flat. */
export const knowsFlat = (traits: SegmentTraits, segment: number): boolean =>
  segment !== SEGMENT_INDEX.cs && (traits & (1 << segment)) !== 0;

const FLAT_LIMIT = 0xffff_ffff;
const { es, ss, ds } = SEGMENT_INDEX;

/** Code is translated for these; it has to be looked up anew when they change. */
export function segmentTraits(p: Processor, codeSize: CodeSize): SegmentTraits {
  if (codeSize === 64) return 0;
  let traits = p.stackSize === 32 ? WIDE_STACK : 0;
  for (const index of [es, ss, ds]) if (isFlat(p, index)) traits |= 1 << index;
  return traits;
}

/** Whether offsets are linear addresses, all of which may be read and written. */
function isFlat(p: Processor, index: number): boolean {
  const at = segmentOffset(index);
  return (
    hasFlatLimit(p, at + SEGMENT.WRITE_LAST) &&
    hasFlatLimit(p, at + SEGMENT.READ_LAST) &&
    p.view.getUint32(at + SEGMENT.BASE, true) === 0
  );
}

const hasFlatLimit = (p: Processor, last: number): boolean =>
  p.view.getUint32(last, true) === FLAT_LIMIT && p.view.getInt32(last + 4, true) === 0;
