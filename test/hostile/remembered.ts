import type { FallbackCpu } from "../../fallback/cpu.ts";
import {
  RAM_BASE,
  STATE,
  TLB,
  TLB_ENTRIES,
  TLB_ENTRY,
  TLB_ENTRY_SIZE,
} from "../../fallback/state.ts";

const PAGE_SIZE = 4096;
const FIELDS = [TLB_ENTRY.READ_PAGE, TLB_ENTRY.WRITE_PAGE, TLB_ENTRY.CODE_PAGE] as const;

/**
 * Whether a processor remembers of a mapping what its page tables no longer say: a guest has changed
 * them and not said so. What of it is remembered, processors may decide (Intel SDM vol. 3A §4.10.2.3),
 * so that two of them may both be right and not the same.
 */
export function remembersOther({ processor, mmu }: FallbackCpu): boolean {
  if (!processor.paging) return false;
  const { view } = processor;
  const start = TLB + view.getInt32(STATE.TLB_AT, true);
  for (let entry = 0; entry < TLB_ENTRIES; entry++) {
    const at = start + entry * TLB_ENTRY_SIZE;
    for (const field of FIELDS) {
      const page = view.getBigInt64(at + field, true);
      if (page < 0n) continue;
      const host = view.getUint32(at + TLB_ENTRY.HOST_PAGE, true);
      const linear = Number(BigInt.asIntN(64, page * BigInt(PAGE_SIZE)));
      if (mmu.probe(linear, "read") !== host - RAM_BASE) return true;
    }
  }
  return false;
}
