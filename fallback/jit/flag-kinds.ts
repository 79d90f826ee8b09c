/**
 * The arithmetic flags as regions hand them on: not yet computed. STATE.FLAG_KIND says from what, and
 * the three fields before it hold that; 0 is the form of `flags.ts`, which everybody else knows.
 */
import { FlagEmitter, type FlagStore, signExtend } from "../isa/flag-emitter.ts";
import { STATE } from "../state.ts";
import { type Expression, i32, i64 } from "../wasm/expression.ts";
import { FunctionBuilder } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";

/**
 * What the three values are, all i64:
 *
 * | operation | first | second | third |
 * |---|---|---|---|
 * | known | result | carries | carry |
 * | subtract, add | a | b | – |
 * | borrow, carry: the same with a borrow or carry | a | b | result, not cut |
 * | logic | result, upper bits of no meaning | – | – |
 * | increment, decrement | before | carry | – |
 */
const OPERATIONS = [
  ...(["known", "subtract", "add", "borrow", "carry", "logic"] as const),
  ...(["increment", "decrement"] as const),
] as const;
export type FlagOperation = (typeof OPERATIONS)[number];

const WIDTHS = [8, 16, 32, 64] as const;

/** What FLAG_KIND says. */
export const flagKind = (operation: FlagOperation, bits: number): number =>
  operation === "known" ? 0 : 4 * OPERATIONS.indexOf(operation) + Math.log2(bits / 8);

/** The flag fields of the state, for flags that are known. */
export function flagsInMemory(fn: FunctionBuilder): FlagStore {
  const zero = i32.const(0);
  return {
    let: (value) => fn.let(value as Expression) as never,
    getResult: () => i64.load(zero, STATE.FLAG_RESULT),
    setResult: (value) => fn.store(zero, value, STATE.FLAG_RESULT),
    getCarries: () => i64.load(zero, STATE.FLAG_CARRIES),
    setCarries: (value) => fn.store(zero, value, STATE.FLAG_CARRIES),
    getCarry: () => i32.load(zero, STATE.FLAG_CARRY),
    setCarry: (value) => fn.store(zero, value, STATE.FLAG_CARRY),
  };
}

/** A function without parameters that makes the flags in the state known. Returns its index. */
export function buildSettleFlags(module: ModuleBuilder): number {
  const index = module.addFunction({ parameters: [], results: [] });
  const fn = new FunctionBuilder([]);
  const zero = i32.const(0);
  const kind = fn.let(i32.load(zero, STATE.FLAG_KIND));
  fn.if(i32.eqz(kind), () => fn.return());
  const first = fn.let(i64.load(zero, STATE.FLAG_RESULT));
  const second = fn.let(i64.load(zero, STATE.FLAG_CARRIES));
  const third = fn.let(i64.load(zero, STATE.FLAG_CARRY));
  const one = fn.let(i64.const(1));
  const flags = new FlagEmitter(flagsInMemory(fn));
  const carry = fn.let(i32.wrap(second));
  const settle: Readonly<Record<FlagOperation, (bits: number) => void>> = {
    known: () => {},
    subtract: (bits) => flags.subtract(first, second, fn.let(i64.sub(first, second)), bits),
    add: (bits) => flags.add(first, second, fn.let(i64.add(first, second)), bits),
    borrow: (bits) => flags.subtract(first, second, third, bits),
    carry: (bits) => flags.add(first, second, third, bits),
    logic: (bits) => flags.logic(signExtend(first, bits), bits),
    increment: (bits) => {
      flags.add(first, one, fn.let(i64.add(first, one)), bits);
      flags.carryOnly(carry);
    },
    decrement: (bits) => {
      flags.subtract(first, one, fn.let(i64.sub(first, one)), bits);
      flags.carryOnly(carry);
    },
  };
  fn.store(zero, zero, STATE.FLAG_KIND);
  for (const operation of OPERATIONS.slice(1)) {
    for (const bits of WIDTHS) {
      fn.if(i32.eq(kind, i32.const(flagKind(operation, bits))), () =>
        fn.scoped(() => settle[operation](bits)),
      );
    }
  }
  module.define(index, fn.finish());
  return index;
}
