import type { GeneralRegister, Registers, SegmentRegister } from "./cpu.ts";

/**
 * The registers of a processor one by one, for who needs a few of them each time: an object of all takes
 * longer than what is done with it.
 */
export interface RegisterAccess {
  /** Bits 31 to 0. */
  general(register: GeneralRegister): number;
  /** Bits 63 to 32 stay. */
  setGeneral(register: GeneralRegister, value: number): void;
  selector(register: SegmentRegister): number;
  base(register: SegmentRegister): number;
  /** As in real mode: limit and rights stay. */
  loadParagraph(register: SegmentRegister, selector: number): void;
  /** Bits 15 to 0 of RIP; setting it clears the others. */
  ip: number;
  /** Sets what is given; all else stays. */
  assign(registers: Partial<Registers>): void;
}

/** Those of an object that has all registers. */
export class CopiedRegisters implements RegisterAccess {
  readonly all: Registers;

  /** @param all is changed */
  constructor(all: Registers) {
    this.all = all;
  }

  general(register: GeneralRegister): number {
    return Number(BigInt.asUintN(32, this.all[register]));
  }

  setGeneral(register: GeneralRegister, value: number): void {
    const upper = this.all[register] & ~0xffff_ffffn;
    this.all[register] = upper | BigInt.asUintN(32, BigInt(value));
  }

  selector(register: SegmentRegister): number {
    return this.all[register].selector;
  }

  base(register: SegmentRegister): number {
    return Number(this.all[register].base);
  }

  loadParagraph(register: SegmentRegister, selector: number): void {
    this.all[register] = { ...this.all[register], selector, base: BigInt(selector) << 4n };
  }

  get ip(): number {
    return Number(this.all.rip & 0xffffn);
  }

  set ip(value: number) {
    this.all.rip = BigInt(value);
  }

  assign(registers: Partial<Registers>): void {
    Object.assign(this.all, registers);
  }
}
