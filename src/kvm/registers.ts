import {
  CONTROL_REGISTERS,
  type DescriptorTable,
  GENERAL_REGISTERS,
  type Registers,
  SEGMENT_REGISTERS,
  type Segment,
} from "../core/cpu.ts";
import type { KvmVm } from "./addon.ts";
import { REGS, SEGMENT, SIZE, SREGS, STATE } from "./layout.ts";

const TABLES = { gdtr: SREGS.gdt, idtr: SREGS.idt } as const;
const SYSTEM_SEGMENTS = { ldtr: SREGS.ldt, tr: SREGS.tr } as const;

const EFER_LMA = 1n << 10n;

/** Where each field of a descriptor's attributes sits: [field, lowest bit, width]. */
const ATTRIBUTE_FIELDS = [
  ["type", 0, 4],
  ["s", 4, 1],
  ["dpl", 5, 2],
  ["present", 7, 1],
  ["avl", 12, 1],
  ["l", 13, 1],
  ["db", 14, 1],
  ["g", 15, 1],
] as const;

function readSegment(view: DataView, at: number): Segment {
  let attributes = 0;
  for (const [field, shift] of ATTRIBUTE_FIELDS) {
    attributes |= view.getUint8(at + SEGMENT[field]) << shift;
  }
  return {
    selector: view.getUint16(at + SEGMENT.selector, true),
    base: view.getBigUint64(at + SEGMENT.base, true),
    limit: view.getUint32(at + SEGMENT.limit, true),
    attributes,
  };
}

function writeSegment(view: DataView, at: number, segment: Segment): void {
  view.setBigUint64(at + SEGMENT.base, segment.base, true);
  view.setUint32(at + SEGMENT.limit, segment.limit, true);
  view.setUint16(at + SEGMENT.selector, segment.selector, true);
  for (const [field, shift, width] of ATTRIBUTE_FIELDS) {
    view.setUint8(at + SEGMENT[field], (segment.attributes >> shift) & ((1 << width) - 1));
  }
  view.setUint8(at + SEGMENT.unusable, segment.attributes & 0x80 ? 0 : 1);
}

function readTable(view: DataView, at: number): DescriptorTable {
  return { base: view.getBigUint64(at, true), limit: view.getUint16(at + 8, true) };
}

function writeTable(view: DataView, at: number, table: DescriptorTable): void {
  view.setBigUint64(at, table.base, true);
  view.setUint16(at + 8, table.limit, true);
}

/** KVM's two structures, and the shared form of the registers they hold. */
export class RegisterFile {
  readonly #vm: KvmVm;
  readonly #regs = new DataView(new ArrayBuffer(SIZE.regs));
  readonly #sregs = new DataView(new ArrayBuffer(SIZE.sregs));

  constructor(vm: KvmVm) {
    this.#vm = vm;
  }

  read(): Registers {
    this.#fetch();
    const registers: Partial<Registers> = {
      rip: this.#regs.getBigUint64(REGS.rip, true),
      rflags: this.#regs.getBigUint64(REGS.rflags, true),
      efer: this.#sregs.getBigUint64(SREGS.efer, true),
    };
    for (const name of GENERAL_REGISTERS) {
      registers[name] = this.#regs.getBigUint64(REGS[name], true);
    }
    for (const name of CONTROL_REGISTERS) {
      registers[name] = this.#sregs.getBigUint64(SREGS[name], true);
    }
    for (const name of SEGMENT_REGISTERS) {
      registers[name] = readSegment(this.#sregs, SREGS[name]);
    }
    registers.ldtr = readSegment(this.#sregs, SYSTEM_SEGMENTS.ldtr);
    registers.tr = readSegment(this.#sregs, SYSTEM_SEGMENTS.tr);
    registers.gdtr = readTable(this.#sregs, TABLES.gdtr);
    registers.idtr = readTable(this.#sregs, TABLES.idtr);
    return registers as Registers;
  }

  write(registers: Registers): void {
    // What the shared form does not hold (the APIC base) keeps its value.
    this.#fetch();
    this.#regs.setBigUint64(REGS.rip, registers.rip, true);
    this.#regs.setBigUint64(REGS.rflags, registers.rflags, true);
    this.#sregs.setBigUint64(SREGS.efer, registers.efer, true);
    for (const name of GENERAL_REGISTERS) {
      this.#regs.setBigUint64(REGS[name], registers[name], true);
    }
    for (const name of CONTROL_REGISTERS) {
      this.#sregs.setBigUint64(SREGS[name], registers[name], true);
    }
    for (const name of SEGMENT_REGISTERS) {
      writeSegment(this.#sregs, SREGS[name], registers[name]);
    }
    // KVM takes it for a mistake that code is 64-bit code in another mode, where the bit is nothing.
    if ((registers.efer & EFER_LMA) === 0n) this.#sregs.setUint8(SREGS.cs + SEGMENT.l, 0);
    writeSegment(this.#sregs, SYSTEM_SEGMENTS.ldtr, registers.ldtr);
    writeSegment(this.#sregs, SYSTEM_SEGMENTS.tr, registers.tr);
    writeTable(this.#sregs, TABLES.gdtr, registers.gdtr);
    writeTable(this.#sregs, TABLES.idtr, registers.idtr);
    this.#vm.set(STATE.sregs, new Uint8Array(this.#sregs.buffer));
    this.#vm.set(STATE.regs, new Uint8Array(this.#regs.buffer));
  }

  /** IA32_APIC_BASE as {@link read} found it. */
  get apicBase(): number {
    return Number(this.#sregs.getBigUint64(SREGS.apic_base, true));
  }

  /** IA32_APIC_BASE, and with it CPUID's APIC bit, which KVM lets follow. */
  writeApicBase(value: number): void {
    this.#fetch();
    this.#sregs.setBigUint64(SREGS.apic_base, BigInt(value), true);
    this.#vm.set(STATE.sregs, new Uint8Array(this.#sregs.buffer));
  }

  #fetch(): void {
    this.#vm.get(STATE.regs, new Uint8Array(this.#regs.buffer));
    this.#vm.get(STATE.sregs, new Uint8Array(this.#sregs.buffer));
  }
}
