/** Instructions on RFLAGS as a whole (Intel SDM vol. 2A and 2B: CLI, STI, PUSHF, POPF). */
import { CR4, RFLAGS } from "../bits.ts";
import { generalProtection, undefinedOpcode } from "../exceptions.ts";
import { type CodeSize, type Processor, SHADOW } from "../processor.ts";

const ALWAYS_CHANGED =
  RFLAGS.CF |
  RFLAGS.PF |
  RFLAGS.AF |
  RFLAGS.ZF |
  RFLAGS.SF |
  RFLAGS.TF |
  RFLAGS.DF |
  RFLAGS.OF |
  RFLAGS.NT |
  RFLAGS.AC |
  RFLAGS.ID;
const LOW_WORD = 0xffff;

/**
 * RFLAGS after POPF or IRET at the current level: IF changes up to IOPL, IOPL only at level 0.
 * @param size of the operand: 16-bit forms keep the upper half
 * @param also further flags that are taken from `flags`
 */
export function mergeFlags(p: Processor, flags: number, size: CodeSize, also = 0): number {
  let changed = ALWAYS_CHANGED | also;
  if (p.cpl <= p.iopl) changed |= RFLAGS.IF;
  if (p.cpl === 0) changed |= RFLAGS.IOPL;
  if (size === 16) changed &= LOW_WORD;
  return (p.rflags & ~changed) | (flags & changed);
}

/** What PUSHF pushes. @throws CpuException #GP(0) in virtual-8086 mode below IOPL 3 */
export function flagsToPush(p: Processor): number {
  requireVirtualIopl(p);
  return p.rflags & ~(RFLAGS.VM | RFLAGS.RF);
}

/** POPF, without the stack. @throws CpuException as {@link flagsToPush} */
export function popFlags(p: Processor, flags: number, size: CodeSize): void {
  requireVirtualIopl(p);
  const merged = mergeFlags(p, flags, size);
  p.rflags = size === 16 ? merged : merged & ~RFLAGS.RF;
}

/**
 * CLAC and STAC (vol. 2A and 2B). CPUID does not offer them here; a guest of KVM's that has switched
 * SMAP on executes them at the start of every handler, and KVM's emulator does not know them.
 * @throws CpuException #UD without CR4.SMAP, and above level 0
 */
export function setAccessFlag(p: Processor, value: 0 | 1): void {
  if ((p.cr4 & CR4.SMAP) === 0 || p.cpl !== 0) throw undefinedOpcode();
  p.rflags = ((p.rflags & ~RFLAGS.AC) | (value === 0 ? 0 : RFLAGS.AC)) >>> 0;
}

/** CLI. @throws CpuException #GP(0) above IOPL */
export function clearInterruptFlag(p: Processor): void {
  requireIopl(p);
  p.changeSystemFlags(RFLAGS.IF, 0);
}

/** STI: interrupts are held off for one more instruction. @throws CpuException #GP(0) above IOPL */
export function setInterruptFlag(p: Processor): void {
  requireIopl(p);
  if ((p.systemFlags & RFLAGS.IF) === 0) p.holdEventsOff(SHADOW.STI);
  p.changeSystemFlags(0, RFLAGS.IF);
}

function requireIopl(p: Processor): void {
  if (p.cpl > p.iopl) throw generalProtection();
}

function requireVirtualIopl(p: Processor): void {
  if (p.virtual8086 && p.iopl !== 3) throw generalProtection();
}
