/**
 * Where the processor's state lies in the WebAssembly memory. The start of the memory is the
 * processor's, guest RAM follows at {@link RAM_BASE}: so every offset is a constant of the generated
 * code, and a guest physical address needs no addition.
 */
import { SEGMENT_REGISTERS } from "../src/core/cpu.ts";
import { RAM_OFFSET } from "../src/core/guest-memory.ts";

/** Guest physical address 0. */
export const RAM_BASE = RAM_OFFSET;

/**
 * x87, MMX and SSE state, laid out as FXSAVE's image (Intel SDM vol. 1 §10.5.1), with one difference:
 * the eight registers at ST are in the order of their physical numbers, which MMX uses and in which
 * ST(0) is the one that the status word's TOP says.
 */
export const FXSAVE = {
  CONTROL_WORD: 0x00,
  STATUS_WORD: 0x02,
  TAG_WORD: 0x04,
  OPCODE: 0x06,
  INSTRUCTION_POINTER: 0x08,
  DATA_POINTER: 0x10,
  MXCSR: 0x18,
  ST: 0x20,
  XMM: 0xa0,
} as const;
const FX_AREA = 0x400;

/** General registers outside 64-bit mode. */
export const GENERAL_REGISTERS_32 = 8;

/** Byte offsets. Fields are 64-bit little endian unless noted. */
export const STATE = {
  /** Sixteen general registers, in encoding order. */
  GPR: 0x000,
  /** Always zero: the base or index that an address does not have. */
  ZERO: 0x080,
  /** The linear address that an address micro-operation computed. */
  ADDRESS: 0x088,
  /** Offset in the code segment. Behind the truth inside a block. */
  RIP: 0x090,
  /**
   * Arithmetic flags: see `flags.ts`. The third is an i32, with room for an i64: where FLAG_KIND is
   * not zero, the three are what `jit/flag-kinds.ts` says.
   */
  FLAG_RESULT: 0x098,
  FLAG_CARRIES: 0x0a0,
  FLAG_CARRY: 0x0a8,
  /** i32: all of RFLAGS but the arithmetic flags, which are zero here; bit 1 is one. */
  RFLAGS: 0x0b0,
  /** i32: not zero only between regions of the JIT. */
  FLAG_KIND: 0x0b4,
  /** Instructions that regions of the JIT have executed, besides what they left unexecuted. */
  IN_REGIONS: 0x0b8,
  /** Eight of {@link SEGMENT_SIZE}: ES, CS, SS, DS, FS, GS, LDTR, TR. */
  SEGMENTS: 0x0c0,
  GDTR_BASE: 0x1c0,
  /** i32 */
  GDTR_LIMIT: 0x1c8,
  IDTR_BASE: 0x1d0,
  /** i32 */
  IDTR_LIMIT: 0x1d8,
  CR0: 0x1e0,
  CR2: 0x1e8,
  CR3: 0x1f0,
  CR4: 0x1f8,
  CR8: 0x200,
  EFER: 0x208,
  /** DR0 to DR7. */
  DR: 0x210,
  /** Linear addresses from BASE, LENGTH long, are guest physical ones, in RAM and permitted. */
  READ_WINDOW_BASE: 0x250,
  READ_WINDOW_LENGTH: 0x258,
  /** As above, writable, and no code was translated from there. See also {@link windowOffset}. */
  WRITE_WINDOW_BASE: 0x260,
  WRITE_WINDOW_LENGTH: 0x268,
  /** i32: instructions left of this slice. */
  BUDGET: 0x270,
  /** i32: pending fault as `vector | hasErrorCode << 8`, or -1; and its error code, an i32. */
  FAULT: 0x274,
  FAULT_CODE: 0x278,
  /** i32: record of the instruction under way. */
  RECORD: 0x27c,
  /** What does not fit a function's result, 16 bytes. */
  SCRATCH: 0x280,
  /** i32: current privilege level. */
  CPL: 0x290,
  /**
   * i32: where SHADOW holds events off, the budget behind the instruction that began this: it is over
   * when the budget has changed. Or `SHADOW_BEGINS` in `processor.ts`.
   */
  SHADOW_BUDGET: 0x294,
  /** i32: what holds events off; see `SHADOW` in `processor.ts`. */
  SHADOW: 0x298,
  /** The four page-directory-pointer-table entries that PAE paging keeps in the processor. */
  PDPTE: 0x2a0,
  XCR0: 0x2c0,
  /** Model-specific registers, under their names in the manual. */
  STAR: 0x2c8,
  LSTAR: 0x2d0,
  CSTAR: 0x2d8,
  SFMASK: 0x2e0,
  KERNEL_GS_BASE: 0x2e8,
  SYSENTER_CS: 0x2f0,
  SYSENTER_ESP: 0x2f8,
  SYSENTER_EIP: 0x300,
  PAT: 0x308,
  TSC_AUX: 0x310,
  MISC_ENABLE: 0x318,
  MTRR_DEF_TYPE: 0x320,
  APIC_BASE: 0x328,
  /** What the time stamp counter is ahead of its source. */
  TSC_OFFSET: 0x330,
  /** Bits of RSP that address the stack. */
  STACK_MASK: 0x3f0,
  /** i64: CS's base, zero in 64-bit mode. */
  CODE_BASE: 0x3e8,
  /** i32: whether the code is 64-bit. */
  CODE64: 0x3e0,
  /** i32: header of the block under way. */
  BLOCK: 0x3e4,
  /**
   * i64: what linear addresses in the jump cache are combined with: {@link USER_CODE},
   * {@link CODE_TRAITS}, {@link CODE_MODE}.
   */
  CODE_KEY: 0x3d8,
  /** i32: whether an interrupt or an NMI is to be taken as soon as that is permitted. */
  EVENTS_WAIT: 0x3c0,
  /** IA32_SPEC_CTRL. */
  SPEC_CTRL: 0x3c8,
  /** i32: offset from {@link TLB} of the entries for the current rights. */
  TLB_AT: 0x3d0,
  /** i32: changes whenever a window for reads has lost anything. */
  READ_WINDOWS_VERSION: 0x3d4,
  FX_AREA,
  X87_CONTROL: FX_AREA + FXSAVE.CONTROL_WORD,
  X87_STATUS: FX_AREA + FXSAVE.STATUS_WORD,
  X87_TAGS: FX_AREA + FXSAVE.TAG_WORD,
  X87_INSTRUCTION_POINTER: FX_AREA + FXSAVE.INSTRUCTION_POINTER,
  /** Eight of 16 bytes, which are MMX's too. */
  X87_REGISTERS: FX_AREA + FXSAVE.ST,
  MXCSR: FX_AREA + FXSAVE.MXCSR,
  XMM: FX_AREA + FXSAVE.XMM,
  /** Eleven fixed-range registers, then eight pairs of base and mask. */
  MTRR_FIXED: 0x600,
  MTRR_VARIABLE: 0x660,
  /** Upper halves of sixteen YMM registers, 16 bytes each. */
  YMM_UPPER: 0x700,
} as const;

