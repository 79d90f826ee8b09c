import { FlagEmitter, type FlagLetter, signExtend, zeroExtend } from "../isa/flag-emitter.ts";
import { STATE } from "../state.ts";
import { type Expression, type I32, type I64, i32, i64 } from "../wasm/expression.ts";
import type { Callee, FunctionBuilder, Local } from "../wasm/function-builder.ts";
import { type FlagOperation, flagKind } from "./flag-kinds.ts";

/** From what the flags would be computed, as far as that is known while code is made. */
export interface FlagState {
  readonly operation: FlagOperation;
  readonly bits: number;
}

/** The code before may have left any kind: the variable knows. */
export const ANY_FLAGS = undefined;
/** The variables have nothing yet: the flags are in the state, as they were when the code began. */
export const IN_STATE: FlagState = { operation: "known", bits: 0 };

const KNOWN: FlagState = { operation: "known", bits: 64 };

/** How many of the three values have a meaning. */
function valuesOf(state: FlagState | undefined): number {
  switch (state?.operation) {
    case "logic":
      return 1;
    case "add":
    case "subtract":
    case "increment":
    case "decrement":
      return 2;
    default:
      return 3;
  }
}

const adds = (operation: FlagOperation): boolean =>
  operation === "add" || operation === "carry" || operation === "increment";

/** The variables of a function that hold the flags. */
export interface FlagLocals {
  readonly first: Local<"i64">;
  readonly second: Local<"i64">;
  readonly third: Local<"i64">;
  readonly kind: Local<"i32">;
}

/**
 * The arithmetic flags in a region: an operation leaves its operands and result in variables, and what
 * asks for a flag computes it from there; so a comparison and the branch after it become one. The
 * values are those of `flag-kinds.ts`.
 */
export class LazyFlags extends FlagEmitter {
  /** {@link ANY_FLAGS} if only the variable of the kind knows. */
  state: FlagState | undefined = ANY_FLAGS;
  /** Nobody will see the flags that are being set. */
  unseen = false;
  /** The instruction under way takes a carry or borrow in. */
  carryIn = false;
  readonly locals: FlagLocals;
  readonly #fn: FunctionBuilder;
  readonly #settle: Callee;

