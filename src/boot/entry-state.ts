/** The states in which boot protocols hand the processor over. */

import type { Registers, Segment } from "../core/cpu.ts";
import { viewOf } from "./data-view.ts";

const BOOTLOADER_MAGIC = 0x2bad_b002n;

const CR0_PE = 1n << 0n;
const CR0_ET = 1n << 4n;
const RFLAGS_RESERVED = 1n << 1n;

const CODE_SELECTOR = 0x08;
const DATA_SELECTOR = 0x10;

/** Present, ring 0, accessed; 32-bit, granularity 4 KiB (Intel SDM vol. 3A §3.4.5). */
const CODE_ATTRIBUTES = 0xc09b;
const DATA_ATTRIBUTES = 0xc093;
const BUSY_TSS_ATTRIBUTES = 0x008b;
const LDT_ATTRIBUTES = 0x0082;
const FLAT_LIMIT = 0xffff_ffff;

const REAL_MODE_CODE = 0x009b;
const REAL_MODE_DATA = 0x0093;
const REAL_MODE_LIMIT = 0xffff;
const REAL_MODE_VECTORS_LIMIT = 0x3ff;

/**
 * End of the stack: below it is free conventional memory. The specification promises none, but
 * boot loaders leave a usable one and some kernels push before they set their own.
 */
const STACK_TOP = 0x7c00n;

/**
 * The table behind the two selectors. The specification does not promise one; with it in memory, a
 * kernel that reloads its segment registers before it sets its own table comes through.
 */
export const flatGdt = (): Uint8Array =>
  descriptors([
    [CODE_SELECTOR, CODE_ATTRIBUTES],
    [DATA_SELECTOR, DATA_ATTRIBUTES],
  ]);

/** A table of flat segments. */
function descriptors(
  segments: readonly (readonly [selector: number, attributes: number])[],
): Uint8Array {
  const table = new Uint8Array(8 + Math.max(...segments.map(([selector]) => selector)));
  const view = viewOf(table);
  for (const [selector, attributes] of segments) {
    view.setUint32(selector, 0x0000_ffff, true);
    view.setUint32(selector + 4, (attributes << 8) | 0x000f_0000, true);
  }
  return table;
}

/**
 * As a Multiboot loader hands it over (Multiboot 0.6.96 §3.2): 32-bit protected mode without
 * paging, flat segments, interrupts off. The A20 gate does not exist here, so it is open.
 * @param entry guest physical address of the first instruction
 * @param information address of the Multiboot information structure
 * @param gdt address of {@link flatGdt}
 */
export function multibootEntryState(entry: number, information: number, gdt: number): Registers {
  const data = segment(DATA_SELECTOR, FLAT_LIMIT, DATA_ATTRIBUTES);
  return {
    ...powerOnState(),
    rax: BOOTLOADER_MAGIC,
    rbx: BigInt(information),
    rsp: STACK_TOP,
    rip: BigInt(entry),
    cr0: CR0_PE | CR0_ET,
    cs: segment(CODE_SELECTOR, FLAT_LIMIT, CODE_ATTRIBUTES),
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    gdtr: { base: BigInt(gdt), limit: flatGdt().length - 1 },
    idtr: { base: 0n, limit: 0 },
  };
}

/** Real mode with everything else at zero: the data segments, and the table of vectors. */
export function realModeState(codeSegment: number, ip: number): Registers {
  return {
    ...powerOnState(),
    rip: BigInt(ip),
    cs: {
      selector: codeSegment,
      base: BigInt(codeSegment) << 4n,
      limit: REAL_MODE_LIMIT,
      attributes: REAL_MODE_CODE,
    },
  };
}

/** Linux wants its selectors here (__BOOT_CS and __BOOT_DS). */
const LINUX_CODE = 0x10;
const LINUX_DATA = 0x18;
const LONG_CODE_ATTRIBUTES = 0xa09b;
const CR0_PG = 1n << 31n;
const CR4_PAE = 1n << 5n;
const EFER_LME = 1n << 8n;
const EFER_LMA = 1n << 10n;

/** The table behind Linux's two selectors. */
export function linuxGdt(long: boolean): Uint8Array {
  return descriptors([
    [LINUX_CODE, long ? LONG_CODE_ATTRIBUTES : CODE_ATTRIBUTES],
    [LINUX_DATA, DATA_ATTRIBUTES],
  ]);
}

/** Linux's boot protocol, "32-bit Boot Protocol" and "64-bit Boot Protocol". */
export function linuxEntryState(boot: {
  readonly entry: number;
  /** Address of the boot parameters. */
  readonly parameters: number;
  /** Address of {@link linuxGdt}. */
  readonly gdt: number;
  /** Address of tables that map everything onto itself: 64-bit mode. Undefined: 32-bit mode. */
  readonly pageTables: number | undefined;
}): Registers {
  const long = boot.pageTables !== undefined;
  const data = segment(LINUX_DATA, FLAT_LIMIT, DATA_ATTRIBUTES);
  return {
    ...powerOnState(),
    rip: BigInt(boot.entry),
    rsi: BigInt(boot.parameters),
    rsp: STACK_TOP,
    cr0: CR0_PE | CR0_ET | (long ? CR0_PG : 0n),
    cr3: BigInt(boot.pageTables ?? 0),
    cr4: long ? CR4_PAE : 0n,
    efer: long ? EFER_LME | EFER_LMA : 0n,
    cs: segment(LINUX_CODE, FLAT_LIMIT, long ? LONG_CODE_ATTRIBUTES : CODE_ATTRIBUTES),
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    gdtr: { base: BigInt(boot.gdt), limit: linuxGdt(long).length - 1 },
    idtr: { base: 0n, limit: 0 },
  };
}

/** Real mode, with general registers and addresses at zero: boot protocols set the rest. */
export function powerOnState(): Registers {
  const data = segment(0, REAL_MODE_LIMIT, REAL_MODE_DATA);
  return {
    rax: 0n,
    rbx: 0n,
    rcx: 0n,
    rdx: 0n,
    rsi: 0n,
    rdi: 0n,
    rbp: 0n,
    rsp: 0n,
    r8: 0n,
    r9: 0n,
    r10: 0n,
    r11: 0n,
    r12: 0n,
    r13: 0n,
    r14: 0n,
    r15: 0n,
    rip: 0n,
    rflags: RFLAGS_RESERVED,
    cr0: CR0_ET,
    cr2: 0n,
    cr3: 0n,
    cr4: 0n,
    cr8: 0n,
    efer: 0n,
    cs: segment(0, REAL_MODE_LIMIT, REAL_MODE_CODE),
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    ldtr: segment(0, 0xffff, LDT_ATTRIBUTES),
    tr: segment(0, 0xffff, BUSY_TSS_ATTRIBUTES),
    gdtr: { base: 0n, limit: 0 },
    idtr: { base: 0n, limit: REAL_MODE_VECTORS_LIMIT },
  };
}

const segment = (selector: number, limit: number, attributes: number): Segment => ({
  selector,
  base: 0n,
  limit,
  attributes,
});
