import type { GeneralRegister, Registers } from "../../core/cpu.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { type Gpa, gpa } from "../../core/units.ts";

const CARRY = 1 << 0;
const ZERO = 1 << 6;

type WideName = "eax" | "ebx" | "ecx" | "edx" | "esi" | "edi";
type WordName = "ax" | "bx" | "cx" | "dx" | "si" | "di" | "bp";
type ByteName = "al" | "ah" | "bl" | "bh" | "cl" | "ch" | "dl" | "dh";

/** Where each name lies: register, lowest bit, width. */
const PLACES: Readonly<Record<WideName | WordName | ByteName, [GeneralRegister, number, number]>> =
  {
    ...{ eax: ["rax", 0, 32], ebx: ["rbx", 0, 32], ecx: ["rcx", 0, 32], edx: ["rdx", 0, 32] },
    ...{ esi: ["rsi", 0, 32], edi: ["rdi", 0, 32] },
    ...{ ax: ["rax", 0, 16], bx: ["rbx", 0, 16], cx: ["rcx", 0, 16], dx: ["rdx", 0, 16] },
    ...{ si: ["rsi", 0, 16], di: ["rdi", 0, 16], bp: ["rbp", 0, 16] },
    ...{ al: ["rax", 0, 8], bl: ["rbx", 0, 8], cl: ["rcx", 0, 8], dl: ["rdx", 0, 8] },
    ...{ ah: ["rax", 8, 8], bh: ["rbx", 8, 8], ch: ["rcx", 8, 8], dh: ["rdx", 8, 8] },
  };

/** A physical address of real mode: segment and offset. */
export const linear = (segment: number, offset: number): Gpa =>
  gpa(((segment & 0xffff) << 4) + (offset & 0xffff));

/**
 * The processor at a software interrupt in real mode, as a BIOS service sees it: registers by their
 * assembler names, and the flags that IRET will take from the caller's stack.
 */
export class BiosCall {
  readonly registers: Registers;
  readonly memory: GuestMemory;

  constructor(registers: Registers, memory: GuestMemory) {
    this.registers = registers;
    this.memory = memory;
  }

  get(name: WideName | WordName | ByteName): number {
    const [register, shift, width] = PLACES[name];
    return Number(BigInt.asUintN(width, this.registers[register] >> BigInt(shift)));
  }

  /** Sets the register, and leaves the bits around it as they are. */
  set(name: WideName | WordName | ByteName, value: number): void {
    const [register, shift, width] = PLACES[name];
    const mask = ((1n << BigInt(width)) - 1n) << BigInt(shift);
    const bits = BigInt.asUintN(width, BigInt(value)) << BigInt(shift);
    this.registers[register] = (this.registers[register] & ~mask) | bits;
  }

  get es(): number {
    return this.registers.es.selector;
  }

  set es(selector: number) {
    this.registers.es = { ...this.registers.es, selector, base: BigInt(selector) << 4n };
  }

  get ds(): number {
    return this.registers.ds.selector;
  }

  /** Whether the service failed, for most of them. */
  get carry(): boolean {
    return (this.#flags & CARRY) !== 0;
  }

  set carry(value: boolean) {
    this.#setFlag(CARRY, value);
  }

  set zero(value: boolean) {
    this.#setFlag(ZERO, value);
  }

  /** Success, for a service that reports in AH and carry. */
  succeed(): void {
    this.set("ah", 0);
    this.carry = false;
  }

  /** @param status for AH */
  fail(status: number): void {
    this.set("ah", status);
    this.carry = true;
  }

  get #flagsAddress(): Gpa {
    const { ss, rsp } = this.registers;
    return gpa(Number(ss.base) + ((Number(rsp & 0xffffn) + 4) & 0xffff));
  }

  get #flags(): number {
    return this.memory.readU16(this.#flagsAddress);
  }

  #setFlag(flag: number, value: boolean): void {
    const flags = this.#flags;
    this.memory.writeU16(this.#flagsAddress, value ? flags | flag : flags & ~flag);
  }
}

/** The service cannot answer yet: it is to be called again after the next interrupt. */
export const WAIT = "wait";
/** The same, right away: time is all that it waits for. */
export const POLL = "poll";

/** Answers one interrupt. */
export type Service = (call: BiosCall) => typeof WAIT | typeof POLL | undefined;
