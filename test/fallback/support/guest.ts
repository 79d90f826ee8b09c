import { CR0, CR4, EFER, RFLAGS } from "../../../fallback/bits.ts";
import { CpuException } from "../../../fallback/exceptions.ts";
import { Mmu } from "../../../fallback/memory/mmu.ts";
import { Processor } from "../../../fallback/processor.ts";
import { resetProcessor } from "../../../fallback/registers.ts";
import { RAM_BASE, SEGMENT_INDEX, STATE } from "../../../fallback/state.ts";
import type { Segment } from "../../../src/core/cpu.ts";
import { MIB } from "../../../src/core/units.ts";

export const RAM_SIZE = 8 * MIB;
/** Where {@link Guest} puts its tables. */
export const PAGE_TABLES = 0x10_0000;
/** Of {@link Guest.smallPages}. */
export const PAGE_TABLE = PAGE_TABLES + 0x3000;
export const GDT = 0x1000;
export const IDT = 0x2000;
export const TSS = 0x3000;

const FLAT_LIMIT = 0xffff_ffff;

/** A processor with RAM, and short ways to put tables into it. */
export class Guest {
  readonly p: Processor;
  readonly mmu: Mmu;
  readonly ram: DataView;

  /** @param buffer of an earlier guest, RAM as that one left it: quicker where there are many */
  constructor(buffer = new ArrayBuffer(RAM_BASE + RAM_SIZE)) {
    this.p = new Processor(buffer);
    resetProcessor(this.p);
    this.mmu = new Mmu(this.p, RAM_SIZE);
    this.ram = new DataView(buffer, RAM_BASE, RAM_SIZE);
  }

  u16 = (address: number): number => this.ram.getUint16(address, true);
  u32 = (address: number): number => this.ram.getUint32(address, true);
  u64 = (address: number): bigint => this.ram.getBigUint64(address, true);
  setU16 = (address: number, value: number): void => this.ram.setUint16(address, value, true);
  setU32 = (address: number, value: number): void => this.ram.setUint32(address, value, true);
  setU64 = (address: number, value: bigint | number): void =>
    this.ram.setBigUint64(address, BigInt(value), true);

  /** A code or data descriptor; `attributes` as in `Segment`, limit in the descriptor's unit. */
  setDescriptor(selector: number, attributes: number, base = 0, limit = 0xfffff): void {
    const at = GDT + (selector & 0xfff8);
    this.setU32(at, ((base & 0xffff) << 16) | (limit & 0xffff));
    this.setU32(
      at + 4,
      (base & 0xff00_0000) | (attributes << 8) | (limit & 0xf0000) | ((base >>> 16) & 0xff),
    );
  }

  /** An 8-byte gate. @param attributes type, DPL, present: bits 47 to 40 of the descriptor */
  setGate(at: number, selector: number, offset: number, attributes: number, count = 0): void {
    this.setU32(at, (selector << 16) | (offset & 0xffff));
    this.setU32(at + 4, (offset & 0xffff_0000) | (attributes << 8) | count);
  }

  /** A 16-byte gate of long mode. @param ist interrupt stack, 0 to 7 */
  setLongGate(at: number, selector: number, offset: bigint, attributes: number, ist = 0): void {
    const low = Number(BigInt.asIntN(32, offset));
    this.setGate(at, selector, low, attributes, ist);
    this.setU64(at + 8, BigInt.asUintN(64, offset) >> 32n);
  }

  setSegment(
    name: keyof typeof SEGMENT_INDEX,
    selector: number,
    attributes: number,
    base = 0n,
    limit = FLAT_LIMIT,
  ): void {
    const segment: Segment = { selector, attributes, base, limit };
    this.p.setSegment(SEGMENT_INDEX[name] as number, segment);
  }

  /**
   * 32-bit protected mode at a level, flat, with a GDT: 0x08 code and 0x10 data of level 0, 0x1b
   * code and 0x23 data of level 3; a 32-bit TSS at 0x28.
   */
  protectedMode(level: 0 | 3 = 0): this {
    this.p.cr0 = CR0.PE | CR0.ET;
    this.p.rflags = RFLAGS.FIXED;
    this.#tables(0xc09b, 0xc0fb, 0x8b);
    this.#level(level, 0xc09b, 0xc0fb);
    return this;
  }

  /** 64-bit mode at a level, the first 4 MiB mapped onto themselves by 2 MiB pages for everybody. */
  longMode(level: 0 | 3 = 0): this {
    this.p.cr0 = CR0.PE | CR0.ET | CR0.PG | CR0.WP;
    this.p.cr4 = CR4.PAE;
    this.p.efer = EFER.LME | EFER.LMA | EFER.SCE | EFER.NXE;
    this.p.rflags = RFLAGS.FIXED;
    this.setU64(PAGE_TABLES, PAGE_TABLES + 0x1000 + 7);
    this.setU64(PAGE_TABLES + 0x1000, PAGE_TABLES + 0x2000 + 7);
    this.setU64(PAGE_TABLES + 0x2000, 0x87);
    this.setU64(PAGE_TABLES + 0x2008, 0x20_0087);
    this.p.cr3 = BigInt(PAGE_TABLES);
    this.#tables(0xa09b, 0xa0fb, 0x8b);
    this.#level(level, 0xa09b, 0xa0fb);
    this.mmu.flush();
    return this;
  }

  /** Linear 2 to 4 MiB of long mode by 4 KiB pages: onto themselves, but for the first, which is page 7. */
  smallPages(): this {
    this.setU64(PAGE_TABLES + 0x2008, PAGE_TABLE | 7);
    for (let n = 0; n < 512; n++) this.setU64(PAGE_TABLE + 8 * n, (0x20_0000 + n * 0x1000) | 7);
    this.setU64(PAGE_TABLE, 0x7007);
    return this;
  }

  #tables(code0: number, code3: number, tss: number): void {
    this.setDescriptor(0x08, code0);
    this.setDescriptor(0x10, 0xc093);
    this.setDescriptor(0x18, code3);
    this.setDescriptor(0x20, 0xc0f3);
    this.setDescriptor(0x28, tss, TSS, 0x67);
    this.p.setField(STATE.GDTR_BASE, BigInt(GDT));
    this.p.view.setUint32(STATE.GDTR_LIMIT, 0xff, true);
    this.p.setField(STATE.IDTR_BASE, BigInt(IDT));
    this.p.view.setUint32(STATE.IDTR_LIMIT, 0xfff, true);
    this.setSegment("tr", 0x28, tss, BigInt(TSS), 0x67);
    this.setSegment("ldtr", 0, 0);
  }

  #level(level: 0 | 3, code0: number, code3: number): void {
    if (level === 0) this.setSegment("cs", 0x08, code0);
    else this.setSegment("cs", 0x1b, code3);
    for (const name of ["ss", "ds", "es", "fs", "gs"] as const) {
      if (level === 0) this.setSegment(name, 0x10, 0xc093);
      else this.setSegment(name, 0x23, 0xc0f3);
    }
    this.mmu.changePrivilege(level);
  }
}

/** What `run` throws as a processor's exception, as `vector` or `vector:error code`. */
export function exceptionOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (!(error instanceof CpuException)) throw error;
    const { vector, errorCode } = error;
    return errorCode === undefined ? `${vector}` : `${vector}:${errorCode.toString(16)}`;
  }
}
