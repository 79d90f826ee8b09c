/** x87's 80 bits from and to the formats that numbers have in memory. */
import { type I32, i32, i64, select } from "../wasm/expression.ts";
import { FunctionBuilder, type Label, type Local } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";
import {
  BIAS,
  drop,
  type Extended,
  equals,
  exponentOf,
  flagsOf,
  isPlain,
  one,
  returnResult,
  top,
  zero,
} from "./extended-format.ts";

/**
 * A number from memory, in place; the function under construction returns where it is neither zero nor
 * normal.
 * @param kind `MEMORY_KIND`
 * @param otherwise what it returns then
 */
export function unpack(
  fn: FunctionBuilder,
  kind: Local<"i32">,
  bits: Local<"i64">,
  otherwise: number,
): Extended {
  const number = { significand: fn.local("i64"), signExponent: fn.local("i32") };
  fn.block((done) => {
    const unpackAs = (exponentBits: number, fractionBits: number) => () => {
      unpackReal(fn, bits, exponentBits, fractionBits, number, otherwise);
      fn.branch(done);
    };
    fn.if(equals(kind, 1), unpackAs(11, 52));
    fn.if(i32.eqz(kind), unpackAs(8, 23));
    fn.set(number.significand, i64.const(0));
    fn.set(number.signExponent, zero);
    fn.branchIf(i64.eqz(bits), done);
    const negative = fn.let(i64.ltS(bits, i64.const(0)));
    const magnitude = fn.let(select(negative, i64.sub(i64.const(0), bits), bits));
    const count = fn.let(i64.clz(magnitude));
    const exponent = i32.sub(i32.const(BIAS + 63), i32.wrap(count));
    fn.set(number.significand, i64.shl(magnitude, count));
    fn.set(number.signExponent, i32.or(i32.shl(negative, i32.const(15)), exponent));
  });
  return number;
}

function unpackReal(
  fn: FunctionBuilder,
  bits: Local<"i64">,
  exponentBits: number,
  fractionBits: number,
  { significand, signExponent }: Extended,
  otherwise: number,
): void {
  const ones = 2 ** exponentBits - 1;
  const upper = fn.let(i32.wrap(i64.shrU(bits, i64.const(fractionBits))));
  const exponent = fn.let(i32.and(upper, i32.const(ones)));
  fn.set(significand, i64.shl(bits, i64.const(64 - fractionBits)));
  fn.set(signExponent, i32.shl(i32.shrU(upper, i32.const(exponentBits)), i32.const(15)));
  fn.if(
    i32.ltU(i32.sub(exponent, one), i32.const(ones - 1)),
    () => {
      fn.set(significand, i64.or(i64.shrU(significand, i64.const(1)), top));
      const biased = i32.add(exponent, i32.const(BIAS - (ones >> 1)));
      fn.set(signExponent, i32.or(signExponent, biased));
    },
    () => {
      const isOther = i32.or(exponent, i64.ne(significand, i64.const(0)));
      fn.if(isOther, () => fn.return(i32.const(otherwise)));
    },
  );
}

/**
 * Adds the function that makes of a number what goes to memory: (kind, whether integers are truncated,
 * significand, sign and exponent) → whether it is one there, too. It leaves the bits in STATE.SCRATCH, and
 * flags (an i32) 12 bytes on.
 */
export function addPack(module: ModuleBuilder): number {
  const parameters = ["i32", "i32", "i64", "i32"] as const;
  const index = module.addFunction({ parameters, results: ["i32"] });
  const fn = new FunctionBuilder(parameters);
  definePack(fn);
  fn.unreachable();
  module.define(index, fn.finish());
  return index;
}

