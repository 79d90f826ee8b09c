/**
 * Instructions on RFLAGS as a whole (Intel SDM vol. 2A and 2B: CLI, STI, PUSHF, POPF), with what stands
 * for IF where a system lets programs of level 3 think that they change it (vol. 3B §21.3, §21.4).
 */
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
 * @throws CpuException as {@link requireFlags}, and #GP(0) where VIF takes what must not be taken
 */
export function mergeFlags(p: Processor, flags: number, size: CodeSize, also = 0): number {
  let changed = ALWAYS_CHANGED | also;
  if (p.cpl <= p.iopl) changed |= RFLAGS.IF;
  if (p.cpl === 0) changed |= RFLAGS.IOPL;
  if (size === 16) changed &= LOW_WORD;
  const merged = (p.rflags & ~changed) | (flags & changed);
  if (!isLimited8086(p)) return merged;
  requireFlags(p, size);
  if ((flags & RFLAGS.TF) !== 0) throw generalProtection();
  if ((flags & RFLAGS.IF) === 0) return merged & ~RFLAGS.VIF;
  requireNothingPending(p);
  return merged | RFLAGS.VIF;
}

/** What PUSHF pushes, and 16-bit interrupts. @throws CpuException as {@link requireFlags} */
export function flagsToPush(p: Processor, size: CodeSize): number {
  requireFlags(p, size);
  const flags = p.rflags & ~(RFLAGS.VM | RFLAGS.RF);
  if (!isLimited8086(p)) return flags;
  const enabled = (flags & RFLAGS.VIF) === 0 ? 0 : RFLAGS.IF;
  return (flags & ~RFLAGS.IF) | RFLAGS.IOPL | enabled;
}

/** POPF, without the stack. @throws CpuException as {@link mergeFlags} */
export function popFlags(p: Processor, flags: number, size: CodeSize): void {
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

/** CLI. @throws CpuException #GP(0) as {@link interruptFlag} */
export function clearInterruptFlag(p: Processor): void {
  p.changeSystemFlags(interruptFlag(p), 0);
}

/**
 * STI: interrupts are held off for one more instruction.
 * @throws CpuException #GP(0) as {@link interruptFlag}, or for the system to deliver what it has pending
 */
export function setInterruptFlag(p: Processor): void {
  const flag = interruptFlag(p);
  if (flag === RFLAGS.VIF) requireNothingPending(p);
  else if ((p.systemFlags & RFLAGS.IF) === 0) p.holdEventsOff(SHADOW.STI);
  p.changeSystemFlags(0, flag);
}

/** The flag that CLI and STI change. @throws CpuException #GP(0) above IOPL, unless that is VIF */
function interruptFlag(p: Processor): number {
  if (p.cpl <= p.iopl) return RFLAGS.IF;
  const virtual = p.cr4 & (p.virtual8086 ? CR4.VME : CR4.PVI);
  if (virtual === 0 || p.cpl !== 3) throw generalProtection();
  return RFLAGS.VIF;
}

/** Virtual-8086 mode below IOPL 3. */
const isLimited8086 = (p: Processor): boolean => p.virtual8086 && p.iopl !== 3;

/**
 * What PUSHF, POPF and IRET need.
 * @throws CpuException #GP(0) in virtual-8086 mode below IOPL 3, unless VIF can stand for IF
 */
export function requireFlags(p: Processor, size: CodeSize): void {
  if (!isLimited8086(p)) return;
  if (size !== 16 || (p.cr4 & CR4.VME) === 0) throw generalProtection();
}

function requireNothingPending(p: Processor): void {
  if ((p.systemFlags & RFLAGS.VIP) !== 0) throw generalProtection();
}
