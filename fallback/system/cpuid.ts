import { apicEnabled } from "../../src/core/apic-base.ts";
import { YMM_UPPERS_SIZE } from "../../src/core/processor-state.ts";
import { CR4, LINEAR_BITS, PHYSICAL_BITS } from "../bits.ts";
import { areaSize, XCR0_SUPPORTED, XSAVE_AREA } from "../extended-state.ts";
import { GPR, type Processor } from "../processor.ts";
import { STATE } from "../state.ts";

/**
 * Family 6, model 26, stepping 3: the first processors of the x86-64-v2 level. Ours is of the next, which
 * is told by bits: models after this one have registers of their own that systems ask for.
 */
export const PROCESSOR_SIGNATURE = 0x0001_06a3;

const VENDOR = "GenuineIntel";
const BRAND = "solo5-kvm TypeScript processor";
/** Not KVM's: guests would expect KVM's clock of it. */
const HYPERVISOR = "solo5-kvm";

/** CPUID leaf 1 (Intel SDM vol. 2A, CPUID, tables 3-10 and 3-11). */
const LEAF1_ECX = {
  SSE3: 1 << 0,
  PCLMULQDQ: 1 << 1,
  SSSE3: 1 << 9,
  FMA: 1 << 12,
  CX16: 1 << 13,
  SSE4_1: 1 << 19,
  SSE4_2: 1 << 20,
  MOVBE: 1 << 22,
  POPCNT: 1 << 23,
  AES: 1 << 25,
  XSAVE: 1 << 26,
  AVX: 1 << 28,
  F16C: 1 << 29,
  RDRAND: 1 << 30,
  HYPERVISOR: 1 << 31,
} as const;
const LEAF1_ECX_OSXSAVE = 1 << 27;

const LEAF1_EDX = {
  FPU: 1 << 0,
  /** Virtual interrupts in protected mode, too. */
  VME: 1 << 1,
  DE: 1 << 2,
  PSE: 1 << 3,
  TSC: 1 << 4,
  MSR: 1 << 5,
  PAE: 1 << 6,
  MCE: 1 << 7,
  CX8: 1 << 8,
  SEP: 1 << 11,
  MTRR: 1 << 12,
  PGE: 1 << 13,
  MCA: 1 << 14,
  CMOV: 1 << 15,
  PAT: 1 << 16,
  PSE36: 1 << 17,
  CLFLUSH: 1 << 19,
  MMX: 1 << 23,
  FXSR: 1 << 24,
  SSE: 1 << 25,
  SSE2: 1 << 26,
} as const;
const LEAF1_EDX_APIC = 1 << 9;

/** Leaf 7. */
const LEAF7_EBX = {
  FSGSBASE: 1 << 0,
  /** Linux holds a time stamp counter without it against its other clocks, and may give it up. */
  TSC_ADJUST: 1 << 1,
  BMI1: 1 << 3,
  AVX2: 1 << 5,
  /** x87's data pointer only follows exceptions, its segment selectors read as zero. */
  FDP_EXCPTN_ONLY: 1 << 6,
  BMI2: 1 << 8,
  NO_FCS_FDS: 1 << 13,
  RDSEED: 1 << 18,
  ADX: 1 << 19,
  CLFLUSHOPT: 1 << 23,
  CLWB: 1 << 24,
  SHA: 1 << 29,
} as const;

const LEAF7_ECX = { VAES: 1 << 9, VPCLMULQDQ: 1 << 10, RDPID: 1 << 22 } as const;

/**
 * SERIALIZE: Linux returns from an interrupt to itself without it, 100,000 times as it boots.
 * IA32_SPEC_CTRL's IBRS with IA32_PRED_CMD, and IA32_ARCH_CAPABILITIES: see `speculation.ts`.
 */
const LEAF7_EDX = { SERIALIZE: 1 << 14, IBRS_IBPB: 1 << 26, ARCH_CAPABILITIES: 1 << 29 } as const;

/** Leaf Dh, subleaf 1: XGETBV with ECX 1 is the last. */
const XSAVE_EAX = { XSAVEOPT: 1 << 0, XSAVEC: 1 << 1, XINUSE: 1 << 2 } as const;

const EXTENDED_ECX = { LAHF: 1 << 0, LZCNT: 1 << 5, PREFETCHW: 1 << 8 } as const;
const EXTENDED_EDX = {
  NX: 1 << 20,
  PAGES_1_GIB: 1 << 26,
  RDTSCP: 1 << 27,
  LM: 1 << 29,
} as const;
/** Enumerated in 64-bit mode only. */
const EXTENDED_EDX_SYSCALL = 1 << 11;
const INVARIANT_TSC = 1 << 8;

const MAX_BASIC = 0x16;
const HYPERVISOR_BASE = 0x4000_0000;
const HYPERVISOR_END = 0x5000_0000;
const EXTENDED_BASE = 0x8000_0000;
const MAX_EXTENDED = 0x8000_0008;

/** Time stamp counter and APIC timer both count nanoseconds. */
const CRYSTAL_HERTZ = 1_000_000_000;
const TSC_MHZ = 1_000;
const BUS_MHZ = 100;

const CLFLUSH_BYTES = 64;
/** "Cache information is in leaf 4". */
const DESCRIPTORS_IN_LEAF_4 = 0xff01;

const allOf = (bits: Readonly<Record<string, number>>): number =>
  Object.values(bits).reduce((all, bit) => all | bit, 0);

type Result = readonly [eax: number, ebx: number, ecx: number, edx: number];
const NOTHING: Result = [0, 0, 0, 0];

