/** What the decoder in WebAssembly is written in. */
import { type I32, type I64, i32, i64, select } from "../wasm/expression.ts";
import { FunctionBuilder, type Local } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";

/** No register, or no segment. */
export const NONE = -1;
export const zero = i32.const(0);
export const u64 = (value: I32): I64 => i64.extendU(value);
export const isSet = (value: I32, bits: number): I32 =>
  i32.ne(i32.and(value, i32.const(bits)), zero);
export const either = (a: I32, b: I32): I32 => i32.or(a, b);
export const both = (a: I32, b: I32): I32 => i32.and(a, b);
export const equals = (a: I32, value: number): I32 => i32.eq(a, i32.const(value));
export const pick = (condition: I32, a: number, b: number): I32 =>
  select(condition, i32.const(a), i32.const(b));

/** Leaves as many bytes of a variable. */
export function zeroExtend(fn: FunctionBuilder, value: Local<"i64">, bytes: I32): void {
  const unused = fn.let(u64(i32.sub(i32.const(64), i32.shl(bytes, i32.const(3)))));
  fn.set(value, i64.shrU(i64.shl(value, unused), unused));
}

/** A function of an offset and how many bytes: 1, 2, 4 or 8. */
export function addReadSigned(module: ModuleBuilder): number {
  const index = module.addFunction({ parameters: ["i32", "i32"], results: ["i64"] });
  const fn = new FunctionBuilder(["i32", "i32"]);
  const at = fn.parameter(0, "i32");
  const bytes = fn.parameter(1, "i32");
  fn.if(equals(bytes, 1), () => fn.return(i64.extend8S(i64.load8U(at))));
  fn.if(equals(bytes, 2), () => fn.return(i64.extend16S(i64.load16U(at))));
  fn.if(equals(bytes, 4), () => fn.return(i64.load32S(at)));
  fn.return(i64.load(at));
  fn.unreachable();
  module.define(index, fn.finish());
  return index;
}

/** Numbers below 16 in one, the first in the lowest four bits. */
export const packed = (values: readonly number[]): number =>
  values.reduceRight((all, value) => all * 16 + value, 0);

/** Where code to be decoded is. */
export interface CodeParameters {
  /** Memory offset of the block's first byte. */
  readonly bytes: I32;
  /** How many there are. */
  readonly length: I32;
  /** 16, 32 or 64. */
  readonly codeSize: Local<"i32">;
}