/** In STATE.FAULT. */
export const NO_FAULT = -1;

/** Behind the last field of the x87, MMX and SSE state, and of all state. */
export const FX_AREA_END = STATE.MTRR_FIXED;
export const STATE_BYTES = 0x800;

/**
 * What is accessed: code of the JIT has windows of its own for static data and for the stack, which
 * often lie apart from the rest. The first is that of READ_WINDOW_BASE and what follows it.
 */
export const WINDOW_AREAS = ["general", "static", "stack"] as const;
export type WindowArea = (typeof WINDOW_AREAS)[number];
const MORE_WINDOWS = 0x340;
const WINDOW_SIZE = 16;

/** Offset of a window's base; its length is 8 bytes on. */
export function windowOffset(area: WindowArea, access: "read" | "write"): number {
  const index = 2 * WINDOW_AREAS.indexOf(area) + (access === "write" ? 1 : 0);
  if (area === "general") return STATE.READ_WINDOW_BASE + WINDOW_SIZE * index;
  return MORE_WINDOWS + WINDOW_SIZE * index;
}

/** A segment register with its descriptor cache. */
export const SEGMENT = {
  /** 64-bit. */
  BASE: 0,
  /** u32, in bytes. */
  LIMIT: 8,
  /** u16. */
  SELECTOR: 12,
  /** u16: descriptor bits 40 to 47 and 52 to 55; see `Segment` in core. */
  ATTRIBUTES: 14,
  /**
   * i64 each: the last offset that may surely be read or written, or -1 if it takes a closer look
   * (`segment-access.ts`). Derived from limit and attributes; of no meaning in 64-bit mode.
   */
  READ_LAST: 16,
  WRITE_LAST: 24,
} as const;
export const SEGMENT_SIZE = 32;