/** Caches as leaf 4 tells them: nobody simulates them, guests size their copies by them. */
const CACHES = [
  { type: 1, level: 1, ways: 8, sets: 64 },
  { type: 2, level: 1, ways: 4, sets: 128 },
  { type: 3, level: 2, ways: 8, sets: 512 },
] as const;

/** CPUID: EAX and ECX in; EAX, EBX, ECX and EDX out. */
export function cpuid(p: Processor): void {
  const [eax, ebx, ecx, edx] = cpuidLeaf(p, p.gpr32(GPR.rax), p.gpr32(GPR.rcx));
  p.setGpr32(GPR.rax, eax);
  p.setGpr32(GPR.rbx, ebx);
  p.setGpr32(GPR.rcx, ecx);
  p.setGpr32(GPR.rdx, edx);
}

/** What a leaf holds in the processor's present state: a few bits depend on it. */
export function cpuidLeaf(p: Processor, leaf: number, subleaf: number): Result {
  if (leaf >= HYPERVISOR_BASE && leaf < HYPERVISOR_END) return hypervisorLeaf(leaf);
  if (leaf >= EXTENDED_BASE && leaf <= MAX_EXTENDED) return extendedLeaf(p, leaf);
  // Beyond the last leaf of either range Intel's processors answer as for the last basic one.
  return basicLeaf(p, Math.min(leaf, MAX_BASIC), subleaf);
}

function basicLeaf(p: Processor, leaf: number, subleaf: number): Result {
  switch (leaf) {
    case 0x0: {
      const [a, b, c] = words(VENDOR, 3);
      return [MAX_BASIC, a as number, c as number, b as number];
    }
    case 0x1:
      return features(p);
    case 0x2:
      return [DESCRIPTORS_IN_LEAF_4, 0, 0, 0];
    case 0x4:
      return cacheLeaf(subleaf);
    case 0x7:
      return subleaf === 0 ? [0, allOf(LEAF7_EBX), allOf(LEAF7_ECX), allOf(LEAF7_EDX)] : NOTHING;
    case 0xd:
      return extendedStateLeaf(p, subleaf);
    case 0x15:
      // The time stamp counter's ratio to the crystal clock, which the APIC's timer also counts.
      return [1, 1, CRYSTAL_HERTZ, 0];
    case 0x16:
      return [TSC_MHZ, TSC_MHZ, BUS_MHZ, 0];
    default:
      return NOTHING;
  }
}

function features(p: Processor): Result {
  const hasApic = apicEnabled(Number(p.field(STATE.APIC_BASE)));
  return [
    PROCESSOR_SIGNATURE,
    // Brand index 0; one logical processor, number 0.
    ((CLFLUSH_BYTES / 8) << 8) | (1 << 16),
    allOf(LEAF1_ECX) | ((p.cr4 & CR4.OSXSAVE) !== 0 ? LEAF1_ECX_OSXSAVE : 0),
    allOf(LEAF1_EDX) | (hasApic ? LEAF1_EDX_APIC : 0),
  ];
}

function cacheLeaf(subleaf: number): Result {
  const cache = CACHES[subleaf];
  if (cache === undefined) return NOTHING;
  const selfInitialising = 1 << 8;
  const ebx = ((cache.ways - 1) << 22) | (CLFLUSH_BYTES - 1);
  return [cache.type | (cache.level << 5) | selfInitialising, ebx, cache.sets - 1, 0];
}

/** XSAVE's area: x87 and SSE in the legacy region, and AVX behind its header. */
function extendedStateLeaf(p: Processor, subleaf: number): Result {
  const size = areaSize(p.field(STATE.XCR0));
  switch (subleaf) {
    case 0:
      return [Number(XCR0_SUPPORTED), size, areaSize(XCR0_SUPPORTED), 0];
    case 1:
      return [allOf(XSAVE_EAX), size, 0, 0];
    case 2:
      return [YMM_UPPERS_SIZE, XSAVE_AREA.AVX, 0, 0];
    default:
      return NOTHING;
  }
}

function hypervisorLeaf(leaf: number): Result {
  if (leaf !== HYPERVISOR_BASE) return NOTHING;
  const [a, b, c] = words(HYPERVISOR, 3);
  return [HYPERVISOR_BASE, a as number, b as number, c as number];
}

function extendedLeaf(p: Processor, leaf: number): Result {
  switch (leaf) {
    case 0x8000_0000:
      return [MAX_EXTENDED, 0, 0, 0];
    case 0x8000_0001:
      return [
        0,
        0,
        allOf(EXTENDED_ECX),
        allOf(EXTENDED_EDX) | (p.code64 ? EXTENDED_EDX_SYSCALL : 0),
      ];
    case 0x8000_0002:
    case 0x8000_0003:
    case 0x8000_0004: {
      const part = words(BRAND, 12).slice(4 * (leaf - 0x8000_0002));
      return [part[0] as number, part[1] as number, part[2] as number, part[3] as number];
    }
    case 0x8000_0006:
      // Level 2: 256 KiB, 8 ways.
      return [0, 0, (256 << 16) | (6 << 12) | CLFLUSH_BYTES, 0];
    case 0x8000_0007:
      return [0, 0, 0, INVARIANT_TSC];
    case 0x8000_0008:
      return [(LINEAR_BITS << 8) | PHYSICAL_BITS, 0, 0, 0];
    default:
      return NOTHING;
  }
}

/** Text in little-endian doublewords, padded with zeros. */
function words(text: string, count: number): number[] {
  return Array.from({ length: count }, (_, index) =>
    [0, 1, 2, 3].reduce(
      (word, byte) => word | ((text.charCodeAt(4 * index + byte) || 0) << (8 * byte)),
      0,
    ),
  );
}