function definePack(fn: FunctionBuilder): void {
  const kind = fn.parameter(0, "i32");
  const bits = fn.parameter(2, "i64");
  const signExponent = fn.parameter(3, "i32");
  fn.if(i32.eqz(isPlain({ significand: bits, signExponent })), () => fn.return(zero));
  fn.if(equals(kind, 0), () => packReal(fn, bits, signExponent, 8, 23));
  fn.if(equals(kind, 1), () => packReal(fn, bits, signExponent, 11, 52));
  packInteger(fn);
}

function packReal(
  fn: FunctionBuilder,
  bits: Local<"i64">,
  signExponent: I32,
  exponentBits: number,
  fractionBits: number,
): void {
  const ones = 2 ** exponentBits - 1;
  const sign = i64.shl(
    i64.extendU(i32.shrU(signExponent, i32.const(15))),
    i64.const(exponentBits + fractionBits),
  );
  const signBit = fn.let(sign);
  fn.if(i64.eqz(bits), () => returnResult(fn, signBit, zero, zero));
  const count = 63 - fractionBits;
  const { value, isInexact, isUp } = drop(fn, bits, i64.const(count), zero);
  const exponent = fn.let(i32.sub(exponentOf(signExponent), i32.const(BIAS - (ones >> 1))));
  fn.if(isUp, () => {
    fn.set(value, i64.add(value, i64.const(1n << BigInt(count))));
    fn.if(i64.eqz(value), () => fn.set(exponent, i32.add(exponent, one)));
  });
  // Neither overflow nor denormal.
  const inRange = i32.ltU(i32.sub(exponent, one), i32.const(ones - 1));
  fn.if(i32.eqz(inRange), () => fn.return(zero));
  const fraction = i64.shrU(i64.shl(value, i64.const(1)), i64.const(64 - fractionBits));
  const placed = i64.shl(i64.extendU(exponent), i64.const(fractionBits));
  const packed = i64.or(signBit, i64.or(placed, fraction));
  returnResult(fn, packed, zero, flagsOf(isInexact, isUp));
}

/** What goes to memory as 16, 32 or 64 bits, which are the kind's low seven. */
function packInteger(fn: FunctionBuilder): void {
  const width = i32.and(fn.parameter(0, "i32"), i32.const(0x7f));
  const truncates = fn.parameter(1, "i32");
  const bits = fn.parameter(2, "i64");
  const signExponent = fn.parameter(3, "i32");
  fn.if(i64.eqz(bits), () => returnResult(fn, i64.const(0), zero, zero));
  const exponent = fn.let(i32.sub(exponentOf(signExponent), i32.const(BIAS)));
  fn.if(i32.gtS(exponent, i32.const(62)), () => fn.return(zero));
  const integer = fn.local("i64");
  const isInexact = fn.local("i32");
  const isUp = fn.local("i32");
  fn.block((found: Label) => {
    fn.set(integer, i64.const(0));
    fn.set(isInexact, one);
    // Below one: more than half is one.
    const isOne = i32.and(equals(exponent, -1), i64.ne(bits, top));
    fn.set(isUp, isOne);
    fn.branchIf(i32.ltS(exponent, zero), found);
    const count = i64.extendU(i32.sub(i32.const(63), exponent));
    const dropped = drop(fn, bits, count, zero);
    const by = i64.extendU(i32.sub(i32.const(63), exponent));
    fn.set(integer, i64.shrU(dropped.value, by));
    fn.set(isInexact, dropped.isInexact);
    fn.set(isUp, dropped.isUp);
  });
  fn.set(isUp, select(truncates, zero, isUp));
  fn.set(integer, i64.add(integer, i64.extendU(isUp)));
  const negative = fn.let(i32.shrU(signExponent, i32.const(15)));
  const largest = i64.shrU(i64.const(-1), i64.extendU(i32.sub(i32.const(65), width)));
  fn.if(i64.gtU(integer, largest), () => fn.return(zero));
  const signed = select(negative, i64.sub(i64.const(0), integer), integer);
  returnResult(fn, signed, zero, flagsOf(isInexact, isUp));
}
