/**
 * A decoded instruction as the interpreter reads it: {@link RECORD_SIZE} bytes in the WebAssembly
 * memory, one after the other to the end of the block. A block begins with a header record.
 */
export const RECORD_SIZE = 32;

/** Byte offsets in a record. */
export const RECORD = {
  /** u16: index of the handler. */
  HANDLER: 0,
  /** u8: how many instructions of the block come before this one. */
  INDEX: 2,
  /** u8: how far the index register is shifted. */
  SCALE: 3,
  /** u16 each: offsets in the state of register operands, in order. */
  REGISTERS: [4, 6, 8],
  /**
   * i32 each, of a relative branch, which has no registers and no address: header of where its target has led
   * last, and what follows it; or `RECORDS`. Handlers inline in the dispatch loop use them.
   */
  LINKS: { target: 4, next: 8 },
  /** u16: of a far pointer in the code, the selector; the offset is the immediate. */
  FAR_SELECTOR: 4,
  /** u16: offsets in the state of an address's base and index. */
  BASE: 10,
  INDEX_REGISTER: 12,
  /** u8 each: bytes of the instruction (0 in a micro-operation before it), and ModRM, or 0 without one. */
  LENGTH: 14,
  MOD_RM: 15,
  /**
   * In an address micro-operation, u16 each: offsets in the state of the segment's base, and of the
   * limit (READ_LAST or WRITE_LAST) that is checked.
   */
  SEGMENT: 4,
  ACCESS_LIMIT: 6,
  /** u8: what is checked, in bytes less one. */
  ACCESS_LENGTH: 8,
  /** i64: immediate, or branch target; in an instruction without one, the next instruction. */
  IMMEDIATE: 16,
  /** i64: displacement; in an instruction with an immediate and no memory, the next instruction. */
  DISPLACEMENT: 24,
} as const;

/** Byte offsets in a header record. */
export const HEADER = {
  /** i32: instructions in the block. */
  COUNT: 0,
  /** i32: how often the block is still to be entered before the JIT looks at it. */
  HEAT: 4,
  /** i32: place in the table of regions of the code to be run instead; 0 if there is none. */
  REGION: 8,
  /** i32: how often it has been entered by the time that HEAT is 0. */
  ENTRIES: 12,
  /** i64: the linear address that leads here, with STATE.CODE_KEY; {@link NO_KEY} if none does now. */
  KEY: 16,
  /** i32: header of where control has gone from here last, if not by a branch that has {@link RECORD.LINKS} for it. */
  LINK: 24,
} as const;

/** No linear address. */
export const NO_KEY = 0x2bad_c0de_2bad_c0den;
