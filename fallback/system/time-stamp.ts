import { CR4 } from "../bits.ts";
import { generalProtection } from "../exceptions.ts";
import { GPR, type Processor } from "../processor.ts";
import { STATE } from "../state.ts";

/** Where the time stamp counter's ticks come from. */
export interface TimeSource {
  readTsc(): bigint;
}

/** The counter as the guest sees it: it may have been written. */
export const timeStamp = (p: Processor, time: TimeSource): bigint =>
  BigInt.asUintN(64, time.readTsc() + p.field(STATE.TSC_OFFSET));

/** RDTSC. @throws CpuException #GP(0) above level 0 under CR4.TSD */
export function rdtsc(p: Processor, time: TimeSource): void {
  if ((p.cr4 & CR4.TSD) !== 0 && p.cpl !== 0) throw generalProtection();
  const value = timeStamp(p, time);
  p.setGpr32(GPR.rax, Number(value & 0xffff_ffffn));
  p.setGpr32(GPR.rdx, Number(value >> 32n));
}

/** RDTSCP: the counter, and TSC_AUX in ECX. @throws CpuException as {@link rdtsc} */
export function rdtscp(p: Processor, time: TimeSource): void {
  rdtsc(p, time);
  p.setGpr32(GPR.rcx, p.view.getUint32(STATE.TSC_AUX, true));
}
