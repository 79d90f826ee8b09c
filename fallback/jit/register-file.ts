import { STATE } from "../state.ts";
import { type I64, i32, i64 } from "../wasm/expression.ts";
import { type FunctionBuilder, knownAs, type Local } from "../wasm/function-builder.ts";
import { v128 } from "../wasm/simd.ts";

const REGISTERS = 16;

/** What is known of registers where code is made; masks have a bit for each register. */
export interface RegisterFacts {
  /** General registers whose upper half is zero. */
  readonly narrow: number;
  /** XMM registers whose lowest 64 bits are a normal number; 16 bits up: the lowest 32 bits. */
  readonly normal: number;
  /** Registers whose variables may differ from the state; 16 bits up: XMM registers. */
  readonly dirty: number;
  /** General registers whose variables have been loaded, where that is not done for all at once. */
  readonly held: number;
  /** How many bytes RSP is above what it was where the region began, if that is known. */
  readonly top: number | undefined;
  /** The same of RBP. */
  readonly frame: number | undefined;
}

/** Of {@link RegisterFacts.dirty}. */
export const ALL_REGISTERS = -1;
const RSP = 4;
const RBP = 5;

export type StackFacts = Pick<RegisterFacts, "top" | "frame">;
export const NO_STACK: StackFacts = { top: undefined, frame: undefined };

/** What is known where two ways meet. */
export const commonFacts = (a: RegisterFacts, b: RegisterFacts): RegisterFacts => ({
  narrow: a.narrow & b.narrow,
  normal: a.normal & b.normal,
  dirty: a.dirty | b.dirty,
  held: a.held & b.held,
  top: a.top === b.top ? a.top : undefined,
  frame: a.frame === b.frame ? a.frame : undefined,
});

/** The bit of {@link RegisterFacts.normal}. */
const normalBit = (register: number, bits: number): number =>
  1 << (bits === 64 ? register : register + REGISTERS);

/**
 * The guest's registers in variables of a function. Those that it uses are loaded at its start, and
 * those that it has changed are stored where it is left. Where ways out are many, V8 makes a lot of
 * code for that, as each has to bring the variables together with those of all others: there general
 * registers are written through to the state at once, and loaded when they are needed.
 */
export class RegisterFile {
  readonly #fn: FunctionBuilder;
  readonly #writesThrough: boolean;
  readonly #general: Local<"i64">[] = [];
  readonly #vector: Local<"v128">[] = [];
  readonly #narrowGeneral: Local<"i64">[] = [];
  /** As {@link RegisterFacts.narrow}, whatever their values are. */
  readonly #alwaysNarrow: number;
  facts!: RegisterFacts;
  #usedGeneral = 0;
  #changedGeneral = 0;
  #usedVector = 0;
  #changedVector = 0;

  /**
   * @param narrow whether no upper half ever is anything but zero: outside 64-bit mode
   * @param writesThrough whether the state always has what general registers have
   */
  constructor(fn: FunctionBuilder, narrow: boolean, writesThrough: boolean) {
    this.#fn = fn;
    this.#writesThrough = writesThrough;
    this.#alwaysNarrow = narrow ? 2 ** REGISTERS - 1 : 0;
    this.loaded();
    for (let register = 0; register < REGISTERS; register++) {
      const local = fn.local("i64");
      this.#general.push(local);
      this.#narrowGeneral.push(knownAs(local, 32));
    }
    for (let register = 0; register < REGISTERS; register++) {
      this.#vector.push(fn.local("v128"));
    }
  }

