import type { MemoryBits } from "../isa/emitter.ts";
import { RAM_BASE, STATE } from "../state.ts";
import { type Expression, type I32, type I64, i32, i64, type V128 } from "../wasm/expression.ts";
import { callResult, type FunctionBuilder, type Local } from "../wasm/function-builder.ts";
import { i64x2, v128 } from "../wasm/simd.ts";

/** Functions of the module for accesses outside the identity window. */
export interface SlowAccess {
  /** Load by width: (address: i64) → i64; then STATE.FAULT tells whether it failed. */
  readonly load: Readonly<Record<MemoryBits, number>>;
  /** The same, checking first that the memory may be written. */
  readonly loadForWrite: Readonly<Record<MemoryBits, number>>;
  /** Store by width: (address: i64, value: i64) → i32, zero if it failed. */
  readonly store: Readonly<Record<MemoryBits, number>>;
  /** 128 bits: (address: i64) → v128, and (address: i64, value: v128) → i32. */
  readonly loadVector: number;
  readonly storeVector: number;
  /**
   * Outside 64-bit mode: (limit: i32, offset: i32, length: i32) → i32, zero if a fault is recorded.
   * The limit is the offset in the state of READ_LAST or WRITE_LAST of a segment; the length is that
   * of the access in bytes, less one.
   */
  readonly checkSegment: number;
}

export const LOAD_ZERO_EXTENDED = {
  8: i64.load8U,
  16: i64.load16U,
  32: i64.load32U,
  64: i64.load,
} as const;

export const LOAD_VECTOR = {
  32: v128.load32Zero,
  64: v128.load64Zero,
  128: v128.load,
} as const;
export type VectorBits = keyof typeof LOAD_VECTOR;

const NO_FAULT = -1;

/** Code for accesses to linear addresses: plain ones inside the identity windows, calls outside. */
export class GuestAccess {
  readonly #fn: FunctionBuilder;
  readonly #slow: SlowAccess;
  readonly #fail: () => void;

  /** @param fail what is to be done when the access could not be made */
  constructor(fn: FunctionBuilder, slow: SlowAccess, fail: () => void) {
    this.#fn = fn;
    this.#slow = slow;
    this.#fail = fail;
  }

  load(address: Local<"i64">, bits: MemoryBits): Local<"i64"> {
    return this.#load("READ", address, plainLoad(address, bits), () =>
      callResult("i64", this.#slow.load[bits], address),
    );
  }

  /** The same, where the memory is going to be written. */
  loadForWrite(address: Local<"i64">, bits: MemoryBits): Local<"i64"> {
    return this.#load("WRITE", address, plainLoad(address, bits), () =>
      callResult("i64", this.#slow.loadForWrite[bits], address),
    );
  }

  loadVector(address: Local<"i64">, bits: VectorBits): Local<"v128"> {
    const plain = LOAD_VECTOR[bits](i32.wrap(address), RAM_BASE);
    return this.#load("READ", address, plain, () => this.#slowLoadVector(address, bits));
  }

  store(address: Local<"i64">, bits: MemoryBits, value: I64): void {
    const stored = this.#fn.let(value);
    this.#inWindow(
      "WRITE",
      address,
      () => this.#fn.storeNarrow(bits, i32.wrap(address), stored, RAM_BASE),
      () => this.failUnless(callResult("i32", this.#slow.store[bits], address, stored)),
    );
  }

  storeVector(address: Local<"i64">, value: V128): void {
    const stored = this.#fn.let(value);
    this.#inWindow(
      "WRITE",
      address,
      () => this.#fn.store(i32.wrap(address), stored, RAM_BASE),
      () => this.failUnless(callResult("i32", this.#slow.storeVector, address, stored)),
    );
  }

  /** @param limit, offset, length as `SlowAccess.checkSegment` has them */
  checkSegment(limit: I32, offset: I32, length: I32): void {
    this.failUnless(callResult("i32", this.#slow.checkSegment, limit, offset, length));
  }

  failUnless(done: I32): void {
    this.#fn.if(i32.eqz(done), this.#fail);
  }

  #load<Type extends "i64" | "v128">(
    window: "READ" | "WRITE",
    address: Local<"i64">,
    plain: Expression<Type>,
    slow: () => Expression<Type>,
  ): Local<Type> {
    const value = this.#fn.local(plain.type);
    this.#inWindow(
      window,
      address,
      () => this.#fn.set(value, plain),
      () => {
        this.#fn.set(value, slow());
        const fault = i32.load(i32.const(0), STATE.FAULT);
        this.#fn.if(i32.ne(fault, i32.const(NO_FAULT)), this.#fail);
      },
    );
    return value;
  }

  #inWindow(
    access: "READ" | "WRITE",
    address: Local<"i64">,
    inside: () => void,
    outside: () => void,
  ): void {
    const zero = i32.const(0);
    const base = i64.load(zero, STATE[`${access}_WINDOW_BASE`]);
    const length = i64.load(zero, STATE[`${access}_WINDOW_LENGTH`]);
    this.#fn.if(i64.ltU(i64.sub(address, base), length), inside, outside);
  }

  #slowLoadVector(address: Local<"i64">, bits: VectorBits): V128 {
    if (bits === 128) return callResult("v128", this.#slow.loadVector, address);
    const low = callResult("i64", this.#slow.load[bits], address);
    return i64x2.replaceLane(i64x2.const(0), 0, low);
  }
}

const plainLoad = (address: Local<"i64">, bits: MemoryBits): I64 =>
  LOAD_ZERO_EXTENDED[bits](i32.wrap(address), RAM_BASE);
