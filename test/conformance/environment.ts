/**
 * The world that a snippet finds itself in, the same on every processor under test.
 *
 * A snippet is one instruction at privilege level 3 in long mode: in 64-bit mode, or in the 32-bit
 * compatibility mode. Paging maps only what is listed here, as 4 KiB user pages; anything else is
 * not present. All addresses are linear and below 2 GiB, so that every addressing form reaches them.
 */

export const PAGE = 0x1000;

/** User, read-only, executable: {@link CODE_FILL} but for the snippet and its {@link MARKER}. */
export const CODE_PAGE = 0x4000_0000;
/** Where a snippet's first byte lies: short branches stay in the page in both directions. */
export const CODE = CODE_PAGE + 0x800;
/** INT3: a branch that lands here can go no further. */
export const CODE_FILL = 0xcc;
/**
 * `jmp rel32`, right after the snippet: what ends a snippet that falls through. Its displacement is
 * INT3s as well, so that a branch into the middle of it is noticed.
 */
export const MARKER: readonly number[] = [0xe9, CODE_FILL, CODE_FILL, CODE_FILL, CODE_FILL];

/** Where the marker of an empty snippet leads; a snippet's length is added. */
export const LANDING = CODE + MARKER.length + (0xcccc_cccc | 0);
/** User, executable: a part of the harness. */
export const LANDING_PAGE = LANDING - (LANDING % PAGE);
export const LONGEST_INSTRUCTION = 15;

/** Two adjacent pages, user, writable, not executable. Before and after them nothing is mapped. */
export const DATA = 0x2000_0000;
export const DATA_SIZE = 0x2000;
/** User, read-only, not executable, filled by {@link readOnlyContents}. Nothing beside it. */
export const READ_ONLY = 0x2001_0000;

/** Whether all bytes at a linear address can be read. */
export const isReadable = (address: bigint, bytes: number): boolean =>
  isWritable(address, bytes) ||
  [CODE_PAGE, LANDING_PAGE, READ_ONLY].some((page) => isInside(page, PAGE, address, bytes));

/** Whether all bytes at a linear address can be written. */
export const isWritable = (address: bigint, bytes: number): boolean =>
  isInside(DATA, DATA_SIZE, address, bytes);

const isInside = (start: number, length: number, address: bigint, bytes: number): boolean =>
  address >= BigInt(start) && address + BigInt(bytes) <= BigInt(start + length);

/** Selectors that CS holds: 64-bit and 32-bit code, level 3, flat. The numbers are Linux's. */
export const CODE_SELECTOR = { 64: 0x33, 32: 0x23 } as const;
/**
 * Selector that SS, DS, ES, FS and GS hold: flat writable data, level 3. The bases of FS and GS are
 * part of each snippet's state.
 */
export const DATA_SELECTOR = 0x2b;

/** PE, MP, ET, NE, WP, PG; alignment is not checked. */
export const CR0 = 0x8001_0033n;

/** PAE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE. */
export const CR4 = 0x5_0620n;
/** LME, LMA, NXE; no SYSCALL. */
export const EFER = 0xd00n;
/** x87, SSE and AVX. */
export const XCR0 = 7n;
export const XCR0_AVX = 4n;

/** The status flags, DF, NT, AC and ID: what user code sees change, but for TF. */
export const VISIBLE_FLAGS = 0x0024_4cd5n;

/** The bytes of the page at {@link READ_ONLY}: the low byte of each offset's square, inverted. */
export function readOnlyContents(): Uint8Array {
  return Uint8Array.from(
    { length: PAGE },
    (_, offset) => ~(offset * offset + (offset >> 3)) & 0xff,
  );
}
