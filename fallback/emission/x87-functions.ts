/**
 * What x87 instructions compute, for regions of the JIT: functions on the unit's state, for numbers that
 * are zero or normal, all exceptions masked, none pending, and rounding to nearest; the rest is the
 * procedures'. That none is pending has been looked at before.
 * Intel SDM vol. 1 §4.8.4 (rounding), §8.1 (registers).
 */
import { FSW, FSW_TOP_SHIFT } from "../bits.ts";
import { ALL_EXCEPTIONS } from "../float/context.ts";
import { C0, C1, C2, C3 } from "../float/x87.ts";
import { STATE } from "../state.ts";
import { type I32, i32, i64, select } from "../wasm/expression.ts";
import { type Callee, callResult, FunctionBuilder, type Local } from "../wasm/function-builder.ts";
import { ModuleBuilder, type Signature } from "../wasm/module-builder.ts";
import { compute, type Kind } from "./extended-arithmetic.ts";
import { addPack, unpack } from "./extended-conversion.ts";
import { type Extended, isPlain } from "./extended-format.ts";
import { squareRoot } from "./extended-root.ts";

/** Of the control word: rounding, of which this is truncation. */
const ROUNDING = 0x0c00;
const TRUNCATE = 0x0c00;

/** How a number is in memory. Integers are sign-extended to 64 bits. */
export const MEMORY_KIND = { REAL_32: 0, REAL_64: 1, INTEGER: 2 } as const;

/** How ST(0) goes to memory: integers by their bits, and whether they are truncated in any case. */
export const STORE_KIND = { REAL_32: 0, REAL_64: 1, TRUNCATE: 128 } as const;

/** What {@link X87Functions}.compare… return. */
export const COMPARED = { NOT: -1, LESS: 1, EQUAL: 2 } as const;

const yes = ["i32"] as const;
const BETWEEN_REGISTERS = { parameters: ["i32", "i32", "i32", "i32"], results: yes } as const;
const WITH_NUMBER = { parameters: ["i32", "i32", "i64"], results: yes } as const;

/** Which kind of arithmetic an operation is. */
export function kindOf(operation: number): Kind {
  if (operation === 1) return "multiply";
  return operation < 6 ? "add" : "divide";
}

/**
 * Each returns 1, or 0 if it has done nothing. Registers are i of ST(i), and `pops` how often the stack
 * is popped. An operation is the digit of its opcode (FADD 0, FMUL 1, FSUB 4, FSUBR 5, FDIV 6, FDIVR 7);
 * {@link kindOf} says whose.
 */
const SIGNATURES = {
  /** ST(destination) by ST(source). Parameters: operation, destination, source, pops. */
  add: BETWEEN_REGISTERS,
  multiply: BETWEEN_REGISTERS,
  divide: BETWEEN_REGISTERS,
  /** ST(0) by a number in memory. Parameters: operation, {@link MEMORY_KIND}, bits. */
  addWith: WITH_NUMBER,
  multiplyWith: WITH_NUMBER,
  divideWith: WITH_NUMBER,
  /** Of ST(0). */
  squareRoot: { parameters: [], results: yes },
  /** Parameters: significand, sign and exponent. */
  push: { parameters: ["i64", "i32"], results: yes },
  /** Parameters: {@link MEMORY_KIND}, bits. */
  pushNumber: { parameters: ["i32", "i64"], results: yes },
  pushRegister: { parameters: yes, results: yes },
  /**
   * What ST(0) is in memory, to STATE.SCRATCH, and flags for {@link finish} behind it. Parameter:
   * {@link STORE_KIND}.
   */
  convert: { parameters: yes, results: yes },
  /** The same of all 80 bits: significand, then sign and exponent. */
  read: { parameters: [], results: yes },
  /** Ends a store. Parameters: flags of the status word, pops. */
  finish: { parameters: ["i32", "i32"], results: yes },
  /** ST(0) with ST(i), or a number in memory: {@link COMPARED}. */
  compare: { parameters: yes, results: yes },
  compareWith: { parameters: ["i32", "i64"], results: yes },
  /** Ends a comparison that goes to the condition codes. Parameters: {@link COMPARED}, pops. */
  conclude: { parameters: ["i32", "i32"], results: yes },
  /** Pops, and changes nothing else. Parameter: pops. */
  pop: { parameters: yes, results: yes },
  exchange: { parameters: yes, results: yes },
  /** FST to a register. Parameters: register, pops. */
  move: { parameters: ["i32", "i32"], results: yes },
  /** The sign of ST(0). Parameters: bits of sign and exponent that are kept, and that change. */
  changeSign: { parameters: ["i32", "i32"], results: yes },
} as const satisfies Readonly<Record<string, Signature>>;

