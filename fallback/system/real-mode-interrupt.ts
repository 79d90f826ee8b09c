import { RFLAGS } from "../bits.ts";
import { generalProtection } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import type { Processor } from "../processor.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";
import { enterCode, paragraphCode } from "./code-segments.ts";
import { linearIn } from "./descriptors.ts";
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
  const target = BigInt(mmu.read(at, 2, false));
  const segment = paragraphCode(p, mmu.read(at + 2, 2, false), target);
  const stack = Stack.current(p, mmu);
  stack.push(BigInt(p.rflags & 0xffff), 2);
  stack.push(BigInt(p.selector(SEGMENT_INDEX.cs)), 2);
  stack.push(p.rip, 2);
  stack.commit(p);
  p.changeSystemFlags(RFLAGS.IF | RFLAGS.TF | RFLAGS.AC | RFLAGS.RF, 0);
  enterCode(p, mmu, segment, target, p.cpl);
}
