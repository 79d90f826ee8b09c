/** Debug registers and what debug exceptions tell in them (Intel SDM vol. 3B §17.2, §17.3). */
import { CR4, DR6, DR7 } from "../bits.ts";
import { CpuException, generalProtection, undefinedOpcode, VECTOR } from "../exceptions.ts";
import type { Processor } from "../processor.ts";

/** Ones that are fixed, and bits that can be written. */
const DR6_FIXED = 0xffff_0ff0n;
const DR6_WRITABLE = 0xe00fn;
const DR7_FIXED = 0x400n;
const DR7_WRITABLE = 0xffff_23ffn;
/** B0 to B3. */
const BREAKPOINTS = 0xfn;
const FIRST_CONTROL = 4;

/** Without debug extensions (CR4.DE) 4 and 5 are other names of 6 and 7. */
function registerNumber(p: Processor, index: number): number {
  const alias = index === 4 || index === 5;
  if (index > 7 || (alias && (p.cr4 & CR4.DE) !== 0)) throw undefinedOpcode();
  return alias ? index + 2 : index;
}

/**
 * @param index 0 to 7
 * @throws CpuException #DB under DR7.GD, #UD for indexes that there are not
 */
export function readDebugRegister(p: Processor, index: number): bigint {
  const register = registerNumber(p, index);
  checkGeneralDetect(p);
  return p.dr(register);
}

/** @throws CpuException as {@link readDebugRegister}; #GP(0) where DR6 and DR7 have no bits */
export function writeDebugRegister(p: Processor, index: number, value: bigint): void {
  const register = registerNumber(p, index);
  checkGeneralDetect(p);
  if (register < FIRST_CONTROL) {
    p.setDr(register, value);
    return;
  }
  if (value >> 32n !== 0n) throw generalProtection();
  if (register === 6) p.setDr(6, (value & DR6_WRITABLE) | DR6_FIXED);
  else p.setDr(7, (value & DR7_WRITABLE) | DR7_FIXED);
}

/**
 * The exception that debug conditions raise. DR6 tells of breakpoints those that this one is for, and
 * keeps what else it has told before.
 * @param conditions bits of DR6
 */
export function debugException(p: Processor, conditions: number): CpuException {
  p.setDr(6, (p.dr(6) & ~BREAKPOINTS) | BigInt(conditions));
  return new CpuException(VECTOR.DB);
}

function checkGeneralDetect(p: Processor): void {
  if ((p.dr(7) & BigInt(DR7.GD)) !== 0n) throw debugException(p, DR6.BD);
}