export type X87Function = keyof typeof SIGNATURES;
export type X87Functions = (name: X87Function) => Callee;

export const X87_FUNCTIONS = Object.entries(SIGNATURES) as readonly (readonly [
  X87Function,
  Signature,
])[];

/** A module that exports the functions; it imports the memory. @param pages that it has at least */
export function buildX87Functions(pages: number, shared: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory("cpu", "memory", pages, shared);
  const unit = new Unit(module);
  for (const [name, signature] of X87_FUNCTIONS) {
    const index = module.addFunction(signature);
    const fn = new FunctionBuilder(signature.parameters);
    unit.define(name, fn);
    fn.unreachable();
    module.define(index, fn.finish());
    module.exportFunction(name, index);
  }
  return module.finish();
}

const zero = i32.const(0);
const one = i32.const(1);
const KIND_WITH = { addWith: "add", multiplyWith: "multiply", divideWith: "divide" } as const;

interface Register extends Extended {
  /** Not counted from the stack's top. */
  readonly number: Local<"i32">;
}

/** The unit's state as a function has found it. */
interface Found {
  readonly control: Local<"i32">;
  readonly status: Local<"i32">;
  readonly tags: Local<"i32">;
  /** The stack's top: ST(0) is this register. */
  readonly top: Local<"i32">;
}

class Unit {
  readonly #pack: number;

  constructor(module: ModuleBuilder) {
    this.#pack = addPack(module);
  }