export const SEGMENT_INDEX = Object.fromEntries(
  [...SEGMENT_REGISTERS, "ldtr", "tr"].map((name, index) => [name, index]),
) as Readonly<Record<(typeof SEGMENT_REGISTERS)[number] | "ldtr" | "tr", number>>;

/** Offset of a segment register's cache. @param index as in {@link SEGMENT_INDEX} */
export const segmentOffset = (index: number): number => STATE.SEGMENTS + index * SEGMENT_SIZE;

/** Software TLB: direct-mapped entries of {@link TLB_ENTRY_SIZE}. */
export const TLB = 0x8_0000;
/** Distance to the one for user's rights: {@link STATE}.TLB_AT is this, or 0. */
export const TLB_OF_USER = 0x4_0000;
export const TLB_ENTRIES = 8192;
export const TLB_ENTRY = {
  /** Linear page number (address >> 12, a logical shift) readable through this entry, or -1. */
  READ_PAGE: 0,
  /** The same for writing. */
  WRITE_PAGE: 8,
  /** u32: memory offset of the page, RAM_BASE included. */
  HOST_PAGE: 16,
  /** u32: what has to be added to the lower half of a linear address to get its memory offset. */
  DISTANCE: 20,
  /** As WRITE_PAGE, where code was translated from the page: only TypeScript writes there, and says so. */
  CODE_PAGE: 24,
} as const;
export const TLB_ENTRY_SHIFT = 5;
export const TLB_ENTRY_SIZE = 1 << TLB_ENTRY_SHIFT;
/**
 * Which entries generated code has filled since TypeScript last looked: i32 their number, and for each of
 * them an i32, its place and from bit 16 on what `tlb.ts` calls FILLED. For user's rights at a distance of
 * {@link STATE}.TLB_AT shifted.
 */
export const TLB_FILLS = 0x3_0000;
export const TLB_FILL_SHIFT = 6;
export const TLB_FILL_ENTRIES = 1023;

/** What generated code has to know to walk the guest's paging structures: see `emission/page-walk.ts`. */
export const WALK_FIELD = {
  /** i32: whether it may. */
  ENABLED: 0x3_2000,
  /** u32: guest physical addresses between which RAM denies nothing. */
  FROM: 0x3_2004,
  END: 0x3_2008,
  /** i64: bits that no entry may have set. */
  RESERVED: 0x3_2010,
} as const;

/**
 * Where execution goes from a linear address, direct-mapped: u32 each, how far behind {@link RECORDS} the
 * header of a block is. That says whether it is the one; the first record is a header of none.
 */
export const JUMP_CACHE = 0x20_0000;
/** A Linux kernel that boots has a quarter as many blocks: else half of them would displace each other. */
export const JUMP_CACHE_ENTRIES = 262144;
/** An address is hashed by what it has from here on. */
export const JUMP_CACHE_SHIFT = 14;
export const JUMP_CACHE_ENTRY_SIZE = 4;
/**
 * Exclusive-or with the linear address: what user code may go to is told apart from what the system
 * may. No canonical address has it.
 */
