import type { CodeSize, Processor } from "./processor.ts";
import { SEGMENT, SEGMENT_INDEX, segmentOffset } from "./state.ts";

/**
 * What the JIT relies on of the segments outside 64-bit mode, as bits: those of ES, SS and DS, by
 * their numbers, that are flat; and {@link WIDE_STACK}. FS and GS hardly ever are flat.
 */
export type SegmentTraits = number;

/** The stack pointer is ESP. */
export const WIDE_STACK = 1 << 8;

const FLAT_LIMIT = 0xffff_ffffn;
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
    p.view.getBigInt64(at + SEGMENT.WRITE_LAST, true) === FLAT_LIMIT &&
    p.view.getBigInt64(at + SEGMENT.READ_LAST, true) === FLAT_LIMIT &&
    p.segmentBase(index) === 0n
  );
}
