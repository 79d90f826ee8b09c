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
import { ExtendedArithmetic } from "./extended-arithmetic.ts";
import type { Extended } from "./extended-format.ts";

/** Of the control word: rounding, of which this is truncation. */
const ROUNDING = 0x0c00;
const TRUNCATE = 0x0c00;

/** How a number is in memory. Integers are sign-extended to 64 bits. */
export const MEMORY_KIND = { REAL_32: 0, REAL_64: 1, INTEGER: 2 } as const;

/** How ST(0) goes to memory: integers by their bits, and whether they are truncated in any case. */
export const STORE_KIND = { REAL_32: 0, REAL_64: 1, TRUNCATE: 128 } as const;

/** What {@link X87Functions}.compare… return. */
export const COMPARED = { NOT: -1, LESS: 1, EQUAL: 2 } as const;

const three = ["i32", "i32", "i32"] as const;
const yes = ["i32"] as const;

/**
 * Each returns 1, or 0 if it has done nothing. Registers are i of ST(i), and `pops` how often the stack
 * is popped. An operation is the digit of its opcode (FADD 0, FMUL 1, FSUB 4, FSUBR 5, FDIV 6, FDIVR 7).
 */
const SIGNATURES = {
  /** ST(destination) by ST(source). Parameters: operation, destination, source, pops. */
  arithmetic: { parameters: [...three, "i32"], results: yes },
  /** ST(0) by a number in memory. Parameters: operation, {@link MEMORY_KIND}, bits. */
  arithmeticWith: { parameters: ["i32", "i32", "i64"], results: yes },
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
  const extended = new ExtendedArithmetic(module);
  const unit = new Unit(module, extended);
  for (const [name, signature] of X87_FUNCTIONS) {
    const index = module.addFunction(signature);
    const fn = new FunctionBuilder(signature.parameters);
    unit.define(name, fn);
    fn.code.push(0x00);
    module.define(index, fn.finish());
    module.exportFunction(name, index);
  }
  return module.finish();
}

const zero = i32.const(0);
const one = i32.const(1);

interface Register extends Extended {
  /** Not counted from the stack's top. */
  readonly number: Local<"i32">;
}

class Unit {
  readonly #extended: ExtendedArithmetic;
  readonly #push: number;
  readonly #compute: number;

