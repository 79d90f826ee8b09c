import type { DecodedInstruction } from "../../fallback/interpreter/decoder.ts";
import type { ProcessorState } from "../core/processor-state.ts";

/**
 * What depends on which processor the guest believes to have: KVM's CPUID tells it, and only KVM
 * has that one's registers.
 */
const OF_KVM: ReadonlySet<string> = new Set([
  ...["CPUID", "RDMSR", "WRMSR", "XSETBV"],
  ...["XSAVE", "XSAVEOPT", "XSAVEC", "XSAVES", "XRSTOR", "XRSTORS"],
]);
/** With F3 these are TZCNT and LZCNT, where the processor has them. */
const BIT_SCANS: ReadonlySet<string> = new Set(["BSF", "BSR"]);

/** Whether the fallback, while it helps, leaves an instruction to KVM. */
export function leavesToKvm({ form, repeat }: DecodedInstruction): boolean {
  const { name } = form.instruction;
  if (OF_KVM.has(name)) return true;
  if (BIT_SCANS.has(name)) return repeat === 0xf3;
  return form.operands[0]?.place === "control";
}

/** TSD, DE, PSE, PAE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT and OSXSAVE. */
const KNOWN_CR4 = 0x4_07fcn;

/**
 * Whether the fallback is this processor in all that can be noticed. If not (protection keys,
 * SMEP, …), it executes the one instruction that KVM refused and no others.
 */
export const fallbackKnowsMode = ({ registers }: ProcessorState): boolean =>
  (registers.cr4 & ~KNOWN_CR4) === 0n;
