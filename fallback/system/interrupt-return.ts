/** IRET, IRETD and IRETQ (Intel SDM vol. 2A, IRET). */
import { RFLAGS } from "../bits.ts";
import { generalProtection } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import { type CodeSize, GPR, type Processor, SHADOW } from "../processor.ts";
import { SEGMENT_INDEX } from "../state.ts";
import {
  checkParagraphTarget,
  checkTarget,
  enterCode,
  enterParagraph,
  paragraphCode,
} from "./code-segments.ts";
import { markAccessed, rplOf } from "./descriptors.ts";
import { popOuterStack, returnTarget } from "./far-transfer.ts";
import { mergeFlags, requireFlags } from "./flags-register.ts";
import { returnAtSameLevel } from "./same-level.ts";
import { dropInaccessibleSegments, virtual8086Segment } from "./segments.ts";
import { moveNearStack, nearStack, type SlotBytes, Stack, slotBytes } from "./stack.ts";
import { returnToTask } from "./task-switch.ts";

/**
 * @param size 16 for IRET, 32 for IRETD, 64 for IRETQ
 * @throws CpuException
 */
export function interruptReturn(p: Processor, mmu: Mmu, size: CodeSize): void {
  if (size !== 64 || !returnAtSameLevel(p, mmu)) generalReturn(p, mmu, size);
  p.shadow &= ~SHADOW.NMI;
}

/** As {@link interruptReturn}, whatever the levels; NMIs stay held off. */
export function generalReturn(p: Processor, mmu: Mmu, size: CodeSize): void {
  requireFlags(p, size);
  if (!p.paragraphSegments && (p.systemFlags & RFLAGS.NT) !== 0) {
    if (p.longMode) throw generalProtection();
    returnToTask(p, mmu);
    return;
  }
  if (p.paragraphSegments && returnNear(p, mmu, size)) return;
  const stack = Stack.current(p, mmu);
  const bytes = slotBytes(size);
  const offset = stack.pop(bytes);
  const selector = stack.popSelector(bytes);
  const flags = Number(BigInt.asIntN(32, stack.pop(bytes)));
  if (p.paragraphSegments) returnToParagraph(p, mmu, stack, { offset, selector, flags, size });
  else if (size === 32 && !p.longMode && (flags & RFLAGS.VM) !== 0 && p.cpl === 0) {
    returnTo8086(p, mmu, stack, { offset, selector, flags, size });
  } else returnToProtected(p, mmu, stack, { offset, selector, flags, size });
}

interface Frame {
  readonly offset: bigint;
  readonly selector: number;
  readonly flags: number;
  readonly size: CodeSize;
}

function returnToParagraph(p: Processor, mmu: Mmu, stack: Stack, frame: Frame): void {
  const segment = paragraphCode(p, frame.selector, frame.offset);
  // In virtual-8086 mode IOPL stays: mergeFlags leaves it alone above level 0.
  const flags = mergeFlags(p, frame.flags, frame.size, RFLAGS.RF);
  stack.commit(p);
  p.rflags = flags;
  enterCode(p, mmu, segment, frame.offset, p.cpl);
}

/**
 * As {@link returnToParagraph}, where the frame plainly is in the stack's segment: BIOS calls return so.
 * @returns whether it is done; if not, nothing has changed
 */
function returnNear(p: Processor, mmu: Mmu, size: CodeSize): boolean {
  const bytes = size === 16 ? 2 : 4;
  const frame = nearStack(p, 3 * bytes, "pop");
  if (frame < 0) return false;
  const offset = mmu.read(frame, bytes);
  const selector = mmu.read(frame + bytes, bytes) & 0xffff;
  const popped = mmu.read(frame + 2 * bytes, bytes) | 0;
  checkParagraphTarget(p, offset);
  const flags = mergeFlags(p, popped, size, RFLAGS.RF);
  moveNearStack(p, p.stackSize, 3 * bytes);
  p.rflags = flags;
  enterParagraph(p, selector, offset);
  return true;
}

function returnToProtected(p: Processor, mmu: Mmu, stack: Stack, frame: Frame): void {
  const { offset, selector, size } = frame;
  const bytes = slotBytes(size);
  const target = returnTarget(p, mmu, selector);
  const level = rplOf(selector);
  const segment = target.segment(selector);
  checkTarget(p, segment, offset);
  // 64-bit code always takes SS:RSP off the stack.
  const switches = level !== p.cpl || p.code64;
  const outer = switches ? popOuterStack(p, mmu, stack, target, bytes) : undefined;
  markAccessed(mmu, target);
  const outward = level !== p.cpl;
  const virtualFlags = p.cpl === 0 ? RFLAGS.VIF | RFLAGS.VIP : 0;
  p.rflags = mergeFlags(p, frame.flags, size, RFLAGS.RF | virtualFlags);
  if (outer === undefined) stack.commit(p);
  else outer.enter();
  enterCode(p, mmu, segment, offset, level);
  if (outward) dropInaccessibleSegments(p, level);
}

/** From level 0 to virtual-8086 mode (vol. 3A §20.2.5): all segments come from the stack. */
function returnTo8086(p: Processor, mmu: Mmu, stack: Stack, frame: Frame): void {
  const bytes: SlotBytes = 4;
  const offset = frame.offset & 0xffffn;
  const pointer = stack.pop(bytes);
  const { ss, es, ds, fs, gs } = SEGMENT_INDEX;
  const loads = [ss, es, ds, fs, gs].map((index) => ({
    index: index as number,
    segment: virtual8086Segment(stack.popSelector(bytes)),
  }));
  const taken = RFLAGS.RF | RFLAGS.VM | RFLAGS.VIF | RFLAGS.VIP;
  p.rflags = mergeFlags(p, frame.flags, 32, taken);
  for (const { index, segment } of loads) p.setSegment(index, segment);
  p.setGpr32(GPR.rsp, Number(pointer));
  enterCode(p, mmu, virtual8086Segment(frame.selector), offset, 3);
}
