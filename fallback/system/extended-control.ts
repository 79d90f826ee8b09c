/** XGETBV and XSETBV (Intel SDM vol. 1 §13.3). */
import { CR4 } from "../bits.ts";
import { generalProtection, undefinedOpcode } from "../exceptions.ts";
import { GPR, type Processor } from "../processor.ts";
import { STATE } from "../state.ts";
import { XCR0_SUPPORTED } from "./cpuid.ts";

/** x87's component cannot be switched off. */
const XCR0_X87 = 1n;

/** @throws CpuException #UD without CR4.OSXSAVE, #GP(0) for other registers than XCR0 */
export function xgetbv(p: Processor): void {
  checkRegister(p);
  const value = p.field(STATE.XCR0);
  p.setGpr32(GPR.rax, Number(value & 0xffff_ffffn));
  p.setGpr32(GPR.rdx, Number(value >> 32n));
}

/** @throws CpuException as {@link xgetbv}; #GP(0) for components that there are not */
export function xsetbv(p: Processor): void {
  checkRegister(p);
  const value = (BigInt(p.gpr32(GPR.rdx)) << 32n) | BigInt(p.gpr32(GPR.rax));
  if ((value & XCR0_X87) === 0n || (value & ~XCR0_SUPPORTED) !== 0n) throw generalProtection();
  p.setField(STATE.XCR0, value);
}

function checkRegister(p: Processor): void {
  if ((p.cr4 & CR4.OSXSAVE) === 0) throw undefinedOpcode();
  if (p.gpr32(GPR.rcx) !== 0) throw generalProtection();
}
