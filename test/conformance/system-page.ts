/** What level 3 needs of level 0, in one page: GDT, TSS and IDT. */
import type { Registers, Segment } from "../../src/core/cpu.ts";
import { CODE_SELECTOR, DATA_SELECTOR, PAGE } from "./environment.ts";

/** Offsets in the page; what follows TABLES_END is free. */
const TABLE = { GDT: 0x000, TSS: 0x100, IDT: 0x200 } as const;
const GDT_SIZE = 0x50;
const TSS_SIZE = 0x68;
export const VECTORS = 32;
export const TABLES_END = TABLE.IDT + VECTORS * 16;
export const SELECTOR = { KERNEL_CODE: 0x10, KERNEL_DATA: 0x18, TSS: 0x40 } as const;

/** Descriptors (Intel SDM vol. 3A §3.4.5), bits 32 to 63; bases are 0, limits 4 GiB. */
const DESCRIPTORS: readonly (readonly [selector: number, high: number])[] = [
  [SELECTOR.KERNEL_CODE, 0x00af_9b00],
  [SELECTOR.KERNEL_DATA, 0x00cf_9300],
  [CODE_SELECTOR[32], 0x00cf_fb00],
  [DATA_SELECTOR, 0x00cf_f300],
  [CODE_SELECTOR[64], 0x00af_fb00],
];
const AVAILABLE_TSS = 0x89;
const BUSY_TSS = 0x8b;
const INTERRUPT_GATE = 0x8e00;
/** Gates that INT3 and INTO may use. */
const USER_GATE = 0xee00;
const USER_VECTORS: ReadonlySet<number> = new Set([3, 4]);

export interface SystemPageOptions {
  /** Linear address of the page itself, which user code must not see. */
  readonly address: number;
  /** Stack pointer at the entry to a handler. */
  readonly stack: number;
  /** Linear address of a vector's handler. */
  readonly handler: (vector: number) => number;
}

export function systemPage({ address, stack, handler }: SystemPageOptions): Uint8Array {
  const page = new Uint8Array(PAGE);
  const view = new DataView(page.buffer);
  for (const [selector, high] of DESCRIPTORS) {
    const at = TABLE.GDT + (selector & ~7);
    view.setUint32(at, 0xffff, true);
    view.setUint32(at + 4, high, true);
  }
  writeTss(view, address + TABLE.TSS, stack);
  for (let vector = 0; vector < VECTORS; vector++) {
    const attributes = USER_VECTORS.has(vector) ? USER_GATE : INTERRUPT_GATE;
    writeGate(view, TABLE.IDT + vector * 16, attributes, BigInt(handler(vector)));
  }
  return page;
}

/** The registers that lead to the page. @param address of the page, linear */
export function systemRegisters(address: number): Pick<Registers, "gdtr" | "idtr" | "tr"> {
  const table = (offset: number, size: number) => ({
    base: BigInt(address + offset),
    limit: size - 1,
  });
  const tss = table(TABLE.TSS, TSS_SIZE);
  const tr: Segment = { ...tss, selector: SELECTOR.TSS, attributes: BUSY_TSS };
  return { gdtr: table(TABLE.GDT, GDT_SIZE), idtr: table(TABLE.IDT, VECTORS * 16), tr };
}

/** The 64-bit TSS and its descriptor (Intel SDM vol. 3A §7.2.3, §7.7). No I/O is permitted. */
function writeTss(view: DataView, base: number, stack: number): void {
  const RSP0 = 4;
  const IO_MAP_BASE = 0x66;
  view.setBigUint64(TABLE.TSS + RSP0, BigInt(stack), true);
  view.setUint16(TABLE.TSS + IO_MAP_BASE, TSS_SIZE, true);
  const at = TABLE.GDT + SELECTOR.TSS;
  view.setUint16(at, TSS_SIZE - 1, true);
  view.setUint16(at + 2, base & 0xffff, true);
  view.setUint8(at + 4, (base >>> 16) & 0xff);
  view.setUint8(at + 5, AVAILABLE_TSS);
  view.setUint8(at + 7, (base >>> 24) & 0xff);
  view.setUint32(at + 8, Math.floor(base / 2 ** 32), true);
}

/** An interrupt gate (Intel SDM vol. 3A §6.14.1). */
function writeGate(view: DataView, at: number, attributes: number, handler: bigint): void {
  view.setUint16(at, Number(handler & 0xffffn), true);
  view.setUint16(at + 2, SELECTOR.KERNEL_CODE, true);
  view.setUint16(at + 4, attributes, true);
  view.setUint16(at + 6, Number((handler >> 16n) & 0xffffn), true);
  view.setUint32(at + 8, Number(handler >> 32n), true);
}
