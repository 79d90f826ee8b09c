/** Multiplication and division (Intel SDM vol. 1 §7.3.2.3). */

import { CpuException, VECTOR } from "../exceptions.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { type I32, type I64, i32, i64 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import type { Emitter, MemoryBits } from "./emitter.ts";
import { signExtend, zeroExtend } from "./flag-emitter.ts";
import type { Family, FlagUse } from "./instruction.ts";
import { divideWide } from "./wide-division.ts";

const RAX = 0;
const RDX = 2;
const MULTIPLY_FLAGS: FlagUse = { written: "OC", undefined: "SZAP" };
const DIVIDE_FLAGS: FlagUse = { undefined: "OSZAPC" };

const LOW_HALF = 0xffff_ffffn;

/** Bits 127 to 64 of an unsigned product, from four products of halves. */
export function highUnsigned(e: Emitter, a: Local<"i64">, b: Local<"i64">): Local<"i64"> {
  const low = (v: Local<"i64">) => i64.and(v, i64.const(LOW_HALF));
  const high = (v: Local<"i64">) => i64.shrU(v, i64.const(32));
  const lowLow = e.let(i64.mul(low(a), low(b)));
  const highLow = e.let(i64.mul(high(a), low(b)));
  const lowHigh = e.let(i64.mul(low(a), high(b)));
  const middle = e.let(i64.add(i64.add(high(lowLow), low(highLow)), lowHigh));
  const top = i64.mul(high(a), high(b));
  return e.let(i64.add(i64.add(top, high(highLow)), high(middle)));
}

/** The same for a signed one. */
function highSigned(e: Emitter, a: Local<"i64">, b: Local<"i64">): Local<"i64"> {
  const sign = (v: Local<"i64">) => i64.shrS(v, i64.const(63));
  const unsigned = highUnsigned(e, a, b);
  return e.let(i64.sub(i64.sub(unsigned, i64.and(sign(a), b)), i64.and(sign(b), a)));
}

/** OF and CF say that the product does not fit the lower half; the rest follows that half. */
function setProductFlags(e: Emitter, low: I64, bits: number, wide: I32): void {
  const carry = e.let(wide);
  e.flags.resultWith(low, bits, carry, carry);
}

/** rDX:rAX (AX for bytes) = rAX * operand. */
function multiplyAccumulator(e: Emitter, operand: Local<"i64">, bits: MemoryBits, signed: boolean) {
  const raw = e.let(e.getRegister(RAX, bits));
  const a = e.let(signed ? signExtend(raw, bits) : raw);
  const b = e.let(signed ? signExtend(operand, bits) : operand);
  const low = e.let(i64.mul(a, b));
  const high =
    bits === 64
      ? signed
        ? highSigned(e, a, b)
        : highUnsigned(e, a, b)
      : e.let(i64.shrU(low, i64.const(bits)));
  if (bits === 8) e.setRegister(RAX, 16, low);
  else {
    e.setRegister(RAX, bits, low);
    e.setRegister(RDX, bits, high);
  }
  const wide = signed
    ? bits === 64
      ? i64.ne(high, i64.shrS(low, i64.const(63)))
      : i64.ne(low, signExtend(low, bits))
    : i64.ne(zeroExtend(high, bits), i64.const(0));
  setProductFlags(e, low, bits, wide);
}

const mask = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

/** DIV and IDIV: #DE for a divisor of zero, and for a quotient that does not fit. */
function divide(context: ProcedureContext, signed: boolean): void {
  const width = context.instruction.form.operands[0]?.width === 8 ? 8 : context.operandSize;
  const divisor = extend(context.read(0), width, signed);
  const dividend = extend(readDividend(context, width), 2 * width, signed);
  if (divisor === 0n) throw new CpuException(VECTOR.DE);
  const quotient = dividend / divisor;
  if (extend(quotient & mask(width), width, signed) !== quotient) {
    throw new CpuException(VECTOR.DE);
  }
  const rest = dividend % divisor;
  if (width === 8) {
    context.setRegister(RAX, 16, ((rest & 0xffn) << 8n) | (quotient & 0xffn));
    return;
  }
  context.setRegister(RAX, width, quotient);
  context.setRegister(RDX, width, rest);
}

const extend = (value: bigint, bits: number, signed: boolean): bigint =>
  signed ? BigInt.asIntN(bits, value) : value;

function readDividend(context: ProcedureContext, width: number): bigint {
  if (width === 8) return context.getRegister(RAX, 16);
  return (context.getRegister(RDX, width) << BigInt(width)) | context.getRegister(RAX, width);
}

