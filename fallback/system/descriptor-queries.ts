/** LAR, LSL, VERR and VERW: questions about a selector that never fault for its sake. */
import type { Mmu } from "../memory/mmu.ts";
import type { Processor } from "../processor.ts";
import { type Descriptor, findDescriptor, isNull, rplOf, SYSTEM_TYPE } from "./descriptors.ts";

const { TSS_16, LDT, TSS_16_BUSY, CALL_GATE_16, TASK_GATE, TSS_32, TSS_32_BUSY, CALL_GATE_32 } =
  SYSTEM_TYPE;
const LIMIT_TYPES = new Set<number>([TSS_16, LDT, TSS_16_BUSY, TSS_32, TSS_32_BUSY]);
const RIGHTS_TYPES = new Set<number>([...LIMIT_TYPES, CALL_GATE_16, TASK_GATE, CALL_GATE_32]);
/** What long mode has no use for. */
const LEGACY_TYPES = new Set<number>([TSS_16, TSS_16_BUSY, CALL_GATE_16, TASK_GATE]);
/** Access rights in the second doubleword. Silicon leaves the limit's bits between them in. */
const RIGHTS = 0x00ff_ff00;

/** Access rights for LAR; undefined where it clears ZF. */
export function accessRights(p: Processor, mmu: Mmu, selector: number): number | undefined {
  const descriptor = visible(p, mmu, selector, RIGHTS_TYPES);
  return descriptor === undefined ? undefined : descriptor.high & RIGHTS;
}

/** Limit in bytes for LSL; undefined where it clears ZF. */
export const segmentLimit = (p: Processor, mmu: Mmu, selector: number): number | undefined =>
  visible(p, mmu, selector, LIMIT_TYPES)?.limit;

/** VERR */
export const isReadable = (p: Processor, mmu: Mmu, selector: number): boolean =>
  visible(p, mmu, selector, new Set())?.isReadable ?? false;

/** VERW */
export const isWritable = (p: Processor, mmu: Mmu, selector: number): boolean =>
  visible(p, mmu, selector, new Set())?.isWritableData ?? false;

/** The descriptor, if the current level may know of it. @param types of system segments allowed */
function visible(
  p: Processor,
  mmu: Mmu,
  selector: number,
  types: ReadonlySet<number>,
): Descriptor | undefined {
  if (isNull(selector)) return undefined;
  const descriptor = findDescriptor(p, mmu, selector);
  if (descriptor === undefined) return undefined;
  if (descriptor.isSystem) {
    const type = descriptor.systemType;
    if (!types.has(type) || (p.longMode && LEGACY_TYPES.has(type))) return undefined;
  }
  if (descriptor.isConformingCode) return descriptor;
  return Math.max(p.cpl, rplOf(selector)) > descriptor.dpl ? undefined : descriptor;
}
