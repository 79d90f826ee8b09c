/** The processor that a guest is told it has, where either of two may execute it at any time. */
import type { CpuidLimits, CpuidResult } from "../core/cpuid.ts";

const ALL = ~0;
const bit = (n: number): number => 1 << n;

/**
 * What both have, and leaves state behind that they hand to each other: not SYSENTER, which in the
 * guest's level 3 is executed by the host's processor, where AMD's know none; nor the registers of
 * memory types and speculation. A KVM that shadows page tables shuts down at 1 GiB pages.
 */
const NOT_SHARED = {
  leaf1: { edx: bit(11) | bit(12) | bit(16) },
  leaf7: { edx: bit(26) | bit(29) },
  extended: { edx: bit(26) },
} as const;
/** SYSCALL, which is there in 64-bit mode only; and that there is a hypervisor. */
const ALWAYS = { leaf1: { ecx: bit(31) }, extended: { edx: bit(11) } } as const;
/** That of the extended state; what follows tells the frequency of a counter that is not KVM's. */
const LAST_BASIC = 0xd;

/** @param supported what KVM can give its guests, by leaf; subleaf 0 */
export function commonIdentity(supported: (leaf: number) => CpuidResult): CpuidLimits {
  const [, , ecx1, edx1] = supported(0x1);
  const [, ebx7, , edx7] = supported(0x7);
  const [, , ecxExtended, edxExtended] = supported(0x8000_0001);
  return {
    lastBasic: LAST_BASIC,
    masks: new Map<number, CpuidResult>([
      [0x1, [ALL, ALL, ecx1 | ALWAYS.leaf1.ecx, edx1 & ~NOT_SHARED.leaf1.edx]],
      [0x7, [ALL, ebx7, ALL, edx7 & ~NOT_SHARED.leaf7.edx]],
      [
        0x8000_0001,
        [ALL, ALL, ecxExtended, (edxExtended & ~NOT_SHARED.extended.edx) | ALWAYS.extended.edx],
      ],
    ]),
  };
}
