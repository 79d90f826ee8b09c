/** What procedures with MMX registers do to x87's state (Intel SDM vol. 1 §9.5.1, §9.6.2). */
import { FSW } from "../bits.ts";
import { CpuException, VECTOR } from "../exceptions.ts";
import type { Processor } from "../processor.ts";
import { STATE } from "../state.ts";

/** @throws CpuException #MF if an x87 exception is pending */
export function beginMmx({ view }: Processor): void {
  if (view.getUint16(STATE.X87_STATUS, true) & FSW.ES) throw new CpuException(VECTOR.MF);
}

/** All registers are valid, the stack's top is the first. */
export function endMmx({ view }: Processor): void {
  view.setUint16(STATE.X87_STATUS, view.getUint16(STATE.X87_STATUS, true) & ~FSW.TOP, true);
  view.setUint8(STATE.X87_TAGS, 0xff);
}

/** @param register 0 to 7 @param value 64 bits */
export function writeMmx({ view }: Processor, register: number, value: bigint): void {
  const slot = STATE.X87_REGISTERS + 16 * register;
  view.setBigUint64(slot, value, true);
  view.setUint16(slot + 8, 0xffff, true);
}

/** EMMS: all registers are empty; in silicon it makes the transition to MMX as well. */
export function emptyMmx(processor: Processor): void {
  endMmx(processor);
  processor.view.setUint8(STATE.X87_TAGS, 0);
}