  /**
   * The registers may have got any values, but for what is known of the stack.
   * @param held, dirty as {@link RegisterFacts} has them
   */
  forget({ top, frame }: StackFacts = NO_STACK, held = 0, dirty = ALL_REGISTERS): void {
    this.facts = { narrow: this.#alwaysNarrow, normal: 0, dirty, held, top, frame };
  }

  /** All variables have just been taken from the state. */
  loaded(stack: StackFacts = NO_STACK): void {
    this.forget(stack, 0, 0);
  }

  /** Loads variables that have not been yet. @param registers as {@link RegisterFacts.held} */
  hold(registers: number): void {
    const { facts } = this;
    const missing = registers & ~facts.held;
    if (!this.#writesThrough || missing === 0) return;
    this.#each(missing, this.#general, (local, n) =>
      this.#fn.set(local, i64.load(i32.const(0), STATE.GPR + 8 * n)),
    );
    const { narrow, normal, dirty, held, top, frame } = facts;
    this.facts = { narrow, normal, dirty, held: held | missing, top, frame };
  }

  general(register: number): Local<"i64"> {
    if (this.#writesThrough) this.hold(1 << register);
    else this.#usedGeneral |= 1 << register;
    const locals = this.facts.narrow & (1 << register) ? this.#narrowGeneral : this.#general;
    const local = locals[register] as Local<"i64">;
    if (register !== RSP && register !== RBP) return local;
    return knownAs(local, local.width, register === RSP ? this.facts.top : this.facts.frame);
  }

  setGeneral(register: number, value: I64): void {
    const bit = 1 << register;
    const local = this.#general[register] as Local<"i64">;
    this.#fn.set(local, value);
    if (this.#writesThrough) {
      this.#fn.store(i32.const(0), local, STATE.GPR + 8 * register);
    } else {
      this.#usedGeneral |= bit;
      this.#changedGeneral |= bit;
    }
    const { narrow, normal, dirty, held, top, frame } = this.facts;
    const isNarrow = (value.width ?? 64) <= 32;
    const place = value.frame ?? undefined;
    this.facts = {
      narrow: isNarrow ? narrow | bit : narrow & ~bit,
      normal,
      dirty: dirty | bit,
      held: held | bit,
      top: register === RSP ? place : top,
      frame: register === RBP ? place : frame,
    };
  }

  vector(register: number): Local<"v128"> {
    this.#usedVector |= 1 << register;
    return this.#vector[register] as Local<"v128">;
  }

  changeVector(register: number): Local<"v128"> {
    this.#changedVector |= 1 << register;
    const changed = normalBit(register, 64) | normalBit(register, 32);
    const { narrow, normal, dirty, held, top, frame } = this.facts;
    this.facts = {
      narrow,
      normal: normal & ~changed,
      dirty: dirty | (1 << (register + REGISTERS)),
      held,
      top,
      frame,
    };
    return this.vector(register);
  }

  /** Whether the lowest element of an XMM register is known to be a normal number. */
  isNormal(register: number, bits: number): boolean {
    return (this.facts.normal & normalBit(register, bits)) !== 0;
  }

  setNormal(register: number, bits: number): void {
    const { narrow, normal, dirty, held, top, frame } = this.facts;
    const known = normal | normalBit(register, bits);
    this.facts = { narrow, normal: known, dirty, held, top, frame };
  }

  /** Takes the registers in use from the state. Once all code is made that uses any. */
  load(): void {
    const fn = this.#fn;
    const zero = i32.const(0);
    this.#each(this.#usedGeneral, this.#general, (local, n) =>
      fn.set(local, i64.load(zero, STATE.GPR + 8 * n)),
    );
    this.#each(this.#usedVector, this.#vector, (local, n) =>
      fn.set(local, v128.load(zero, STATE.XMM + 16 * n)),
    );
  }

  /**
   * Puts registers that are changed anywhere into the state. Once all code is made.
   * @param dirty as {@link RegisterFacts.dirty}: which of them
   */
  save(dirty: number): void {
    const fn = this.#fn;
    const zero = i32.const(0);
    this.#each(this.#changedGeneral & dirty, this.#general, (local, n) =>
      fn.store(zero, local, STATE.GPR + 8 * n),
    );
    this.#each(this.#changedVector & (dirty >> REGISTERS), this.#vector, (local, n) =>
      fn.store(zero, local, STATE.XMM + 16 * n),
    );
  }

  #each<Type extends "i64" | "v128">(
    set: number,
    locals: readonly Local<Type>[],
    action: (local: Local<Type>, register: number) => void,
  ): void {
    for (let register = 0; register < REGISTERS; register++) {
      if (set & (1 << register)) action(locals[register] as Local<Type>, register);
    }
  }
}