export const USER_CODE = 1n << 62n;
/**
 * The same for what code is translated for outside 64-bit mode, where addresses have 32 bits: four bits
 * of `SegmentTraits` from this one on, and a number from 1 to {@link CODE_MODES} for the code segment.
 */
export const CODE_TRAITS = 1n << 48n;
export const CODE_MODE = 1n << 52n;
export const CODE_MODES = 1023;

/** Bases of segments in real and virtual-8086 mode are selectors shifted by this. */
export const PARAGRAPH_SHIFT = 4;

/** Numbers of code segments that are known here, direct-mapped by their bases in paragraphs and sizes. */
export const CODE_SEGMENTS = 0x9000;
export const CODE_SEGMENT_ENTRIES = 64;
export const CODE_SEGMENT = {
  /** u32 each: base and limit. */
  BASE: 0,
  LIMIT: 4,
  /** i32: 16 or 32; 0 without an entry. */
  SIZE: 8,
  /** i32: what the upper half of a key has of the number. */
  MODE: 12,
  ENTRY_SIZE: 16,
} as const;

/** Tables and results of the decoder: see `interpreter/decoding.ts`. */
export const DECODING_AREA = 0x4_0000;

/**
 * i32 each: which READ_WINDOWS_VERSION a set of windows that regions were made for has been seen to be
 * part of: see `jit/known-windows.ts`.
 */
export const KNOWN_WINDOWS = 0x8000;
export const KNOWN_WINDOWS_SETS = 1024;

/** i32 each: which function in the table of regions a slot leads to; 0 if it leads to none. */
export const REGION_LINKS = 0x10_0000;
export const REGION_SLOTS = 65536;

/**
 * Which place in the table of regions a linear address leads to, direct-mapped by its lowest bits: see
 * `jit/region-places.ts`.
 */
export const REGION_PLACES = 0x14_0000;
export const REGION_PLACE_ENTRIES = 32768;
export const REGION_PLACE = {
  /** i64: as HEADER.KEY. */
  KEY: 0,
  /** i32: a place in the table of regions. */
  PLACE: 8,
  SIZE: 16,
} as const;

/** One byte for each page of RAM: see `memory/code-pages.ts`. */
export const CODE_PAGES = 0x30_0000;
export const MAX_CODE_PAGES = 0x10_0000;

/** Records of decoded instructions: see `record.ts`. */
export const RECORDS = 0x40_0000;
export const RECORDS_END = 0x2c0_0000;

/** Where regions of the JIT leave in the middle: see `jit/exit-records.ts`. */
export const EXIT_RECORDS = RECORDS_END;
export const EXIT_RECORDS_END = 0x300_0000;

/**
 * Which pages are where their linear addresses say, direct-mapped by these: u32 each, the page's number.
 * First those that may be read, then those that may be written: see `memory/identity-pages.ts`.
 */
export const IDENTITY_PAGES = EXIT_RECORDS_END;
/** A GiB of them. */
export const IDENTITY_ENTRIES = 0x4_0000;
/** Distance to those that may be written. */
export const IDENTITY_WRITES = 4 * IDENTITY_ENTRIES;
/** Distance to the pages for user's rights: {@link STATE}.TLB_AT shifted, where these are the current ones. */
export const IDENTITY_OF_USER = 2 * IDENTITY_WRITES;
export const IDENTITY_USER_SHIFT = 3;
/** One byte for each 2 MiB of entries: whether any of them has a page. The user's follow. */
export const IDENTITY_FILLED = 0x1c_0000;
export const IDENTITY_CHUNK_ENTRIES = 512;
export const IDENTITY_CHUNKS = IDENTITY_ENTRIES / IDENTITY_CHUNK_ENTRIES;
