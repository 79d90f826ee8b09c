import { STATE } from "../state.ts";
import { i32, i64 } from "../wasm/expression.ts";
import type { FunctionBuilder, Local } from "../wasm/function-builder.ts";
import { v128 } from "../wasm/simd.ts";

const REGISTERS = 16;

/** The guest's registers in variables of a function: those that it uses are loaded at its start. */
export class RegisterFile {
  readonly #general: readonly Local<"i64">[];
  readonly #vector: readonly Local<"v128">[];
  #usedGeneral = 0;
  #changedGeneral = 0;
  #usedVector = 0;
  #changedVector = 0;

  constructor(fn: FunctionBuilder) {
    const all = Array.from({ length: REGISTERS });
    this.#general = all.map(() => fn.local("i64"));
    this.#vector = all.map(() => fn.local("v128"));
  }

  general(register: number): Local<"i64"> {
    this.#usedGeneral |= 1 << register;
    return this.#general[register] as Local<"i64">;
  }

  /** The variable, to be set. */
  changeGeneral(register: number): Local<"i64"> {
    this.#changedGeneral |= 1 << register;
    return this.general(register);
  }

  vector(register: number): Local<"v128"> {
    this.#usedVector |= 1 << register;
    return this.#vector[register] as Local<"v128">;
  }

  changeVector(register: number): Local<"v128"> {
    this.#changedVector |= 1 << register;
    return this.vector(register);
  }

  /** Takes the registers in use from the state. Once all code is made that uses any. */
  load(fn: FunctionBuilder): void {
    const zero = i32.const(0);
    this.#each(this.#usedGeneral, this.#general, (local, n) =>
      fn.set(local, i64.load(zero, STATE.GPR + 8 * n)),
    );
    this.#each(this.#usedVector, this.#vector, (local, n) =>
      fn.set(local, v128.load(zero, STATE.XMM + 16 * n)),
    );
  }

  /** Puts the registers that are changed anywhere into the state. Once all code is made. */
  save(fn: FunctionBuilder): void {
    const zero = i32.const(0);
    this.#each(this.#changedGeneral, this.#general, (local, n) =>
      fn.store(zero, local, STATE.GPR + 8 * n),
    );
    this.#each(this.#changedVector, this.#vector, (local, n) =>
      fn.store(zero, local, STATE.XMM + 16 * n),
    );
  }

  #each<Type extends "i64" | "v128">(
    set: number,
    locals: readonly Local<Type>[],
    action: (local: Local<Type>, register: number) => void,
  ): void {
    for (const [register, local] of locals.entries()) {
      if (set & (1 << register)) action(local, register);
    }
  }
}