  constructor(module: ModuleBuilder, extended: ExtendedArithmetic) {
    this.#extended = extended;
    this.#push = module.addFunction(SIGNATURES.push);
    const push = new FunctionBuilder(SIGNATURES.push.parameters);
    this.#definePush(push);
    push.code.push(0x00);
    module.define(this.#push, push.finish());
    // (operation, destination, significand, sign and exponent)
    const signature = { parameters: ["i32", "i32", "i64", "i32"], results: yes } as const;
    this.#compute = module.addFunction(signature);
    const compute = new FunctionBuilder(signature.parameters);
    this.#defineCompute(compute);
    compute.code.push(0x00);
    module.define(this.#compute, compute.finish());
  }

  define(name: X87Function, fn: FunctionBuilder): void {
    const p = (n: number) => fn.parameter(n, "i32");
    switch (name) {
      case "arithmetic":
        this.#arithmetic(fn);
        break;
      case "arithmeticWith":
        this.#withNumber(fn, p(1), fn.parameter(2, "i64"), (value) =>
          callResult("i32", this.#compute, p(0), zero, value.significand, value.signExponent),
        );
        break;
      case "push":
        fn.return(callResult("i32", this.#push, fn.parameter(0, "i64"), fn.parameter(1, "i32")));
        break;
      case "pushNumber":
        this.#withNumber(fn, p(0), fn.parameter(1, "i64"), (value) =>
          callResult("i32", this.#push, value.significand, value.signExponent),
        );
        break;
      case "pushRegister":
        fn.return(this.#pushed(this.#register(fn, p(0))));
        break;
      case "convert":
        this.#convert(fn);
        break;
      case "read": {
        this.#begin(fn);
        const { significand, signExponent } = this.#register(fn, zero);
        fn.store(zero, significand, STATE.SCRATCH);
        fn.store(zero, signExponent, STATE.SCRATCH + 8);
        fn.return(one);
        break;
      }
      case "finish":
        this.#setFlags(fn, p(0));
        this.#pops(fn, p(1));
        fn.return(one);
        break;
      case "compare":
        this.#begin(fn, COMPARED.NOT);
        this.#compared(fn, this.#register(fn, p(0), COMPARED.NOT));
        break;
      case "compareWith":
        this.#compareWith(fn);
        break;
      case "conclude":
        this.#conclude(fn);
        break;
      case "pop":
        this.#pops(fn, p(0));
        fn.return(one);
        break;
      case "exchange":
        this.#exchange(fn);
        break;
      case "move":
        this.#begin(fn);
        this.#fillRegister(fn, fn.let(this.#number(p(0))), this.#register(fn, zero));
        this.#setFlags(fn, zero);
        this.#pops(fn, p(1));
        fn.return(one);
        break;
      case "changeSign": {
        this.#begin(fn);
        const { number, significand, signExponent } = this.#register(fn, zero);
        const changed = i32.xor(i32.and(signExponent, p(0)), p(1));
        this.#setRegister(fn, number, { significand, signExponent: fn.let(changed) });
        this.#setFlags(fn, zero);
        fn.return(one);
        break;
      }
    }
  }

  /** Returns unless everything is as usual. @param otherwise what it returns then */
  #begin(fn: FunctionBuilder, otherwise = 0, rounding = ROUNDING): void {
    const modes = i32.and(
      i32.load16U(zero, STATE.X87_CONTROL),
      i32.const(ALL_EXCEPTIONS | rounding),
    );
    fn.if(i32.ne(modes, i32.const(ALL_EXCEPTIONS)), () => fn.return(i32.const(otherwise)));
  }

  /** Number of ST(n). */
  #number(n: I32): I32 {
    const top = i32.shrU(i32.load16U(zero, STATE.X87_STATUS), i32.const(FSW_TOP_SHIFT));
    return i32.and(i32.add(top, n), i32.const(7));
  }

  /** ST(n), and its number; returns unless there is something in it. */
  #register(fn: FunctionBuilder, n: I32, otherwise = 0): Register {
    const number = fn.let(this.#number(n));
    const used = i32.and(i32.shrU(i32.load8U(zero, STATE.X87_TAGS), number), one);
    fn.if(i32.eqz(used), () => fn.return(i32.const(otherwise)));
    const at = fn.let(i32.shl(number, i32.const(4)));
    return {
      number,
      significand: fn.let(i64.load(at, STATE.X87_REGISTERS)),
      signExponent: fn.let(i32.load16U(at, STATE.X87_REGISTERS + 8)),
    };
  }

  #setRegister(fn: FunctionBuilder, number: I32, { significand, signExponent }: Extended): void {
    const at = fn.let(i32.shl(number, i32.const(4)));
    fn.store(at, significand, STATE.X87_REGISTERS);
    fn.storeNarrow(16, at, i64.extendU(signExponent), STATE.X87_REGISTERS + 8);
  }

  /** The same of one that may have been empty. */
  #fillRegister(fn: FunctionBuilder, number: Local<"i32">, value: Extended): void {
    this.#setRegister(fn, number, value);
    this.#setTags(fn, i32.or(i32.load8U(zero, STATE.X87_TAGS), i32.shl(one, number)));
  }

  #setTags(fn: FunctionBuilder, tags: I32): void {
    fn.storeNarrow(8, zero, i64.extendU(tags), STATE.X87_TAGS);
  }

