/** CPUID's answer (Intel SDM vol. 2A, CPUID): 32 bits each. */
export type CpuidResult = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** An answer, and what it answers. */
export interface CpuidEntry {
  readonly leaf: number;
  readonly subleaf: number;
  readonly result: CpuidResult;
}

/** What a processor is to tell less of itself than it could. */
export interface CpuidLimits {
  /** The last basic leaf. */
  readonly lastBasic: number;
  /** The bits of a leaf that may be told; leaves that are not here are told whole. */
  readonly masks: ReadonlyMap<number, CpuidResult>;
}
