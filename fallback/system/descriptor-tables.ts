import { isCanonical } from "../bits.ts";
import { generalProtection } from "../exceptions.ts";
import type { Processor } from "../processor.ts";
import { STATE } from "../state.ts";

/**
 * LGDT.
 * @param base as many bits as the instruction loads
 * @throws CpuException #GP(0) when the base is not canonical
 */
export const loadGdtr = (p: Processor, base: bigint, limit: number): void =>
  load(p, STATE.GDTR_BASE, STATE.GDTR_LIMIT, base, limit);

/** LIDT; as {@link loadGdtr}. */
export const loadIdtr = (p: Processor, base: bigint, limit: number): void =>
  load(p, STATE.IDTR_BASE, STATE.IDTR_LIMIT, base, limit);

function load(p: Processor, baseAt: number, limitAt: number, base: bigint, limit: number): void {
  if (p.code64 && !isCanonical(base)) throw generalProtection();
  p.setField(baseAt, base);
  p.view.setUint32(limitAt, limit, true);
}
