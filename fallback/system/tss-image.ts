/** A task's state as its TSS keeps it (Intel SDM vol. 3A figures 8-2 and 8-11). */
import type { Mmu, NumberSize } from "../memory/mmu.ts";
import { GPR, type Processor } from "../processor.ts";
import { SEGMENT_INDEX } from "../state.ts";
import { SYSTEM_TYPE } from "./descriptors.ts";

/** What both kinds of TSS have, at other offsets and in other widths. */
interface Layout {
  /** Of registers. */
  readonly bytes: 2 | 4;
  readonly ip: number;
  readonly flags: number;
  /** Eight general registers in encoding order. */
  readonly registers: number;
  /** ES, CS, SS, DS and so on. */
  readonly segments: number;
  readonly segmentCount: 4 | 6;
  /** From one selector to the next. */
  readonly segmentStride: 2 | 4;
  readonly ldt: number;
  /** The least limit that a TSS of this kind may have. */
  readonly leastLimit: number;
}

const TSS_16: Layout = {
  bytes: 2,
  ip: 0x0e,
  flags: 0x10,
  registers: 0x12,
  segments: 0x22,
  segmentCount: 4,
  segmentStride: 2,
  ldt: 0x2a,
  leastLimit: 0x2b,
};
const TSS_32: Layout = {
  bytes: 4,
  ip: 0x20,
  flags: 0x24,
  registers: 0x28,
  segments: 0x48,
  segmentCount: 6,
  segmentStride: 4,
  ldt: 0x60,
  leastLimit: 0x67,
};

/**
 * Upper halves of the general registers after a 16-bit TSS was loaded: "modified and not maintained" (Intel SDM
 * vol. 3A §8.6). All ones is what test386.asm wants of an 80386.
 */
const NOT_MAINTAINED = 0xffff_0000;

/** The selector of the task to return to, in both kinds. */
export const LINK = 0;
/** In a 32-bit TSS only. */
const CR3 = 0x1c;
const TRAP = 0x64;

const GENERAL = 8;
const SEGMENTS = (["es", "cs", "ss", "ds", "fs", "gs"] as const).map(
  (name) => SEGMENT_INDEX[name] as number,
);

/** @param type of the TSS's descriptor, busy or not */
export const isWide = (type: number): boolean =>
  type === SYSTEM_TYPE.TSS_32 || type === SYSTEM_TYPE.TSS_32_BUSY;

const layoutOf = (wide: boolean): Layout => (wide ? TSS_32 : TSS_16);

export const leastLimit = (wide: boolean): number => layoutOf(wide).leastLimit;

/** What a task goes on with. */
export interface TaskState {
  readonly ip: number;
  readonly flags: number;
  readonly registers: readonly number[];
  /** By `SEGMENT_INDEX`; null for those that a 16-bit TSS does not have. */
  readonly selectors: readonly number[];
  readonly ldt: number;
  /** Undefined: a 16-bit TSS leaves it. */
  readonly cr3: number | undefined;
  /** T: a debug trap before the task's first instruction. */
  readonly trap: boolean;
}

/** @param base linear address of the TSS */
export function readTask(mmu: Mmu, base: number, wide: boolean): TaskState {
  const layout = layoutOf(wide);
  const upper = wide ? 0 : NOT_MAINTAINED;
  const read = (offset: number, bytes: NumberSize): number => mmu.read(base + offset, bytes, false);
  return {
    ip: read(layout.ip, layout.bytes),
    flags: read(layout.flags, layout.bytes),
    registers: Array.from(
      { length: GENERAL },
      (_, n) => read(layout.registers + n * layout.bytes, layout.bytes) + upper,
    ),
    selectors: SEGMENTS.map((_, n) =>
      n < layout.segmentCount ? read(layout.segments + n * layout.segmentStride, 2) : 0,
    ),
    ldt: read(layout.ldt, 2),
    cr3: wide ? read(CR3, 4) : undefined,
    trap: wide && (read(TRAP, 2) & 1) !== 0,
  };
}

/** Saves what changes as a task runs. @param flags RFLAGS to be saved, 32 bits */
export function saveTask(p: Processor, mmu: Mmu, base: number, wide: boolean, flags: number): void {
  const layout = layoutOf(wide);
  const { bytes } = layout;
  mmu.write(base + layout.ip, bytes, Number(p.rip & 0xffff_ffffn), false);
  mmu.write(base + layout.flags, bytes, flags, false);
  for (let n: number = GPR.rax; n < GENERAL; n++) {
    mmu.write(base + layout.registers + n * bytes, bytes, p.gpr32(n), false);
  }
  for (const [n, index] of SEGMENTS.slice(0, layout.segmentCount).entries()) {
    mmu.write(base + layout.segments + n * layout.segmentStride, 2, p.selector(index), false);
  }
}

/** Whether all that {@link saveTask} writes can be written. @throws CpuException #PF */
export function checkSave(mmu: Mmu, base: number, wide: boolean): void {
  const { ip, segments, segmentCount, segmentStride } = layoutOf(wide);
  mmu.check(base + ip, segments + segmentCount * segmentStride - ip, "write", false);
}
