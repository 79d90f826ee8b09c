import { generalProtection } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import { ATTRIBUTE, type Processor } from "../processor.ts";
import { SEGMENT_INDEX } from "../state.ts";

/** Offset in a 32- or 64-bit TSS of the I/O map's base (Intel SDM vol. 3A §8.2.1, §8.7). */
const IO_MAP_BASE = 0x66;
/** Type 9 or 11: a 32- or 64-bit TSS, available or busy. */
const TSS32_TYPES = [9, 11];

/**
 * Whether the present level may access ports: by IOPL, else by the I/O permission map in the TSS
 * (Intel SDM vol. 1 §19.5.2).
 * @throws CpuException #GP(0) if it may not
 */
export function checkPort(p: Processor, mmu: Mmu, port: number, bytes: number): void {
  if (!p.protectedMode || (p.cpl <= p.iopl && !p.virtual8086)) return;
  const tss = p.segment(SEGMENT_INDEX.tr);
  const present = (tss.attributes & ATTRIBUTE.PRESENT) !== 0;
  if (!present || !TSS32_TYPES.includes(tss.attributes & 0xf)) throw generalProtection();
  if (tss.limit < IO_MAP_BASE + 1) throw generalProtection();
  const base = Number(BigInt.asIntN(64, tss.base));
  const map = mmu.read(base + IO_MAP_BASE, 2, false) + (port >> 3);
  // Two bytes are read always: a port at a byte's end may reach into the next.
  if (tss.limit < map + 1) throw generalProtection();
  const allowed = mmu.read(base + map, 2, false) >> (port & 7);
  if ((allowed & ((1 << bytes) - 1)) !== 0) throw generalProtection();
}
