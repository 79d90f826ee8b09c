/** Where system programs have what, guest physical; linear addresses are the same, and those from `AGAIN` on. */
export const RAM_SIZE = 4 * 1024 * 1024;
export const PAGE_SIZE = 0x1000;
export const GDT = 0x1000;
export const IDT = 0x2000;
export const HANDLERS = 0x3000;
export const TSS = 0x4000;
/** How often handlers have run. */
export const COUNTS = 0x5000;
/** How long the instruction at each byte of the code is. */
export const LENGTHS = 0x6000;
export const ROOT = 0x10_0000;
/** The tables of all of RAM, page by page: where it is, and once more from {@link AGAIN} on. */
export const PAGE_TABLE = 0x11_0000;
export const AGAIN_TABLE = 0x11_4000;
export const HANDLER_STACK = 0x18_0000;
export const CODE = 0x20_0000;
export const CODE_SIZE = 0x2000;
/** Another place with the same code, to which its pages may be mapped. */
export const OTHER_CODE = CODE ^ 0x4000;
/** The code as it was at the start. */
export const FIRST_CODE = CODE + 0x8000;
export const DATA = 0x30_0000;
export const DATA_SIZE = 0x4000;
export const STACK = 0x38_0000;
export const STACK_SIZE = 0x1000;
/** More than a page of the largest size away. */
export const AGAIN = 0x7000_0000;

/** Of {@link DATA}: where numbers, modes of x87 and of SSE, selectors and counters are. */
export const NUMBERS = 0x600;
export const CONTROL_WORDS = 0x700;
export const MXCSRS = 0x740;
export const SELECTORS = 0x780;
export const COUNTER = 0x7a0;
export const COUNTERS = 16;

export const SELECTOR = {
  CODE: 0x08,
  DATA: 0x10,
  USER_CODE: 0x1b,
  USER_DATA: 0x23,
  TSS: 0x28,
  LIMITED: 0x3b,
  EXPANDS_DOWN: 0x43,
} as const;

/** Of vectors that host and programs raise. */
export const FIRST_INTERRUPT = 32;
export const INTERRUPTS = 8;
