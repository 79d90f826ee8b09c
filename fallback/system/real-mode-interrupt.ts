import { RFLAGS } from "../bits.ts";
import { generalProtection } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import type { Processor } from "../processor.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";
import { checkParagraphTarget, enterParagraph } from "./code-segments.ts";
import { linearInTable } from "./descriptors.ts";
import { flagsToPush } from "./flags-register.ts";
import type { InterruptEvent } from "./interrupts.ts";
import { moveNearStack, nearStack, Stack } from "./stack.ts";

const ENTRY_BYTES = 4;
/** What is pushed: IP, CS and FLAGS. */
const FRAME = { CS: 2, FLAGS: 4, SIZE: 6 } as const;

/**
 * Delivery in real-address mode: far pointers at IDTR's base, no error codes (Intel SDM vol. 3A
 * §20.1.4).
 * @throws CpuException #GP beyond IDTR's limit, #SS
 */
export function deliverReal(p: Processor, mmu: Mmu, event: InterruptEvent): void {
  const offset = event.vector * ENTRY_BYTES;
  if (offset + ENTRY_BYTES - 1 > p.view.getUint32(STATE.IDTR_LIMIT, true)) {
    throw generalProtection();
  }
  const at = linearInTable(p, STATE.IDTR_BASE, offset);
  const cleared = RFLAGS.IF | RFLAGS.TF | RFLAGS.AC | RFLAGS.RF;
  deliverByPointer(p, mmu, at, p.rflags, cleared);
}

/**
 * INT n in virtual-8086 mode by the program's own table, which begins at linear address 0 (vol. 3B
 * §21.3.3.4 and 5).
 * @throws CpuException #PF, #SS, #GP beyond a segment's limit
 */
export function deliverToProgram(p: Processor, mmu: Mmu, vector: number): void {
  const flag = p.iopl === 3 ? RFLAGS.IF : RFLAGS.VIF;
  const cleared = flag | RFLAGS.TF | RFLAGS.RF;
  deliverByPointer(p, mmu, vector * ENTRY_BYTES, flagsToPush(p, 16), cleared);
}

/** @param at linear address of a far pointer @param flags that are pushed: the lower half */
function deliverByPointer(
  p: Processor,
  mmu: Mmu,
  at: number,
  flags: number,
  cleared: number,
): void {
  const target = mmu.read(at, 2, false);
  const selector = mmu.read(at + 2, 2, false);
  checkParagraphTarget(p, target);
  const returnTo = p.view.getUint16(STATE.RIP, true);
  const frame = nearStack(p, FRAME.SIZE, "push");
  if (frame >= 0) {
    mmu.write(frame + FRAME.FLAGS, 2, flags & 0xffff);
    mmu.write(frame + FRAME.CS, 2, p.selector(SEGMENT_INDEX.cs));
    mmu.write(frame, 2, returnTo);
    moveNearStack(p, p.stackSize, -FRAME.SIZE);
  } else {
    const stack = Stack.current(p, mmu);
    stack.push(BigInt(flags & 0xffff), 2);
    stack.push(BigInt(p.selector(SEGMENT_INDEX.cs)), 2);
    stack.push(BigInt(returnTo), 2);
    stack.commit(p);
  }
  p.changeSystemFlags(cleared, 0);
  enterParagraph(p, selector, target);
}
