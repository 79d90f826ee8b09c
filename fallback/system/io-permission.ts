import type { Segment } from "../../src/core/cpu.ts";
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
  const tss = taskState(p);
  // Two bytes are always read: the map ends with one of ones.
  const bits = readIn(p, mmu, tss, mapIn(p, mmu, tss) + (port >>> 3), 2) >>> (port & 7);
  if ((bits & ((1 << bytes) - 1)) !== 0) throw generalProtection();
}

/** Below the bit map: a bit for each interrupt. */
const REDIRECTION_BYTES = 32;

/**
 * Whether INT n in virtual-8086 mode is the system's: else the program's own handler takes it. By the bit
 * map that CR4.VME asks for (vol. 3B §21.3.3).
 * @throws CpuException #GP(0)
 */
export function isSystems(p: Processor, mmu: Mmu, vector: number): boolean {
  const tss = taskState(p);
  const at = mapIn(p, mmu, tss) - REDIRECTION_BYTES + (vector >>> 3);
  return (readIn(p, mmu, tss, at, 1) & (1 << (vector & 7))) !== 0;
}

/** The TSS, if it is one that has bit maps. @throws CpuException #GP(0) */
function taskState(p: Processor): Segment {
  const tss = p.segment(SEGMENT_INDEX.tr);
  const { TSS_32, TSS_32_BUSY } = SYSTEM_TYPE;
  const type = tss.attributes & 0x1f;
  if (type !== TSS_32 && type !== TSS_32_BUSY) throw generalProtection();
  return tss;
}

const mapIn = (p: Processor, mmu: Mmu, tss: Segment): number => readIn(p, mmu, tss, MAP_BASE, 2);

/** @throws CpuException #GP(0) outside the TSS */
function readIn(p: Processor, mmu: Mmu, tss: Segment, at: number, bytes: 1 | 2): number {
  if (at < 0 || at + bytes - 1 > tss.limit) throw generalProtection();
  return mmu.read(linearIn(p, tss.base, at), bytes, false);
}
