import type { DecodedInstruction } from "../../fallback/interpreter/decoder.ts";
import type { Registers } from "../core/cpu.ts";
import type { ProcessorState } from "../core/processor-state.ts";

/**
 * What depends on which processor the guest believes to have: KVM's CPUID tells it, and only KVM
 * has that one's registers.
 */
const OF_KVM: ReadonlySet<string> = new Set([
  ...["CPUID", "RDMSR", "WRMSR", "XSETBV"],
  // Their components are those of an MSR, too.
  ...["XSAVES", "XRSTORS"],
]);
/** Components of the state, as XCR0 has them: x87, SSE and AVX; and AVX-512's upper halves of registers. */
const KNOWN_COMPONENTS = 7n;
const ZMM_HI256 = 1n << 6n;

const SAVING = /^(xsave|xrstor)/i;
/** Those with VEX prefixes, which clear what is above their vectors. */
const VECTOR = /^v(?!er[rw]$)/;

/**
 * Whether the fallback has all the registers that a refused instruction is about: it has none of
 * AVX-512 and what came later, which does not matter while nothing is in them.
 * @param name as assemblers have it
 * @param inUse components of the state
 */
export function hasRegistersOf(name: string, inUse: bigint): boolean {
  if (SAVING.test(name)) return (inUse & ~KNOWN_COMPONENTS) === 0n;
  return !VECTOR.test(name) || (inUse & ZMM_HI256) === 0n;
}

/** Whether the fallback, while it helps, leaves an instruction to KVM. */
export function leavesToKvm({ form, modRm }: DecodedInstruction, xcr0: bigint): boolean {
  const { name } = form.instruction;
  if (OF_KVM.has(name)) return true;
  if (SAVING.test(name) && (xcr0 & ~KNOWN_COMPONENTS) !== 0n) return true;
  // CR4 has bits of features that only KVM's processor may have.
  return form.operands[0]?.place === "control" && ((modRm >> 3) & 7) === 4;
}

/** VME, PVI, TSD, DE, PSE, PAE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT, FSGSBASE and OSXSAVE. */
const KNOWN_CR4 = 0x5_07ffn;

/**
 * Whether the fallback is this processor in all that can be noticed. If not (protection keys,
 * SMEP, registers of AVX-512 in use, …), it executes the one instruction that KVM refused and no others.
 * @param inUse components of the state
 */
export const fallbackKnowsMode = ({ registers }: ProcessorState, inUse: bigint): boolean =>
  (registers.cr4 & ~KNOWN_CR4) === 0n && (inUse & ZMM_HI256) === 0n;

const CR0_PE = 1n << 0n;
const CR0_PG = 1n << 31n;
const CR4_PAE = 1n << 5n;
/** In the attributes of a segment. */
const DPL = 3 << 5;

/** Protected mode without paging, and paging would be that of the 80386. */
export const isUnpaged = ({ cr0, cr4 }: Registers): boolean =>
  (cr0 & (CR0_PE | CR0_PG)) === CR0_PE && (cr4 & CR4_PAE) === 0n;

/** 32-bit paging (Intel SDM vol. 3A §4.3). */
export const isLegacyPaging = ({ cr0, cr4 }: Registers): boolean =>
  (cr0 & CR0_PG) !== 0n && (cr4 & CR4_PAE) === 0n;

/** Whether there is paging. */
export const isPaged = ({ cr0 }: Registers): boolean => (cr0 & CR0_PG) !== 0n;

/** At level 0. */
export const isPrivileged = ({ ss }: Registers): boolean => (ss.attributes & DPL) === 0;