  define(name: X87Function, fn: FunctionBuilder): void {
    const p = (n: number) => fn.parameter(n, "i32");
    switch (name) {
      case "add":
      case "multiply":
      case "divide":
        this.#computed(fn, name, p(1), p(3), (usual) => this.#used(fn, usual, p(2)));
        break;
      case "addWith":
      case "multiplyWith":
      case "divideWith": {
        const number = unpack(fn, p(1), fn.parameter(2, "i64"), 0);
        this.#computed(fn, KIND_WITH[name], zero, zero, () => number);
        break;
      }
      case "squareRoot": {
        const found = this.#usual(fn);
        const a = this.#used(fn, found, zero);
        const root = squareRoot(fn, a, found.control);
        this.#setRegister(fn, a.number, root);
        this.#setStatus(fn, this.#flagged(found, root.flags));
        fn.return(one);
        break;
      }
      case "push":
        this.#pushInto(fn, this.#usual(fn), {
          significand: fn.parameter(0, "i64"),
          signExponent: fn.parameter(1, "i32"),
        });
        break;
      case "pushNumber":
        this.#pushInto(fn, this.#usual(fn), unpack(fn, p(0), fn.parameter(1, "i64"), 0));
        break;
      case "pushRegister": {
        const usual = this.#usual(fn);
        this.#pushInto(fn, usual, this.#used(fn, usual, p(0)));
        break;
      }
      case "convert":
        this.#convert(fn);
        break;
      case "read": {
        const { significand, signExponent } = this.#used(fn, this.#usual(fn), zero);
        fn.store(zero, significand, STATE.SCRATCH);
        fn.store(zero, signExponent, STATE.SCRATCH + 8);
        fn.return(one);
        break;
      }
      case "finish": {
        const unit = this.#found(fn);
        this.#leave(fn, unit, this.#flagged(unit, p(0)), p(1));
        break;
      }
      case "compare": {
        const unit = this.#usual(fn, COMPARED.NOT);
        this.#compared(fn, unit, this.#used(fn, unit, p(0), COMPARED.NOT));
        break;
      }
      case "compareWith":
        this.#compareWith(fn);
        break;
      case "conclude":
        this.#conclude(fn);
        break;
      case "pop": {
        const unit = this.#found(fn);
        this.#leave(fn, unit, unit.status, p(0));
        break;
      }
      case "exchange":
        this.#exchange(fn);
        break;
      case "move": {
        const unit = this.#usual(fn);
        const value = this.#used(fn, unit, zero);
        const number = fn.let(this.#number(unit, p(0)));
        this.#setRegister(fn, number, value);
        const tags = fn.let(i32.or(unit.tags, i32.shl(one, number)));
        this.#leave(fn, { ...unit, tags }, this.#flagged(unit, zero), p(1));
        break;
      }
      case "changeSign": {
        const unit = this.#usual(fn);
        const { number, significand, signExponent } = this.#used(fn, unit, zero);
        const changed = i32.xor(i32.and(signExponent, p(0)), p(1));
        this.#setRegister(fn, number, { significand, signExponent: fn.let(changed) });
        this.#setStatus(fn, this.#flagged(unit, zero));
        fn.return(one);
        break;
      }
    }
  }

  #found(fn: FunctionBuilder): Found {
    const control = fn.let(i32.load16U(zero, STATE.X87_CONTROL));
    const status = fn.let(i32.load16U(zero, STATE.X87_STATUS));
    const tags = fn.let(i32.load8U(zero, STATE.X87_TAGS));
    const top = i32.and(i32.shrU(status, i32.const(FSW_TOP_SHIFT)), i32.const(7));
    return { control, status, tags, top: fn.let(top) };
  }

  /** The same; returns unless everything is as usual. @param otherwise what it returns then */
  #usual(fn: FunctionBuilder, otherwise = 0): Found {
    const found = this.#found(fn);
    const modes = i32.and(found.control, i32.const(ALL_EXCEPTIONS | ROUNDING));
    fn.if(i32.ne(modes, i32.const(ALL_EXCEPTIONS)), () => fn.return(i32.const(otherwise)));
    return found;
  }

  /** Number of ST(n). */
  #number({ top }: Found, n: I32): I32 {
    return n === zero ? top : i32.and(i32.add(top, n), i32.const(7));
  }

  /** ST(n); returns unless there is something in it. */
  #used(fn: FunctionBuilder, found: Found, n: I32, otherwise = 0): Register {
    const number = fn.let(this.#number(found, n));
    const isUsed = i32.and(i32.shrU(found.tags, number), one);
    fn.if(i32.eqz(isUsed), () => fn.return(i32.const(otherwise)));
    const at = fn.let(i32.shl(number, i32.const(4)));
    return {
      number,
      significand: fn.let(i64.load(at, STATE.X87_REGISTERS)),
      signExponent: fn.let(i32.load16U(at, STATE.X87_REGISTERS + 8)),
    };
  }

  /** The status word with other flags; C1 is one of them. */
  #flagged({ status }: Found, flags: I32): I32 {
    return i32.or(i32.and(status, i32.const(~C1)), flags);
  }

  /** Moves the top by so many registers. @param status with the top as it was */
  #moveTop(fn: FunctionBuilder, { status: before }: Found, status: I32, moves: I32): void {
    const moved = i32.add(before, i32.shl(moves, i32.const(FSW_TOP_SHIFT)));
    const others = i32.and(status, i32.const(~FSW.TOP));
    this.#setStatus(fn, i32.or(others, i32.and(moved, i32.const(FSW.TOP))));
  }

  /** Pops so often, and returns that all is done. @param most how often at most */
  #leave(fn: FunctionBuilder, found: Found, status: I32, pops: I32, most: 1 | 2 = 1): void {
    const { tags, top } = found;
    // As many bits as registers, of which the second may go round.
    const count = most === 1 ? pops : i32.sub(i32.shl(one, pops), one);
    const bits = fn.let(i32.shl(count, top));
    const emptied = most === 1 ? bits : i32.or(bits, i32.shrU(bits, i32.const(8)));
    this.#setTags(fn, i32.and(tags, i32.xor(emptied, i32.const(-1))));
    this.#moveTop(fn, found, status, pops);
    fn.return(one);
  }

  #setRegister(fn: FunctionBuilder, number: I32, { significand, signExponent }: Extended): void {
    const at = fn.let(i32.shl(number, i32.const(4)));
    fn.store(at, significand, STATE.X87_REGISTERS);
    fn.storeNarrow(16, at, i64.extendU(signExponent), STATE.X87_REGISTERS + 8);
  }

  #setTags(fn: FunctionBuilder, tags: I32): void {
    fn.storeNarrow(8, zero, i64.extendU(tags), STATE.X87_TAGS);
  }

  #setStatus(fn: FunctionBuilder, status: I32): void {
    fn.storeNarrow(16, zero, i64.extendU(status), STATE.X87_STATUS);
  }

  #pushInto(fn: FunctionBuilder, found: Found, value: Extended): void {
    const number = fn.let(this.#number(found, i32.const(-1)));
    const bit = fn.let(i32.shl(one, number));
    fn.if(i32.and(found.tags, bit), () => fn.return(zero));
    this.#setRegister(fn, number, value);
    this.#setTags(fn, i32.or(found.tags, bit));
    this.#moveTop(fn, found, this.#flagged(found, zero), i32.const(-1));
    fn.return(one);
  }

  /** Computes ST(destination) by an operand; the operation is the first parameter. @param pops 0 or 1 */
  #computed(
    fn: FunctionBuilder,
    kind: Kind,
    destination: I32,
    pops: I32,
    operand: (usual: Found) => Extended,
  ): void {
    const usual = this.#usual(fn);
    const b = operand(usual);
    const a = this.#used(fn, usual, destination);
    const result = compute(fn, kind, fn.parameter(0, "i32"), a, b, usual.control);
    this.#setRegister(fn, a.number, result);
    this.#leave(fn, usual, this.#flagged(usual, result.flags), pops);
  }

  #compareWith(fn: FunctionBuilder): void {
    const { NOT } = COMPARED;
    const found = this.#usual(fn, NOT);
    const number = unpack(fn, fn.parameter(0, "i32"), fn.parameter(1, "i64"), NOT);
    this.#compared(fn, found, number);
  }

  #compared(fn: FunctionBuilder, found: Found, b: Extended): void {
    const a = this.#used(fn, found, zero, COMPARED.NOT);
    for (const operand of [a, b]) {
      fn.if(i32.eqz(isPlain(operand)), () => fn.return(i32.const(COMPARED.NOT)));
    }
    const magnitude = (value: Extended): I32 => i32.and(value.signExponent, i32.const(0x7fff));
    const negative = ({ signExponent }: Extended): I32 => i32.shrU(signExponent, i32.const(15));
    const bothZero = i64.eqz(i64.or(a.significand, b.significand));
    fn.if(bothZero, () => fn.return(i32.const(COMPARED.EQUAL)));
    fn.if(i32.ne(negative(a), negative(b)), () => fn.return(negative(a)));
    // Exponents, then significands; the other way round below zero.
    const sameExponent = i32.eq(magnitude(a), magnitude(b));
    const same = i32.and(sameExponent, i64.eq(a.significand, b.significand));
    fn.if(same, () => fn.return(i32.const(COMPARED.EQUAL)));
    const less = select(
      i32.eq(magnitude(a), magnitude(b)),
      i64.ltU(a.significand, b.significand),
      i32.ltU(magnitude(a), magnitude(b)),
    );
    fn.return(i32.xor(less, negative(a)));
  }

  #conclude(fn: FunctionBuilder): void {
    const order = fn.parameter(0, "i32");
    const less = i32.mul(i32.and(order, one), i32.const(C0));
    const equal = i32.mul(i32.shrU(order, one), i32.const(C3));
    const found = this.#found(fn);
    const kept = i32.and(found.status, i32.const(~(C0 | C1 | C2 | C3)));
    this.#leave(fn, found, i32.or(kept, i32.or(less, equal)), fn.parameter(1, "i32"), 2);
  }

  #exchange(fn: FunctionBuilder): void {
    const usual = this.#usual(fn);
    const [a, b] = [this.#used(fn, usual, zero), this.#used(fn, usual, fn.parameter(0, "i32"))];
    this.#setRegister(fn, a.number, b);
    this.#setRegister(fn, b.number, a);
    this.#setStatus(fn, this.#flagged(usual, zero));
    fn.return(one);
  }

  #convert(fn: FunctionBuilder): void {
    const kind = fn.parameter(0, "i32");
    const found = this.#found(fn);
    const control = i32.and(found.control, i32.const(ROUNDING));
    const truncates = fn.let(
      i32.or(
        i32.eq(control, i32.const(TRUNCATE)),
        i32.ne(i32.and(kind, i32.const(STORE_KIND.TRUNCATE)), zero),
      ),
    );
    const isReal = i32.leU(kind, i32.const(STORE_KIND.REAL_64));
    const masks = i32.and(found.control, i32.const(ALL_EXCEPTIONS));
    // Reals only to nearest; integers truncated, too.
    const isOther = i32.and(i32.or(isReal, i32.eqz(truncates)), i32.ne(control, zero));
    fn.if(i32.or(isOther, i32.ne(masks, i32.const(ALL_EXCEPTIONS))), () => fn.return(zero));
    const { significand, signExponent } = this.#used(fn, found, zero);
    fn.return(callResult("i32", this.#pack, kind, truncates, significand, signExponent));
  }
}
