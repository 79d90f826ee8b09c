/**
 * Bits of the registers that control the processor, under their names in the manual
 * (Intel SDM vol. 3A §2.3, §2.5, §2.2.1, §17.2).
 */

export const RFLAGS = {
  CF: 1 << 0,
  /** Always one. */
  FIXED: 1 << 1,
  PF: 1 << 2,
  AF: 1 << 4,
  ZF: 1 << 6,
  SF: 1 << 7,
  TF: 1 << 8,
  IF: 1 << 9,
  DF: 1 << 10,
  OF: 1 << 11,
  IOPL: 3 << 12,
  NT: 1 << 14,
  RF: 1 << 16,
  VM: 1 << 17,
  AC: 1 << 18,
  VIF: 1 << 19,
  VIP: 1 << 20,
  ID: 1 << 21,
} as const;

export const IOPL_SHIFT = 12;

export const ARITHMETIC_FLAGS =
  RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.OF;

/** x87's status word (vol. 1 §8.1.3), but for its exceptions and conditions. */
export const FSW = {
  /** A register was empty that should not have been, or the other way round. */
  SF: 1 << 6,
  /** An unmasked exception is pending. */
  ES: 1 << 7,
  TOP: 7 << 11,
  /** What was once "busy" and now says the same as ES. */
  B: 1 << 15,
} as const;

export const FSW_TOP_SHIFT = 11;

export const CR0 = {
  PE: 1 << 0,
  MP: 1 << 1,
  EM: 1 << 2,
  TS: 1 << 3,
  /** Always one. */
  ET: 1 << 4,
  NE: 1 << 5,
  WP: 1 << 16,
  AM: 1 << 18,
  NW: 1 << 29,
  CD: 1 << 30,
  PG: (1 << 31) >>> 0,
} as const;

export const CR4 = {
  VME: 1 << 0,
  PVI: 1 << 1,
  TSD: 1 << 2,
  DE: 1 << 3,
  PSE: 1 << 4,
  PAE: 1 << 5,
  MCE: 1 << 6,
  PGE: 1 << 7,
  PCE: 1 << 8,
  OSFXSR: 1 << 9,
  OSXMMEXCPT: 1 << 10,
  FSGSBASE: 1 << 16,
  OSXSAVE: 1 << 18,
  /** Only a guest of KVM's can set it. */
  SMAP: 1 << 21,
} as const;

export const EFER = {
  SCE: 1 << 0,
  LME: 1 << 8,
  LMA: 1 << 10,
  NXE: 1 << 11,
} as const;

export const DR6 = {
  /** MOV to or from a debug register while DR7.GD was set. */
  BD: 1 << 13,
  /** Single step. */
  BS: 1 << 14,
  /** A switch to a task whose TSS asks for it. */
  BT: 1 << 15,
} as const;

export const DR7 = {
  GD: 1 << 13,
} as const;

/** Width of guest physical addresses, as CPUID 0x80000008 says. */
export const PHYSICAL_BITS = 40;
/** Width of linear addresses: canonical ones are sign-extended from here. */
export const LINEAR_BITS = 48;

/** Whether bits 63 to 47 are all equal (Intel SDM vol. 1 §3.3.7.1). */
export const isCanonical = (address: bigint): boolean =>
  BigInt.asUintN(64, BigInt.asIntN(LINEAR_BITS, address)) === BigInt.asUintN(64, address);
