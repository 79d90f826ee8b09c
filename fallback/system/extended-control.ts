/** XGETBV and XSETBV (Intel SDM vol. 1 §13.3). */
import { CR4 } from "../bits.ts";
import { generalProtection, undefinedOpcode } from "../exceptions.ts";
import { COMPONENT, componentsInUse, XCR0_SUPPORTED } from "../extended-state.ts";
import { GPR, type Processor } from "../processor.ts";
import { STATE } from "../state.ts";

const XCR0 = 0;
/** XGETBV only: the components of XCR0 that are in use. */
const IN_USE = 1;

/** @throws CpuException #UD without CR4.OSXSAVE, #GP(0) for a register that there is not */
export function xgetbv(p: Processor): void {
  const register = checkedRegister(p, IN_USE);
  const xcr0 = p.field(STATE.XCR0);
  const value = register === IN_USE ? xcr0 & componentsInUse(p) : xcr0;
  p.setGpr32(GPR.rax, Number(value & 0xffff_ffffn));
  p.setGpr32(GPR.rdx, Number(value >> 32n));
}

/** @throws CpuException as {@link xgetbv}; #GP(0) for components that there are not, or not so combined */
export function xsetbv(p: Processor): void {
  checkedRegister(p, XCR0);
  const value = (BigInt(p.gpr32(GPR.rdx)) << 32n) | BigInt(p.gpr32(GPR.rax));
  // x87's component cannot be switched off, and AVX's registers are extended ones of SSE's.
  const refused =
    (value & ~XCR0_SUPPORTED) !== 0n ||
    (value & COMPONENT.X87) === 0n ||
    (value & (COMPONENT.SSE | COMPONENT.AVX)) === COMPONENT.AVX;
  if (refused) throw generalProtection();
  p.setField(STATE.XCR0, value);
}

/** The register that ECX names. @param last */
function checkedRegister(p: Processor, last: number): number {
  if ((p.cr4 & CR4.OSXSAVE) === 0) throw undefinedOpcode();
  const register = p.gpr32(GPR.rcx);
  if (register > last) throw generalProtection();
  return register;
}
