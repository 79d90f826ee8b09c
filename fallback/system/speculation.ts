/**
 * Model-specific registers about speculative execution (Intel SDM vol. 4, table 2-2). Nothing is
 * executed speculatively here. A guest that is not told so works around the faults of real processors,
 * and what it does then is dear: Linux would have page tables of its own for user code, and return
 * to where no call came from instead of jumping.
 */
import { STATE } from "../state.ts";
import type { StoredMsr } from "./mtrr.ts";

const IA32_SPEC_CTRL = 0x48;
export const IA32_PRED_CMD = 0x49;
const IA32_ARCH_CAPABILITIES = 0x10a;

/** Bits of IA32_ARCH_CAPABILITIES: what the processor is not vulnerable to. */
const NOT_VULNERABLE = {
  RDCL_NO: 0,
  /** IBRS, once it is on, has always been: guests switch it on and leave it at that. */
  IBRS_ALL: 1,
  SKIP_L1DFL_VMENTRY: 3,
  SSB_NO: 4,
  MDS_NO: 5,
  PSCHANGE_MC_NO: 6,
  TAA_NO: 8,
  SBDR_SSDP_NO: 13,
  FBSDP_NO: 14,
  PSDP_NO: 15,
  BHI_NO: 20,
  PBRSB_NO: 24,
  GDS_NO: 26,
  RFDS_NO: 27,
  ITS_NO: 62,
} as const;

/** IBRS; and STIBP, which may be set wherever there is IBRS: without a second thread it does nothing. */
const SPEC_CTRL_BITS = 3n;
/** IBPB. */
const PRED_CMD_BITS = 1n;

export const SPECULATION_MSRS: readonly (readonly [number, StoredMsr])[] = [
  [
    IA32_SPEC_CTRL,
    { offset: STATE.SPEC_CTRL, accepts: (value) => (value & ~SPEC_CTRL_BITS) === 0n },
  ],
];

export const SPECULATION_CONSTANTS: readonly (readonly [number, bigint])[] = [
  [
    IA32_ARCH_CAPABILITIES,
    Object.values(NOT_VULNERABLE).reduce((all, bit) => all | (1n << BigInt(bit)), 0n),
  ],
];

/** Whether IA32_PRED_CMD, which can only be written, takes a value. */
export const acceptsPrediction = (value: bigint): boolean => (value & ~PRED_CMD_BITS) === 0n;
