import { generalProtection } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import type { Processor } from "../processor.ts";
import { SEGMENT_INDEX } from "../state.ts";
import { watchPorts } from "./breakpoints.ts";
import { linearIn, SYSTEM_TYPE } from "./descriptors.ts";

/** Offset of the bit map's own offset in a 32- or 64-bit TSS. */
const MAP_BASE = 0x66;

/**
 * What comes before an access to ports: whether it is permitted, and breakpoints.
 * @param bytes 1, 2 or 4
 * @throws CpuException #GP(0)
 */
export function preparePortAccess(p: Processor, mmu: Mmu, port: number, bytes: number): void {
  checkPermission(p, mmu, port, bytes);
  watchPorts(p, mmu, port, bytes);
}

/** By IOPL, else by the TSS's bit map (Intel SDM vol. 1 §18.5). @throws CpuException #GP(0) */
function checkPermission(p: Processor, mmu: Mmu, port: number, bytes: number): void {
  if (!p.protectedMode || (p.cpl <= p.iopl && !p.virtual8086)) return;
  const tss = p.segment(SEGMENT_INDEX.tr);
  const { TSS_32, TSS_32_BUSY } = SYSTEM_TYPE;
  const type = tss.attributes & 0x1f;
  if ((type !== TSS_32 && type !== TSS_32_BUSY) || MAP_BASE + 1 > tss.limit) {
    throw generalProtection();
  }
  const map = mmu.read(linearIn(p, tss.base, MAP_BASE), 2, false);
  const at = map + (port >>> 3);
  // Two bytes are always read: the map ends with one of ones.
  if (at + 1 > tss.limit) throw generalProtection();
  const bits = mmu.read(linearIn(p, tss.base, at), 2, false) >>> (port & 7);
  if ((bits & ((1 << bytes) - 1)) !== 0) throw generalProtection();
}
