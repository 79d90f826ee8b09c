import type { MemoryBits } from "../isa/emitter.ts";
import { NO_FAULT, RAM_BASE, STATE, type WindowArea, windowOffset } from "../state.ts";
import { type Expression, type I32, type I64, i32, i64, type V128 } from "../wasm/expression.ts";
import {
  type Callee,
  callResult,
  type FunctionBuilder,
  isVariable,
  knownAs,
  type Local,
} from "../wasm/function-builder.ts";
import { i64x2, v128 } from "../wasm/simd.ts";
import type { PageLookup, Place } from "./page-lookup.ts";

/** Functions for accesses that are not plain where they are made: outside the windows, or to pages that are not found. */
export interface SlowAccess<Function extends Callee = Callee> {
  /** Load by width: (address: i64) → i64; then STATE.FAULT tells whether it failed. */
  readonly load: Readonly<Record<MemoryBits, Function>>;
  /** The same, checking first that the memory may be written. */
  readonly loadForWrite: Readonly<Record<MemoryBits, Function>>;
  /** Store by width: (address: i64, value: i64) → i32, zero if it failed. */
  readonly store: Readonly<Record<MemoryBits, Function>>;
  /** 128 bits: (address: i64) → v128, and (address: i64, value: v128) → i32. */
  readonly loadVector: Function;
  readonly storeVector: Function;
  /**
   * Outside 64-bit mode: (limit: i32, offset: i32, length: i32) → i32, zero if a fault is recorded.
   * The limit is the offset in the state of READ_LAST or WRITE_LAST of a segment; the length is that
   * of the access in bytes, less one.
   */
  readonly checkSegment: Function;
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

/** An access outside the window that it should have been in. */
export interface Miss {
  readonly area: WindowArea;
  readonly access: "read" | "write";
  readonly address: Local<"i64">;
}

/** Memory that has been found to be inside a window before. */
export interface FoundMemory {
  /** Where to access memory at a distance from an address; undefined if that has not been found. */
  access(distance: number, write: boolean): Place | undefined;
}

/** An identity window, as accesses are compared with it. */
export interface Window {
  readonly base: I64;
  readonly length: I64;
}

/** What windows are, where that is known when code is made. */
export interface WindowsOfNow {
  at(area: WindowArea, access: "read" | "write"): Window | undefined;
}

/**
 * Code for accesses to linear addresses: plain ones inside the identity windows or on pages that are found, and
 * what is left by calls, or not made.
 */
export class GuestAccess {
  readonly #fn: FunctionBuilder;
  readonly #slow: SlowAccess | undefined;
  readonly #fail: (miss?: Miss) => void;
  /** Which windows the next access is likely to be in. */
  area: WindowArea = "general";

  readonly #found: FoundMemory | undefined;
  readonly #known: WindowsOfNow | undefined;
  /** See {@link lookUp}. */
  #lookup: PageLookup | undefined;
  /** The address that {@link loadForWrite} has found to be inside a window. */
  #writable: Local<"i64"> | undefined;

  /**
   * @param slow undefined if accesses that are not plain are not even tried
   * @param fail what is to be done when the access could not be made
   * @param found memory that needs no look, by the `frame` of addresses
   * @param known windows that need not be read from the state
   */
  constructor(
    fn: FunctionBuilder,
    slow: SlowAccess | undefined,
    fail: (miss?: Miss) => void,
    found?: FoundMemory,
    known?: WindowsOfNow,
  ) {
    this.#known = known;
    this.#fn = fn;
    this.#slow = slow;
    this.#fail = fail;
    this.#found = found;
  }

  /** Accesses look pages up where they are made, and not at windows that may change: these do not suit the code. */
  lookUp(lookup: PageLookup): void {
    this.#lookup = lookup;
  }

  load(address: Local<"i64">, bits: MemoryBits): Local<"i64"> {
    return this.#load("read", address, bits, LOAD_ZERO_EXTENDED[bits], (slow) =>
      callResult("i64", slow.load[bits], address),
    );
  }

  /** The same, where the memory is going to be written. */
  loadForWrite(address: Local<"i64">, bits: MemoryBits): Local<"i64"> {
    const value = this.#load("write", address, bits, LOAD_ZERO_EXTENDED[bits], (slow) =>
      callResult("i64", slow.loadForWrite[bits], address),
    );
    if (this.#slow === undefined) this.#writable = address;
    return value;
  }