  /** @param settle the function that makes the flags in the state known */
  constructor(fn: FunctionBuilder, locals: FlagLocals, settle: Callee) {
    const { first, second, third } = locals;
    super({
      let: (value) => fn.let(value as Expression) as never,
      getResult: () => this.#known(first),
      setResult: (value) => this.#setKnown(first, value),
      getCarries: () => this.#known(second),
      setCarries: (value) => this.#setKnown(second, value),
      getCarry: () => i32.wrap(this.#known(third)),
      setCarry: (value) => this.#setKnown(third, i64.extendU(value)),
    });
    this.locals = locals;
    this.#fn = fn;
    this.#settle = settle;
  }

  /** Lets the variable of the kind say what is known here. */
  tell(): void {
    const { state } = this;
    if (state === undefined || state === IN_STATE) return;
    this.#fn.set(this.locals.kind, i32.const(flagKind(state.operation, state.bits)));
  }

  override add(a: Local<"i64">, b: Local<"i64">, sum: Local<"i64">, bits: number): void {
    this.#remember(this.carryIn ? "carry" : "add", a, b, sum, bits);
  }

  override subtract(a: Local<"i64">, b: Local<"i64">, rest: Local<"i64">, bits: number): void {
    this.#remember(this.carryIn ? "borrow" : "subtract", a, b, rest, bits);
  }

  override logic(result: I64, bits: number): void {
    if (this.unseen) return;
    this.#fn.set(this.locals.first, result);
    this.state = { operation: "logic", bits };
  }

  override resultWith(result: I64, bits: number, overflow: I32, carry: Local<"i32">): void {
    if (this.unseen) return;
    this.state = KNOWN;
    super.resultWith(result, bits, overflow, carry);
  }

  override zeroAndCarry(zero: I32, carry: I32): void {
    if (this.unseen) return;
    this.state = KNOWN;
    super.zeroAndCarry(zero, carry);
  }

  override compared(zero: I32, sign: I32, overflow: I32, carry: I32): void {
    if (this.unseen) return;
    this.state = KNOWN;
    super.compared(zero, sign, overflow, carry);
  }

  override overflowAndCarry(overflow: I32, carry: Local<"i32">): void {
    if (!this.unseen) super.overflowAndCarry(overflow, carry);
  }

  override carryOnly(value: I32): void {
    if (!this.unseen) super.carryOnly(value);
  }

  override zeroOnly(zero: I32): void {
    if (!this.unseen) super.zeroOnly(zero);
  }

  override fromImage(image: Local<"i32">): void {
    if (!this.unseen) super.fromImage(image);
  }

  override keepingCarry(set: () => void): void {
    if (this.unseen) return;
    const before = this.#fn.let(i64.extendU(this.get("C")));
    set();
    const { operation, bits } = this.state as FlagState;
    this.#fn.set(this.locals.second, before);
    const kept = operation === "add" ? "increment" : "decrement";
    this.state = { operation: kept, bits };
  }

  override get(letter: FlagLetter): I32 {
    this.fetch();
    const { state } = this;
    if (state === undefined || state.operation === "known") return super.get(letter);
    switch (letter) {
      case "C":
        return this.#carry(state);
      case "Z":
        return this.#isZero(state);
      case "S":
        return i64.ltS(this.#result(state), i64.const(0));
      case "O": {
        if (state.operation === "logic") return i32.const(0);
        const carryIn = i64.ltS(this.#carries(state), i64.const(0));
        return i32.xor(carryIn, this.#carryOut(state));
      }
      case "A": {
        if (state.operation === "logic") return i32.const(0);
        return i32.wrap(i64.and(i64.shrU(this.#carries(state), i64.const(4)), i64.const(1)));
      }
      case "P": {
        const low = i32.and(i32.wrap(this.#uncut(state)), i32.const(0xff));
        return i32.xor(i32.and(i32.popcnt(low), i32.const(1)), i32.const(1));
      }
    }
  }

  override condition(encoding: number): I32 {
    return this.#fused(encoding) ?? super.condition(encoding);
  }

  /** A condition on the operands themselves, where there is one. */
  #fused(encoding: number): I32 | undefined {
    const { state } = this;
    if (state === undefined) return undefined;
    if (state.operation === "subtract" || state.operation === "decrement") {
      return this.#comparison(state, encoding);
    }
    if (state.operation !== "logic") return undefined;
    const zero = i64.const(0);
    switch (encoding) {
      case 5:
      case 7:
        return i32.eqz(this.#isZero(state));
      case 6:
        return this.#isZero(state);
      case 9:
      case 13:
        return i64.geS(this.#result(state), zero);
      case 12:
        return i64.ltS(this.#result(state), zero);
      case 14:
        return i64.leS(this.#result(state), zero);
      case 15:
        return i64.gtS(this.#result(state), zero);
      default:
        return undefined;
    }
  }

  #comparison(state: FlagState, encoding: number): I32 | undefined {
    const { first } = this.locals;
    const isStep = state.operation === "decrement";
    const second = isStep ? i64.const(1) : this.locals.second;
    const signed = (value: I64) => signExtend(value, state.bits);
    switch (encoding) {
      case 2:
        return isStep ? undefined : i64.ltU(first, second);
      case 3:
        return isStep ? undefined : i64.geU(first, second);
      case 4:
        return i64.eq(first, second);
      case 5:
        return i64.ne(first, second);
      case 6:
        return isStep ? undefined : i64.leU(first, second);
      case 7:
        return isStep ? undefined : i64.gtU(first, second);
      case 9:
        return i64.geS(this.#result(state), i64.const(0));
      case 12:
        return i64.ltS(signed(first), signed(second));
      case 13:
        return i64.geS(signed(first), signed(second));
      case 14:
        return i64.leS(signed(first), signed(second));
      case 15:
        return i64.gtS(signed(first), signed(second));
      default:
        return undefined;
    }
  }

  #remember(
    operation: "add" | "subtract" | "carry" | "borrow",
    a: Local<"i64">,
    b: Local<"i64">,
    result: Local<"i64">,
    bits: number,
  ): void {
    if (this.unseen) return;
    const { first, second, third } = this.locals;
    this.#fn.set(first, a);
    this.#fn.set(second, b);
    if (this.carryIn) this.#fn.set(third, result);
    this.state = { operation, bits };
  }

  #isZero(state: FlagState): I32 {
    const { first, second } = this.locals;
    if (state.operation === "subtract") return i64.eq(first, second);
    const uncut = this.#uncut(state);
    return state.bits === 32 ? i32.eqz(i32.wrap(uncut)) : i64.eqz(zeroExtend(uncut, state.bits));
  }

  /** The result, with whatever is above its bits. */
  #uncut({ operation }: FlagState): I64 {
    const { first, third } = this.locals;
    if (operation === "logic") return first;
    if (operation === "carry" || operation === "borrow") return third;
    return adds(operation)
      ? i64.add(first, this.#second(operation))
      : i64.sub(first, this.#second(operation));
  }

  /** The second operand. */
  #second(operation: FlagOperation): I64 {
    const isStep = operation === "increment" || operation === "decrement";
    return isStep ? i64.const(1) : this.locals.second;
  }

  /** Sign-extended. */
  #result(state: FlagState): I64 {
    return signExtend(this.#uncut(state), state.bits);
  }

  /** As `FlagEmitter` keeps them, but for "logic", which has none. */
  #carries(state: FlagState): I64 {
    const inputs = i64.xor(this.locals.first, this.#second(state.operation));
    return signExtend(i64.xor(inputs, this.#uncut(state)), state.bits);
  }

  /** The same relative to CF, which INC and DEC keep. */
  #carriesWith(state: FlagState, carry: I64): I64 {
    if (state.operation === "logic") return i64.const(0);
    const isStep = state.operation === "increment" || state.operation === "decrement";
    if (!isStep) return this.#carries(state);
    const changed = i64.xor(i64.extendU(this.#carryOut(state)), carry);
    return i64.xor(this.#carries(state), i64.shl(changed, i64.const(63)));
  }

  /** CF. */
  #carry(state: FlagState): I32 {
    if (state.operation === "logic") return i32.const(0);
    const isStep = state.operation === "increment" || state.operation === "decrement";
    return isStep ? i32.wrap(this.locals.second) : this.#carryOut(state);
  }

  /** The carry or borrow out of the most significant bit, 0 or 1. */
  #carryOut(state: FlagState): I32 {
    const { operation, bits } = state;
    const { first, third } = this.locals;
    const b = this.#second(operation);
    const top = (value: I64, at: number) => i32.wrap(i64.shrU(value, i64.const(at)));
    const inverted = (value: I64) => i64.xor(value, i64.const(-1));
    if (adds(operation)) {
      if (bits < 64) return top(this.#uncut(state), bits);
      if (operation !== "carry") return i64.ltU(this.#uncut(state), first);
      const either = i64.and(i64.or(first, b), inverted(third));
      return top(i64.or(i64.and(first, b), either), 63);
    }
    if (operation !== "borrow") return i64.ltU(first, b);
    if (bits < 64) return top(third, 63);
    const without = i64.and(inverted(first), b);
    return top(i64.or(without, i64.and(i64.or(inverted(first), b), third)), 63);
  }

  /** A variable, once the flags are known. */
  #known(local: Local<"i64">): Local<"i64"> {
    this.fetch();
    const { state } = this;
    if (state?.operation === "known") return local;
    if (state === undefined) this.#settleAny();
    else this.#settleFrom(state);
    this.state = KNOWN;
    return local;
  }

  #setKnown(local: Local<"i64">, value: I64): void {
    if (this.state !== KNOWN) this.#known(local);
    this.#fn.set(local, value);
  }

  #settleFrom(state: FlagState): void {
    const fn = this.#fn;
    const { first, second, third } = this.locals;
    const result = fn.let(this.#result(state));
    const carry = fn.let(i64.extendU(this.#carry(state)));
    const carries = fn.let(this.#carriesWith(state, carry));
    fn.set(first, result);
    fn.set(second, carries);
    fn.set(third, carry);
  }

  #settleAny(): void {
    this.save();
    this.#fn.call(this.#settle);
    this.state = IN_STATE;
    this.fetch();
  }

  /** Stores the flags as they are. The kind must have been {@link tell told}. */
  save(): void {
    if (this.state === IN_STATE) return;
    const fn = this.#fn;
    const zero = i32.const(0);
    const { first, second, third, kind } = this.locals;
    const used = valuesOf(this.state);
    fn.store(zero, first, STATE.FLAG_RESULT);
    if (used > 1) fn.store(zero, second, STATE.FLAG_CARRIES);
    if (used > 2) fn.store(zero, third, STATE.FLAG_CARRY);
    fn.store(zero, kind, STATE.FLAG_KIND);
  }

  /** Takes the flags that the state has into the variables, if that has not been done. */
  fetch(): void {
    if (this.state !== IN_STATE) return;
    const fn = this.#fn;
    const zero = i32.const(0);
    const { first, second, third, kind } = this.locals;
    fn.set(first, i64.load(zero, STATE.FLAG_RESULT));
    fn.set(second, i64.load(zero, STATE.FLAG_CARRIES));
    fn.set(third, i64.load(zero, STATE.FLAG_CARRY));
    fn.set(kind, i32.load(zero, STATE.FLAG_KIND));
    this.state = ANY_FLAGS;
  }
}
