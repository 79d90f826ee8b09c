/** Between the decoder in WebAssembly (`block-decoder.ts`) and {@link Translator}. */
import { DECODING_AREA } from "../state.ts";

/** Longest instruction (Intel SDM vol. 2A §2.3.11). */
export const MAX_INSTRUCTION_LENGTH = 15;
export const REX = 0x40;
/** VEX prefixes of two and of three bytes (Intel SDM vol. 2A §2.3.5). */
export const VEX_2 = 0xc5;
export const VEX_3 = 0xc4;
/** What the prefix of two bytes has no room for in the second of three: neither X nor B, map 0F. */
export const SHORT_VEX = 0x61;
/** Of a block. */
export const MAX_INSTRUCTIONS = 48;

/**
 * The function: see `addBlockDecoder`.
 * @returns how many instructions it has decoded
 */
export type DecodeBlock = (
  bytes: number,
  length: number,
  header: number,
  rip: bigint,
  limit: bigint,
  codeSize: number,
  faults: number,
) => number;

/** What the function finds of a block besides its records: memory offsets. */
export const DECODED = {
  /** i32: bytes of all instructions. */
  LENGTH: DECODING_AREA,
  /** i32: end of the instructions' records, and of all the block's. */
  RECORDS_END: DECODING_AREA + 4,
  END: DECODING_AREA + 8,
  /** i32: `TRAIT`s that any of its instructions has. */
  TRAITS: DECODING_AREA + 12,
  /** i64: where a call at its end goes, if it has that trait. */
  CALLS: DECODING_AREA + 16,
} as const;

/** Memory offsets of the sections of the interpreter's module that the function reads. */
export const HANDLERS = DECODING_AREA + 0x1000;
export const ACCESSES = DECODING_AREA + 0x1_8000;
export const DECODING = DECODING_AREA + 0x2_0000;
