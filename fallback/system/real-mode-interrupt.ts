import { RFLAGS } from "../bits.ts";
import { generalProtection } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import type { Processor } from "../processor.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";
import { enterCode, paragraphCode } from "./code-segments.ts";
import { linearIn } from "./descriptors.ts";
import { flagsToPush } from "./flags-register.ts";
import type { InterruptEvent } from "./interrupts.ts";
import { Stack } from "./stack.ts";

const ENTRY_BYTES = 4;

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
  const at = linearIn(p, p.field(STATE.IDTR_BASE), offset);
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
  const target = BigInt(mmu.read(at, 2, false));
  const segment = paragraphCode(p, mmu.read(at + 2, 2, false), target);
  const stack = Stack.current(p, mmu);
  stack.push(BigInt(flags & 0xffff), 2);
  stack.push(BigInt(p.selector(SEGMENT_INDEX.cs)), 2);
  stack.push(p.rip, 2);
  stack.commit(p);
  p.changeSystemFlags(cleared, 0);
  enterCode(p, mmu, segment, target, p.cpl);
}
