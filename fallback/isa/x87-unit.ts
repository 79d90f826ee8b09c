/** x87's registers and how its instructions begin and end (Intel SDM vol. 1 §8.1, §8.5.1.1). */
import { FSW, FSW_TOP_SHIFT } from "../bits.ts";
import { CpuException, VECTOR } from "../exceptions.ts";
import { ALL_EXCEPTIONS, DENORMAL_OPERAND, FloatContext, INVALID } from "../float/context.ts";
import { type Encoded, type Operand, signExponent, unpackExtended } from "../float/format.ts";
import { C0, C1, C2, C3 } from "../float/x87.ts";
import type { Processor } from "../processor.ts";
import { FXSAVE, STATE } from "../state.ts";

const OPCODE = STATE.FX_AREA + FXSAVE.OPCODE;
const DATA_POINTER = STATE.FX_AREA + FXSAVE.DATA_POINTER;

const CONDITIONS = C0 | C1 | C2 | C3;
const EXCEPTIONS = ALL_EXCEPTIONS | FSW.SF | FSW.ES | FSW.B;

/** Bits of the control word that can be set; bit 6 always is. */
export const CONTROL_BITS = 0x1f7f;
export const CONTROL_ALWAYS = 0x40;
const CONTROL_AFTER_INIT = 0x37f;

/** How the last instruction that was no control instruction is told. */
export interface Pointers {
  /** The first opcode byte's low three bits, and ModRM. */
  opcode: number;
  /** Offsets in their segments. The segments are "deprecated": they read as zero. */
  instruction: bigint;
  data: bigint;
}

/** What an instruction computes from registers. */
export interface Operation<Result> {
  /** Registers ST(n) that must not be empty. */
  readonly sources?: readonly number[];
  /** Needs room for another register. */
  readonly pushes?: boolean;
  /** The result goes to memory: not where it overflows or underflows unmasked. */
  readonly toMemory?: boolean;
  /** Converts only: an unmasked denormal operand keeps it from nothing. */
  readonly loads?: boolean;
  readonly compute: (modes: FloatContext) => Result;
  /** The masked answer to a stack fault. */
  readonly indefinite: Result;
  /** Takes the result to its destination: before any flag changes, for memory may fault. */
  readonly accept: (result: Result) => void;
  /** C0 to C3. @param usual C1 by the rounding or the stack fault, the others as they were */
  readonly conditions?: (result: Result, usual: number, stackFault: boolean) => number;
}

/** A register's 80 bits, every one as it is. @param high the highest 16 */
export const encodedOf = (high: number, significand: bigint): Encoded => ({
  sign: high >> 15,
  exponent: high & 0x7fff,
  significand,
});

const MODES = new FloatContext();

/** The registers, relative to the stack's top. */
export class X87 {
  readonly #view: DataView;

  constructor({ view }: Pick<Processor, "view">) {
    this.#view = view;
  }

  get controlWord(): number {
    return this.#view.getUint16(STATE.X87_CONTROL, true);
  }

  /** Exceptions that are flagged become pending or are no longer, as the masks say. */
  set controlWord(word: number) {
    this.#view.setUint16(STATE.X87_CONTROL, (word & CONTROL_BITS) | CONTROL_ALWAYS, true);
    this.statusWord = this.statusWord;
  }

  get statusWord(): number {
    return this.#view.getUint16(STATE.X87_STATUS, true);
  }

  /** The summary of exceptions follows from flags and masks. */
  set statusWord(word: number) {
    const isPending = (word & ~this.controlWord & ALL_EXCEPTIONS) !== 0;
    const summary = isPending ? FSW.ES | FSW.B : 0;
    this.#view.setUint16(STATE.X87_STATUS, (word & ~(FSW.ES | FSW.B)) | summary, true);
  }

  get isPending(): boolean {
    return (this.statusWord & FSW.ES) !== 0;
  }

  /**
   * What every instruction but the "no wait" ones begins with. CR0.NE is taken as set: there is no
   * FERR# pin, and so no IRQ 13 in its place.
   * @throws CpuException #MF if an unmasked exception is pending
   */
  wait(): void {
    if (this.isPending) throw new CpuException(VECTOR.MF);
  }

