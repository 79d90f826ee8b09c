import { type Gpa, gpa, PAGE_SIZE } from "./units.ts";

/**
 * IA32_APIC_BASE: where the local APIC's registers are, and whether there is a local APIC at all.
 * The MSR belongs to the processor, the registers to the board: both sides use this file.
 * Source: Intel SDM vol. 3A, "Local APIC Status and Location". Values are plain numbers, exact
 * because physical addresses have at most 52 bits.
 */

/** The number of the MSR. */
export const IA32_APIC_BASE = 0x1b;

const BSP = 1 << 8;
const GLOBAL_ENABLE = 1 << 11;
/** Bits 0 to 7 and 9; and bit 10 (x2APIC mode), which CPUID does not claim. */
const RESERVED = 0x6ff;

/** At 0xfee00000, enabled, on the processor that boots. */
export const APIC_BASE_AT_RESET = 0xfee0_0000 + GLOBAL_ENABLE + BSP;

export const apicEnabled = (base: number): boolean => (base & GLOBAL_ENABLE) !== 0;

/** Guest physical address of the registers, a page of them. */
export const apicAddress = (base: number): Gpa => gpa(base - (base % PAGE_SIZE));

/**
 * Whether WRMSR takes this value; #GP(0) otherwise.
 * @param physicalAddressBits as CPUID leaf 0x80000008 has them
 */
export const isApicBase = (value: number, physicalAddressBits: number): boolean =>
  value < 2 ** physicalAddressBits && (value & RESERVED) === 0;
