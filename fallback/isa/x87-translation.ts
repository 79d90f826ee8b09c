/** x87 instructions as far as {@link X87Functions} go; the rest is their procedures'. */
import { FSW } from "../bits.ts";
import { COMPARED, kindOf, MEMORY_KIND, STORE_KIND } from "../emission/x87-functions.ts";
import { ALL_EXCEPTIONS } from "../float/context.ts";
import { STATE } from "../state.ts";
import { type I32, type I64, i32, i64 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import type { TranslationEmitter } from "./emitter.ts";
import type { Instruction, OfVariant } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { CONTROL_ALWAYS, CONTROL_BITS } from "./x87-unit.ts";

export type Translation = NonNullable<Instruction["byVariant"]>;

const RAX = 0;
const SIGN = 0x8000;
const ONE = { significand: -(2n ** 63n), exponent: 16383 };
const PAGE_SIZE = 4096;
const zero = i32.const(0);

const isInMemory = ({ form }: OfVariant): boolean => form.operands[0]?.place === "memory";
const widthOf = ({ form }: OfVariant): number => form.operands[0]?.width as number;
const memory = (bits: number): Operand => ({ kind: "memory", bits, field: 0 });

/** The last instruction's offset; the other pointers are left alone where nothing goes wrong. */
function end(e: TranslationEmitter): void {
  e.setState(64, STATE.X87_INSTRUCTION_POINTER, e.startRip());
}

/** Does all of an instruction, or leaves it to the procedure. */
function complete(e: TranslationEmitter, done: I32): void {
  e.fallbackUnless(done);
  end(e);
}

/** What `X87.wait` is: what has a pending exception is the procedure's. */
export const waiting =
  (translation: Translation): Translation =>
  (e, instruction) => {
    const status = i32.load16U(zero, STATE.X87_STATUS);
    e.fallbackUnless(i32.eqz(i32.and(status, i32.const(FSW.ES))));
    translation(e, instruction);
  };

/** A number in memory, and what it is. */
function numberIn(
  e: TranslationEmitter,
  instruction: OfVariant,
  isInteger: boolean,
): readonly [kind: I32, bits: I64] {
  const bits = widthOf(instruction);
  if (isInteger) return [i32.const(MEMORY_KIND.INTEGER), e.readSigned(memory(bits))];
  const kind = bits === 32 ? MEMORY_KIND.REAL_32 : MEMORY_KIND.REAL_64;
  return [i32.const(kind), e.read(memory(bits))];
}

/** @param operation digit of the opcode with ST(0) as the destination */
export const arithmetic =
  (operation: number, { toI = false, pops = 0, isInteger = false } = {}): Translation =>
  (e, instruction) => {
    const [kind, op] = [kindOf(operation), i32.const(operation)];
    if (isInMemory(instruction)) {
      const number = numberIn(e, instruction, isInteger);
      complete(e, e.x87(`${kind}With`, op, ...number));
      return;
    }
    const i = e.stackIndex();
    const places = toI ? [i, zero] : [zero, i];
    complete(e, e.x87(kind, op, ...places, i32.const(pops)));
  };

export const squareRoot: Translation = (e) => complete(e, e.x87("squareRoot"));

export const load: Translation = (e, instruction) => {
  if (!isInMemory(instruction)) {
    complete(e, e.x87("pushRegister", e.stackIndex()));
  } else if (widthOf(instruction) === 80) {
    const at = e.operandAt(10, false);
    const significand = e.load(at, 64);
    const signExponent = e.load(e.let(i64.add(at, i64.const(8))), 16);
    complete(e, e.x87("push", significand, i32.wrap(signExponent)));
  } else complete(e, e.x87("pushNumber", ...numberIn(e, instruction, false)));
};

export const loadInteger: Translation = (e, instruction) =>
  complete(e, e.x87("pushNumber", ...numberIn(e, instruction, true)));

export const loadConstant =
  (value: 0 | 1): Translation =>
  (e) => {
    const { significand, exponent } = value === 0 ? { significand: 0n, exponent: 0 } : ONE;
    complete(e, e.x87("push", i64.const(significand), i32.const(exponent)));
  };

/** What a conversion has left: in variables, since a store may use the same place. */
const converted = (e: TranslationEmitter): Local<"i64"> => e.let(i64.load(zero, STATE.SCRATCH));

function finish(e: TranslationEmitter, flags: I32, pops: number): void {
  e.x87("finish", flags, i32.const(pops));
  end(e);
}

export const store =
  (pops: 0 | 1): Translation =>
  (e, instruction) => {
    if (!isInMemory(instruction)) {
      complete(e, e.x87("move", e.stackIndex(), i32.const(pops)));
      return;
    }
    const bits = widthOf(instruction);
    if (bits === 80) {
      e.fallbackUnless(e.x87("read"));
      const significand = converted(e);
      const signExponent = e.let(i64.load32U(zero, STATE.SCRATCH + 8));
      const at = e.operandAt(10, true);
      // Neither half is written where the other one cannot be.
      const inPage = i32.and(i32.wrap(at), i32.const(PAGE_SIZE - 1));
      e.fallbackUnless(i32.leU(inPage, i32.const(PAGE_SIZE - 10)));
      e.store(at, 64, significand);
      e.store(e.let(i64.add(at, i64.const(8))), 16, signExponent);
      finish(e, zero, pops);
      return;
    }
    storeConverted(e, instruction, bits === 32 ? STORE_KIND.REAL_32 : STORE_KIND.REAL_64, pops);
  };

export const storeInteger =
  (pops: 0 | 1, truncates: boolean): Translation =>
  (e, instruction) => {
    const kind = widthOf(instruction) | (truncates ? STORE_KIND.TRUNCATE : 0);
    storeConverted(e, instruction, kind, pops);
  };

function storeConverted(
  e: TranslationEmitter,
  instruction: OfVariant,
  kind: number,
  pops: 0 | 1,
): void {
  e.fallbackUnless(e.x87("convert", i32.const(kind)));
  const bits = converted(e);
  const flags = e.let(i32.load(zero, STATE.SCRATCH + 12));
  e.write(memory(widthOf(instruction)), bits);
  finish(e, flags, pops);
}

export const exchange: Translation = (e) => complete(e, e.x87("exchange", e.stackIndex()));

export const changeSign: Translation = (e) =>
  complete(e, e.x87("changeSign", i32.const(0xffff), i32.const(SIGN)));

export const clearSign: Translation = (e) =>
  complete(e, e.x87("changeSign", i32.const(0xffff & ~SIGN), zero));

/** ST(0) with an operand: the result, once it is known that there is one. */
function compared(e: TranslationEmitter, instruction: OfVariant, isInteger: boolean): Local<"i32"> {
  const order = !isInMemory(instruction)
    ? e.x87("compare", e.stackIndex())
    : e.x87("compareWith", ...numberIn(e, instruction, isInteger));
  e.fallbackUnless(i32.ne(order, i32.const(COMPARED.NOT)));
  return order;
}

export const compare =
  (pops: number, isInteger = false): Translation =>
  (e, instruction) => {
    const order = compared(e, instruction, isInteger);
    e.x87("conclude", order, i32.const(pops));
    end(e);
  };

/** FTST. */
export const compareWithZero: Translation = (e) => {
  const order = e.x87("compareWith", i32.const(MEMORY_KIND.INTEGER), i64.const(0));
  e.fallbackUnless(i32.ne(order, i32.const(COMPARED.NOT)));
  e.x87("conclude", order, zero);
  end(e);
};

export const compareToFlags =
  (pops: 0 | 1): Translation =>
  (e, instruction) => {
    const order = compared(e, instruction, false);
    if (pops > 0) e.x87("pop", i32.const(pops));
    const isLess = i32.and(order, i32.const(COMPARED.LESS));
    e.flags.zeroAndCarry(i32.shrU(order, i32.const(1)), isLess);
    end(e);
  };

export const loadControlWord: Translation = (e) => {
  const word = e.read(memory(16));
  const masks = i32.and(i32.wrap(word), i32.const(ALL_EXCEPTIONS));
  e.fallbackUnless(i32.eq(masks, i32.const(ALL_EXCEPTIONS)));
  const set = i64.or(i64.and(word, i64.const(CONTROL_BITS)), i64.const(CONTROL_ALWAYS));
  e.setState(16, STATE.X87_CONTROL, set);
};

const storeWord =
  (offset: number): Translation =>
  (e, instruction) => {
    const word = e.let(i64.load16U(zero, offset));
    if (!isInMemory(instruction)) e.setRegister(RAX, 16, word);
    else e.write(memory(16), word);
  };

export const storeControlWord = storeWord(STATE.X87_CONTROL);
export const storeStatusWord = storeWord(STATE.X87_STATUS);