  #top(): number {
    return (this.statusWord & FSW.TOP) >> FSW_TOP_SHIFT;
  }

  /** Turns the stack, without a look at what is in it. */
  rotate(by: number): void {
    const top = (this.#top() + by) & 7;
    this.#view.setUint16(
      STATE.X87_STATUS,
      (this.statusWord & ~FSW.TOP) | (top << FSW_TOP_SHIFT),
      true,
    );
  }

  /** A bit for each register by its number, not by its place: set unless it is empty. */
  get tags(): number {
    return this.#view.getUint8(STATE.X87_TAGS);
  }

  set tags(tags: number) {
    this.#view.setUint8(STATE.X87_TAGS, tags);
  }

  isEmpty(n: number): boolean {
    return (this.tags & (1 << this.number(n))) === 0;
  }

  free(n: number): void {
    this.tags &= ~(1 << this.number(n));
  }

  get(n: number): Encoded {
    const at = this.#slot(n);
    return encodedOf(this.#view.getUint16(at + 8, true), this.#view.getBigUint64(at, true));
  }

  /** ST(n) as a number to compute with. */
  operand(n: number): Operand {
    const value = this.get(n);
    return unpackExtended(signExponent(value), value.significand);
  }

  /** Fills ST(n). */
  set(n: number, value: Encoded): void {
    this.store(n, value);
    this.tags |= 1 << this.number(n);
  }

  /** Writes ST(n), and leaves it empty if it is. */
  store(n: number, value: Encoded): void {
    const at = this.#slot(n);
    this.#view.setBigUint64(at, value.significand, true);
    this.#view.setUint16(at + 8, signExponent(value), true);
  }

  push(value: Encoded): void {
    this.rotate(-1);
    this.set(0, value);
  }

  pop(): void {
    this.free(0);
    this.rotate(1);
  }

  /** Sets the condition codes. */
  set conditions(conditions: number) {
    this.statusWord = (this.statusWord & ~CONDITIONS) | conditions;
  }

  /**
   * Computes, and flags what went wrong (SDM vol. 1 §8.5).
   * @returns the result, accepted or not
   */
  run<Result>(operation: Operation<Result>): Result {
    MODES.useControlWord(this.controlWord);
    MODES.begin();
    const fault = this.#stackFault(operation);
    if (fault !== undefined) MODES.flags = INVALID;
    const result = fault === undefined ? operation.compute(MODES) : operation.indefinite;
    MODES.complete();
    const { flags } = MODES;
    const usual = (this.statusWord & (C0 | C2 | C3)) | (MODES.roundedUp ? C1 : 0);
    const isLoaded = operation.loads === true && flags === DENORMAL_OPERAND;
    if (isLoaded || !MODES.keepsDestination(operation.toMemory === true)) operation.accept(result);
    const conditions = operation.conditions?.(result, usual, fault !== undefined) ?? usual;
    this.statusWord = (this.statusWord & ~CONDITIONS) | conditions | flags | (fault ?? 0);
    return result;
  }

  /** The flags of a stack fault: C1 tells an overflow from an underflow. */
  #stackFault<Result>({ sources = [], pushes }: Operation<Result>): number | undefined {
    if (sources.some((n) => this.isEmpty(n))) return FSW.SF;
    return pushes && !this.isEmpty(7) ? FSW.SF | C1 : undefined;
  }

  /** FNCLEX. */
  clearExceptions(): void {
    this.statusWord &= ~EXCEPTIONS;
  }

  /** FNINIT: the registers keep what is in them, but are empty. */
  initialize(): void {
    this.controlWord = CONTROL_AFTER_INIT;
    this.statusWord = 0;
    this.tags = 0;
    this.pointers = { opcode: 0, instruction: 0n, data: 0n };
  }

  get pointers(): Pointers {
    return {
      opcode: this.#view.getUint16(OPCODE, true),
      instruction: this.#view.getBigUint64(STATE.X87_INSTRUCTION_POINTER, true),
      data: this.#view.getBigUint64(DATA_POINTER, true),
    };
  }

  set pointers({ opcode, instruction, data }: Pointers) {
    this.#view.setUint16(OPCODE, opcode, true);
    this.#view.setBigUint64(STATE.X87_INSTRUCTION_POINTER, instruction, true);
    this.#view.setBigUint64(DATA_POINTER, data, true);
  }

  /** The number of ST(n). */
  number(n: number): number {
    return (this.#top() + n) & 7;
  }

  #slot(n: number): number {
    return STATE.X87_REGISTERS + 16 * this.number(n);
  }
}