/** Of 64 bits, unsigned; what faults is done by the procedure. */
function divideLong(e: Emitter, divisor: Local<"i64">): void {
  const low = e.let(e.getRegister(RAX, 64));
  const high = e.let(e.getRegister(RDX, 64));
  e.fallbackUnless(i64.ltU(high, divisor));
  const quotient = e.variable(i64.divU(low, divisor));
  const rest = e.variable(i64.remU(low, divisor));
  e.ifRarely(i64.ne(high, i64.const(0)), () => {
    const wide = divideWide(e, high, low, divisor);
    e.set(quotient, wide.quotient);
    e.set(rest, wide.rest);
  });
  e.setRegister(RAX, 64, quotient);
  e.setRegister(RDX, 64, rest);
}

/**
 * Divisions whose dividend has no more than 64 bits of value are done here; the others, and those
 * that fault, by the procedure.
 */
function divideFast(e: Emitter, operand: Local<"i64">, bits: MemoryBits, signed: boolean): void {
  const low = e.let(e.getRegister(RAX, bits));
  const high = e.let(e.getRegister(RDX, bits));
  const divisor = e.let(signed ? signExtend(operand, bits) : operand);
  const dividend = bits === 64 ? low : e.let(i64.or(i64.shl(high, i64.const(bits)), low));
  const value = e.let(signed && bits < 32 ? signExtend(dividend, 2 * bits) : dividend);
  const simple =
    bits < 64 ? i32.const(1) : i64.eq(high, signed ? i64.shrS(low, i64.const(63)) : i64.const(0));
  const minusOne = i64.eq(divisor, i64.const(-1));
  const fits = signed ? i32.and(simple, i32.eqz(minusOne)) : simple;
  e.fallbackUnless(i32.and(fits, i32.eqz(i64.eqz(divisor))));
  const quotient = e.let(signed ? i64.divS(value, divisor) : i64.divU(value, divisor));
  const rest = e.let(signed ? i64.remS(value, divisor) : i64.remU(value, divisor));
  if (bits < 64) {
    const cut = signed ? signExtend(quotient, bits) : zeroExtend(quotient, bits);
    e.fallbackUnless(i64.eq(cut, quotient));
  }
  e.setRegister(RAX, bits, quotient);
  e.setRegister(RDX, bits, rest);
}

export const multiply: Family = [
  {
    name: "MUL",
    forms: ["F6/4 Eb", "F7/4 Ev"],
    flags: MULTIPLY_FLAGS,
    meaning(e, operand) {
      if (operand === undefined) return;
      multiplyAccumulator(e, e.read(operand), operand.bits as MemoryBits, false);
    },
  },
  {
    name: "IMUL",
    forms: ["F6/5 Eb", "F7/5 Ev"],
    flags: MULTIPLY_FLAGS,
    meaning(e, operand) {
      if (operand === undefined) return;
      multiplyAccumulator(e, e.read(operand), operand.bits as MemoryBits, true);
    },
  },
  {
    name: "IMUL2",
    mnemonic: "IMUL",
    forms: ["0F AF Gv,Ev", "69 Gv,Ev,Iz", "6B Gv,Ev,Ibs"],
    flags: MULTIPLY_FLAGS,
    meaning(e, destination, source, immediate) {
      if (destination === undefined || source === undefined) return;
      const { bits } = destination;
      const a = e.readSigned(source);
      const b = e.readSigned(immediate ?? destination);
      const product = e.let(i64.mul(a, b));
      const wide =
        bits === 64
          ? i64.ne(highSigned(e, a, b), i64.shrS(product, i64.const(63)))
          : i64.ne(product, signExtend(product, bits));
      const overflow = e.let(wide);
      e.write(destination, product);
      setProductFlags(e, product, bits, overflow);
    },
  },
  {
    name: "DIV",
    forms: ["F7/6 Ev"],
    flags: DIVIDE_FLAGS,
    meaning(e, operand) {
      if (operand === undefined) return;
      if (e.bits === 64) divideLong(e, e.read(operand));
      else divideFast(e, e.read(operand), e.bits, false);
    },
    procedure: (context) => divide(context, false),
  },
  {
    name: "IDIV",
    forms: ["F7/7 Ev"],
    flags: DIVIDE_FLAGS,
    meaning(e, operand) {
      if (operand !== undefined) divideFast(e, e.read(operand), e.bits, true);
    },
    procedure: (context) => divide(context, true),
  },
  {
    name: "DIV8",
    mnemonic: "DIV",
    forms: ["F6/6 Eb"],
    flags: DIVIDE_FLAGS,
    procedure: (context) => divide(context, false),
  },
  {
    name: "IDIV8",
    mnemonic: "IDIV",
    forms: ["F6/7 Eb"],
    flags: DIVIDE_FLAGS,
    procedure: (context) => divide(context, true),
  },
];
