import type { Registers } from "./cpu.ts";

/** MSRs that instructions use besides RDMSR and WRMSR (Intel SDM vol. 4, table 2-2). */
export const STATE_MSRS = {
  sysenterCs: 0x174,
  sysenterEsp: 0x175,
  sysenterEip: 0x176,
  star: 0xc000_0081,
  lstar: 0xc000_0082,
  cstar: 0xc000_0083,
  sfmask: 0xc000_0084,
  kernelGsBase: 0xc000_0102,
  tscAux: 0xc000_0103,
} as const;

export type StateMsr = keyof typeof STATE_MSRS;

/** Bytes of FXSAVE's image up to the last XMM register. */
export const FX_IMAGE_SIZE = 0x1a0;
/** Bytes of the upper halves of all YMM registers. */
export const YMM_UPPERS_SIZE = 0x100;
/** In the image: the mask of MXCSR's bits, which is the processor's and no state. */
export const FX_MXCSR_MASK = 0x1c;

/**
 * What one processor must know to go on where another one stopped, between two instructions.
 * Memory management registers that follow from these (PAE's entries) are read anew.
 */
export interface ProcessorState {
  readonly registers: Registers;
  readonly apicBase: number;
  /** DR0 to DR7; 4 and 5 do not exist. */
  readonly debugRegisters: readonly bigint[];
  /** x87, MMX and SSE in FXSAVE's 64-bit format, {@link FX_IMAGE_SIZE} bytes. */
  readonly fx: Uint8Array<ArrayBuffer>;
  /** Bits 128 to 255 of the YMM registers, {@link YMM_UPPERS_SIZE} bytes; zeros where there are none. */
  readonly ymmUppers: Uint8Array<ArrayBuffer>;
  readonly xcr0: bigint;
  readonly msrs: Readonly<Record<StateMsr, bigint>>;
  /** What the last instruction holds off for one instruction (Intel SDM vol. 3A §6.8.3). */
  readonly shadow: { readonly sti: boolean; readonly movSs: boolean };
  /** In the handler of a non-maskable interrupt. */
  readonly nmiMasked: boolean;
  /** Accepted, and to be delivered before the next instruction. */
  readonly pending: {
    readonly exception?:
      | { readonly vector: number; readonly errorCode: number | undefined }
      | undefined;
    readonly interrupt?: number;
    readonly nmi: boolean;
  };
}