  #setStatus(fn: FunctionBuilder, status: I32): void {
    fn.storeNarrow(16, zero, i64.extendU(status), STATE.X87_STATUS);
  }

  /** Adds to the status word's flags; C1 is one of them. */
  #setFlags(fn: FunctionBuilder, flags: I32): void {
    const kept = i32.and(i32.load16U(zero, STATE.X87_STATUS), i32.const(~C1));
    this.#setStatus(fn, i32.or(kept, flags));
  }

  #rotate(fn: FunctionBuilder, by: I32): void {
    const status = fn.let(i32.load16U(zero, STATE.X87_STATUS));
    const moved = i32.and(
      i32.add(status, i32.shl(by, i32.const(FSW_TOP_SHIFT))),
      i32.const(FSW.TOP),
    );
    this.#setStatus(fn, i32.or(i32.and(status, i32.const(~FSW.TOP)), moved));
  }

  #pops(fn: FunctionBuilder, times: I32): void {
    const count = fn.let(times);
    fn.if(count, () => {
      const number = fn.let(this.#number(zero));
      // As many bits as registers, of which the second may go round.
      const bits = fn.let(i32.shl(i32.sub(i32.shl(one, count), one), number));
      const both = i32.or(bits, i32.shrU(bits, i32.const(8)));
      const kept = i32.and(i32.load8U(zero, STATE.X87_TAGS), i32.xor(both, i32.const(-1)));
      this.#setTags(fn, kept);
      this.#rotate(fn, count);
    });
  }

  #definePush(fn: FunctionBuilder): void {
    this.#begin(fn);
    const number = fn.let(this.#number(i32.const(-1)));
    const below = i32.shrU(i32.load8U(zero, STATE.X87_TAGS), number);
    fn.if(i32.and(below, one), () => fn.return(zero));
    const value = { significand: fn.parameter(0, "i64"), signExponent: fn.parameter(1, "i32") };
    this.#fillRegister(fn, number, value);
    this.#setFlags(fn, zero);
    this.#rotate(fn, i32.const(-1));
    fn.return(one);
  }

  #pushed({ significand, signExponent }: Extended): I32 {
    return callResult("i32", this.#push, significand, signExponent);
  }

  /** Computes ST(destination) by an operand. */
  #defineCompute(fn: FunctionBuilder): void {
    const destination = fn.parameter(1, "i32");
    this.#begin(fn);
    const a = this.#register(fn, destination);
    const b = { significand: fn.parameter(2, "i64"), signExponent: fn.parameter(3, "i32") };
    const done = this.#extended.compute(fn.parameter(0, "i32"), a, b);
    fn.if(i32.eqz(done), () => fn.return(zero));
    const result = this.#result(fn);
    this.#setRegister(fn, a.number, result);
    this.#setFlags(fn, i32.load(zero, STATE.SCRATCH + 12));
    fn.return(one);
  }

  /** What {@link ExtendedArithmetic} has left. */
  #result(fn: FunctionBuilder): Extended {
    return {
      significand: fn.let(i64.load(zero, STATE.SCRATCH)),
      signExponent: fn.let(i32.load(zero, STATE.SCRATCH + 8)),
    };
  }

  #arithmetic(fn: FunctionBuilder): void {
    const source = fn.parameter(2, "i32");
    const { significand, signExponent } = this.#register(fn, source);
    const [operation, destination] = [fn.parameter(0, "i32"), fn.parameter(1, "i32")];
    const done = fn.let(
      callResult("i32", this.#compute, operation, destination, significand, signExponent),
    );
    fn.if(done, () => this.#pops(fn, fn.parameter(3, "i32")));
    fn.return(done);
  }

  #withNumber(
    fn: FunctionBuilder,
    kind: Local<"i32">,
    bits: Local<"i64">,
    use: (value: Extended) => I32,
  ): void {
    fn.if(i32.eqz(this.#extended.unpack(kind, bits)), () => fn.return(zero));
    fn.return(use(this.#result(fn)));
  }

  #compareWith(fn: FunctionBuilder): void {
    this.#begin(fn, COMPARED.NOT);
    const unpacked = this.#extended.unpack(fn.parameter(0, "i32"), fn.parameter(1, "i64"));
    fn.if(i32.eqz(unpacked), () => fn.return(i32.const(COMPARED.NOT)));
    this.#compared(fn, this.#result(fn));
  }

  #compared(fn: FunctionBuilder, b: Extended): void {
    const a = this.#register(fn, zero, COMPARED.NOT);
    for (const operand of [a, b]) {
      fn.if(i32.eqz(this.#extended.isPlain(operand)), () => fn.return(i32.const(COMPARED.NOT)));
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
    const kept = i32.and(i32.load16U(zero, STATE.X87_STATUS), i32.const(~(C0 | C1 | C2 | C3)));
    this.#setStatus(fn, i32.or(kept, i32.or(less, equal)));
    this.#pops(fn, fn.parameter(1, "i32"));
    fn.return(one);
  }

  #exchange(fn: FunctionBuilder): void {
    const i = fn.parameter(0, "i32");
    this.#begin(fn);
    const [a, b] = [this.#register(fn, zero), this.#register(fn, i)];
    this.#setRegister(fn, a.number, b);
    this.#setRegister(fn, b.number, a);
    this.#setFlags(fn, zero);
    fn.return(one);
  }

  #convert(fn: FunctionBuilder): void {
    const kind = fn.parameter(0, "i32");
    const control = i32.and(i32.load16U(zero, STATE.X87_CONTROL), i32.const(ROUNDING));
    const truncates = fn.let(
      i32.or(
        i32.eq(control, i32.const(TRUNCATE)),
        i32.ne(i32.and(kind, i32.const(STORE_KIND.TRUNCATE)), zero),
      ),
    );
    const isReal = i32.leU(kind, i32.const(STORE_KIND.REAL_64));
    // Reals only to nearest; integers truncated, too.
    fn.if(i32.or(isReal, i32.eqz(truncates)), () => this.#begin(fn));
    this.#begin(fn, 0, 0);
    fn.return(this.#extended.pack(kind, truncates, this.#register(fn, zero)));
  }
}