  loadVector(address: Local<"i64">, bits: VectorBits): Local<"v128"> {
    return this.#load("read", address, bits, LOAD_VECTOR[bits], (slow) =>
      slowLoadVector(slow, address, bits),
    );
  }

  store(address: Local<"i64">, bits: MemoryBits, value: I64): void {
    const stored = variableOf(this.#fn, value);
    const plain = ({ base, offset }: Place) => this.#fn.storeNarrow(bits, base, stored, offset);
    this.#reach("write", address, bits, plain, (slow) =>
      this.#failUnless(callResult("i32", slow.store[bits], address, stored)),
    );
  }

  storeVector(address: Local<"i64">, value: V128): void {
    const stored = variableOf(this.#fn, value);
    const plain = ({ base, offset }: Place) => this.#fn.store(base, stored, offset);
    this.#reach("write", address, 128, plain, (slow) =>
      this.#failUnless(callResult("i32", slow.storeVector, address, stored)),
    );
  }

  /** 256 bits, of which none is written unless all may be. */
  storeHalves(address: Local<"i64">, lower: V128, upper: V128): void {
    const first = variableOf(this.#fn, lower);
    const second = variableOf(this.#fn, upper);
    const plain = ({ base, offset }: Place) => {
      this.#fn.store(base, first, offset);
      this.#fn.store(base, second, offset + 16);
    };
    this.#reach("write", address, 256, plain, () => {
      const behind = (bytes: number) => this.#fn.let(i64.add(address, i64.const(bytes)));
      // In order: a fault has the address of the first byte that may not be written.
      for (const at of [0, 8, 16, 24]) this.loadForWrite(behind(at), 64);
      this.storeVector(address, first);
      this.storeVector(behind(16), second);
    });
  }

  /** @param limit, offset, length as `SlowAccess.checkSegment` has them */
  checkSegment(limit: I32, offset: I32, length: I32): void {
    if (this.#slow === undefined) this.#fail();
    else this.#failUnless(callResult("i32", this.#slow.checkSegment, limit, offset, length));
  }

  #failUnless(done: I32): void {
    this.#fn.if(i32.eqz(done), () => this.#fail());
  }

  #load<Type extends "i64" | "v128">(
    access: "read" | "write",
    address: Local<"i64">,
    bits: number,
    load: (base: I32, offset: number) => Expression<Type>,
    slowly: (slow: SlowAccess) => Expression<Type>,
  ): Local<Type> {
    const plain = load(i32.wrap(address), RAM_BASE);
    const value = this.#fn.local(plain.type);
    this.#reach(
      access,
      address,
      bits,
      ({ base, offset }) => this.#fn.set(value, load(base, offset)),
      (slow) => {
        this.#fn.set(value, slowly(slow));
        const fault = i32.load(i32.const(0), STATE.FAULT);
        this.#fn.if(i32.ne(fault, i32.const(NO_FAULT)), () => this.#fail());
      },
    );
    return knownAs(value, plain.width);
  }

  #reach(
    access: "read" | "write",
    address: Local<"i64">,
    bits: number,
    inside: (place: Place) => void,
    outside: (slow: SlowAccess) => void,
  ): void {
    const slow = this.#slow;
    const distance = address.frame ?? undefined;
    const found =
      distance === undefined ? undefined : this.#found?.access(distance, access === "write");
    const plain = { base: i32.wrap(address), offset: RAM_BASE };
    if (found !== undefined || address === this.#writable) {
      inside(found ?? plain);
      return;
    }
    const { area } = this;
    const miss = (): void => {
      if (slow !== undefined) outside(slow);
      else this.#fail({ area, access, address });
    };
    const known = this.#known?.at(area, access);
    if (this.#lookup !== undefined && known === undefined) {
      this.#lookup(this.#fn, address, bits / 8, access === "write", inside, miss);
      return;
    }
    const zero = i32.const(0);
    const window = windowOffset(area, access);
    const { base, length } = known ?? {
      base: i64.load(zero, window),
      length: i64.load(zero, window + 8),
    };
    this.#fn.if(i64.geU(i64.sub(address, base), length), miss);
    inside(plain);
  }
}

/** A variable with a value that will not change while it is stored. */
function variableOf<Type extends "i64" | "v128">(
  fn: FunctionBuilder,
  value: Expression<Type>,
): Expression<Type> {
  return isVariable(value) ? value : fn.let(value);
}

function slowLoadVector(slow: SlowAccess, address: Local<"i64">, bits: VectorBits): V128 {
  if (bits === 128) return callResult("v128", slow.loadVector, address);
  return i64x2.replaceLane(i64x2.const(0), 0, callResult("i64", slow.load[bits], address));
}
