import type { GeneralRegister } from "../../core/cpu.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import type { RegisterAccess } from "../../core/register-access.ts";
import { type Gpa, gpa } from "../../core/units.ts";

const CARRY = 1 << 0;
const ZERO = 1 << 6;

type WideName = "eax" | "ebx" | "ecx" | "edx" | "esi" | "edi";
type WordName = "ax" | "bx" | "cx" | "dx" | "si" | "di" | "bp";
type ByteName = "al" | "ah" | "bl" | "bh" | "cl" | "ch" | "dl" | "dh";

const BYTE = 0xff;
const WORD = 0xffff;
const DOUBLE = 0xffff_ffff;

/** Where each name lies: register, lowest bit, mask of the width. */
const PLACES: Readonly<Record<WideName | WordName | ByteName, [GeneralRegister, number, number]>> =
  {
    ...{
      eax: ["rax", 0, DOUBLE],
      ebx: ["rbx", 0, DOUBLE],
      ecx: ["rcx", 0, DOUBLE],
      edx: ["rdx", 0, DOUBLE],
    },
    ...{ esi: ["rsi", 0, DOUBLE], edi: ["rdi", 0, DOUBLE] },
    ...{ ax: ["rax", 0, WORD], bx: ["rbx", 0, WORD], cx: ["rcx", 0, WORD], dx: ["rdx", 0, WORD] },
    ...{ si: ["rsi", 0, WORD], di: ["rdi", 0, WORD], bp: ["rbp", 0, WORD] },
    ...{ al: ["rax", 0, BYTE], bl: ["rbx", 0, BYTE], cl: ["rcx", 0, BYTE], dl: ["rdx", 0, BYTE] },
    ...{ ah: ["rax", 8, BYTE], bh: ["rbx", 8, BYTE], ch: ["rcx", 8, BYTE], dh: ["rdx", 8, BYTE] },
  };

/** A physical address of real mode: segment and offset. */
export const linear = (segment: number, offset: number): Gpa =>
  gpa(((segment & 0xffff) << 4) + (offset & 0xffff));

/**
 * The processor at a software interrupt in real mode, as a BIOS service sees it: registers by their
 * assembler names, and the flags that IRET will take from the caller's stack.
 */
export class BiosCall {
  readonly registers: RegisterAccess;
  readonly memory: GuestMemory;

  constructor(registers: RegisterAccess, memory: GuestMemory) {
    this.registers = registers;
    this.memory = memory;
  }

  get(name: WideName | WordName | ByteName): number {
    const [register, shift, mask] = PLACES[name];
    return ((this.registers.general(register) >>> shift) & mask) >>> 0;
  }

  /** Sets the register, and leaves the bits around it as they are. */
  set(name: WideName | WordName | ByteName, value: number): void {
    const [register, shift, mask] = PLACES[name];
    const others = this.registers.general(register) & ~(mask << shift);
    this.registers.setGeneral(register, (others | ((value & mask) << shift)) >>> 0);
  }

  get es(): number {
    return this.registers.selector("es");
  }

  set es(selector: number) {
    this.registers.loadParagraph("es", selector);
  }

  get ds(): number {
    return this.registers.selector("ds");
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

  /** Whether there are flags: not where it is called from another mode, with a stack that is nowhere. */
  get hasFlags(): boolean {
    return this.memory.contains(this.#flagsAddress, 2);
  }

  get #flagsAddress(): Gpa {
    const { registers } = this;
    return gpa(registers.base("ss") + ((registers.general("rsp") + 4) & 0xffff));
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
