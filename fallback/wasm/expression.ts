/**
 * WebAssembly expressions as values: each knows its type and how to append its own code. A tree is
 * used once; what is needed twice goes through a local (`FunctionBuilder.let`).
 */
import { type ByteSink, pushSigned, pushUnsigned } from "./encoding.ts";

export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

export interface Expression<Type extends ValueType = ValueType> {
  readonly type: Type;
  /** Its value as a signed number, where that is known now. */
  readonly constant?: bigint | undefined;
  /** Of an i64: how many of its low bits may be other than zero; undefined if all may. */
  readonly width?: number | undefined;
  /**
   * Of an i64: how many bytes it is above what somebody calls a frame, and has marked an expression
   * as; undefined if that is not known, null if a variable has not been set.
   */
  readonly frame?: number | null | undefined;
  emit(code: ByteSink): void;
}

export type I32 = Expression<"i32">;
export type I64 = Expression<"i64">;
export type F32 = Expression<"f32">;
export type F64 = Expression<"f64">;
export type V128 = Expression<"v128">;

/** An operator over operands: their code, then its own. */
export function operation<Type extends ValueType>(
  type: Type,
  opcode: readonly number[],
  operands: readonly Expression[],
  immediates: readonly number[] = [],
): Expression<Type> {
  return {
    type,
    emit(code) {
      for (const operand of operands) operand.emit(code);
      code.append(opcode);
      code.append(immediates);
    },
  };
}

class Constant<Type extends "i32" | "i64"> implements Expression<Type> {
  readonly type: Type;
  readonly constant: bigint;
  readonly width: number | undefined;

  constructor(type: Type, value: bigint) {
    this.type = type;
    this.constant = value;
    this.width = value < 0n ? undefined : value.toString(2).length;
  }

  emit(code: ByteSink): void {
    code.push(this.type === "i32" ? 0x41 : 0x42);
    pushSigned(code, this.constant);
  }
}

const constant = <Type extends "i32" | "i64">(type: Type, value: bigint): Constant<Type> =>
  new Constant(type, BigInt.asIntN(type === "i32" ? 32 : 64, value));

class UnaryOperation<To extends ValueType> implements Expression<To> {
  readonly type: To;
  readonly width: number | undefined;
  readonly #opcode: number;
  readonly #a: Expression;

  constructor(type: To, opcode: number, a: Expression, width?: number) {
    this.type = type;
    this.width = width;
    this.#opcode = opcode;
    this.#a = a;
  }

  emit(code: ByteSink): void {
    this.#a.emit(code);
    code.push(this.#opcode);
  }
}

class BinaryOperation<To extends ValueType> implements Expression<To> {
  readonly type: To;
  readonly width: number | undefined;
  readonly frame: number | undefined;
  readonly #opcode: number;
  readonly #a: Expression;
  readonly #b: Expression;

  constructor(
    type: To,
    opcode: number,
    a: Expression,
    b: Expression,
    width?: number,
    frame?: number,
  ) {
    this.type = type;
    this.width = width;
    this.frame = frame;
    this.#opcode = opcode;
    this.#a = a;
    this.#b = b;
  }

  emit(code: ByteSink): void {
    this.#a.emit(code);
    this.#b.emit(code);
    code.push(this.#opcode);
  }
}

type Unary<From extends ValueType, To extends ValueType> = (a: Expression<From>) => Expression<To>;
type Binary<From extends ValueType, To extends ValueType> = (
  a: Expression<From>,
  b: Expression<From>,
) => Expression<To>;

/** @param fold the result for a constant, if that is worth computing now */
const unary =
  <From extends ValueType, To extends "i32" | "i64">(
    type: To,
    opcode: number,
    fold?: (a: bigint) => bigint,
    width?: number,
  ): Unary<From, To> =>
  (a) => {
    if (a.constant === undefined || fold === undefined) {
      return new UnaryOperation(type, opcode, a, width);
    }
    return constant(type, fold(a.constant));
  };

const binary =
  <From extends ValueType, To extends "i32" | "i64">(
    type: To,
    opcode: number,
    fold?: (a: bigint, b: bigint) => bigint,
  ): Binary<From, To> =>
  (a, b) => {
    if (a.constant === undefined || b.constant === undefined || fold === undefined) {
      return new BinaryOperation(type, opcode, a, b);
    }
    return constant(type, fold(a.constant, b.constant));
  };

type Width = (a: Expression, b: Expression) => number | undefined;

/** The distance from a frame that adding or subtracting a constant leads to. */
const moved =
  (sign: 1 | -1) =>
  (a: Expression, b: Expression): number | undefined =>
    typeof a.frame === "number" && b.constant !== undefined
      ? a.frame + sign * Number(b.constant)
      : undefined;

/**
 * An operation that a constant on the right may leave without effect.
 * @param width of the result, where less is known than that of its type
 * @param frame of the result, where it is known
 */
const binaryWith =
  <Type extends "i32" | "i64">(
    type: Type,
    opcode: number,
    neutral: bigint,
    fold: (a: bigint, b: bigint) => bigint,
    width: Width = () => undefined,
    frame: Width = () => undefined,
  ): Binary<Type, Type> =>
  (a, b) => {
    const known = a.constant !== undefined && b.constant !== undefined;
    if (b.constant === neutral) return a;
    if (known) return constant(type, fold(a.constant as bigint, b.constant as bigint));
    return new BinaryOperation(type, opcode, a, b, width(a, b), frame(a, b));
  };

const WORD_BITS = 64;
const widthOf = (value: Expression): number => value.width ?? WORD_BITS;
const smaller: Width = (a, b) => Math.min(widthOf(a), widthOf(b));
const larger: Width = (a, b) => Math.max(widthOf(a), widthOf(b));
const plusOne: Width = (a, b) => Math.min(WORD_BITS, Math.max(widthOf(a), widthOf(b)) + 1);
const shiftedBy =
  (direction: 1 | -1): Width =>
  (a, b) => {
    if (b.constant === undefined) return direction < 0 ? widthOf(a) : undefined;
    const shifted = widthOf(a) + direction * Number(count(b.constant));
    return Math.max(0, Math.min(WORD_BITS, shifted));
  };

/** Load and store take a static offset that costs nothing. */
const load =
  <Type extends ValueType>(type: Type, opcode: number) =>
  (address: I32, offset = 0): Expression<Type> =>
    new Load(type, opcode, address, offset);

/** Of loads that zero-extend. */
const LOADED_WIDTH: Readonly<Record<number, number>> = { 49: 8, 51: 16, 53: 32 };

class Load<Type extends ValueType> implements Expression<Type> {
  readonly type: Type;
  readonly width: number | undefined;
  readonly #opcode: number;
  readonly #address: I32;
  readonly #offset: number;

  constructor(type: Type, opcode: number, address: I32, offset: number) {
    this.type = type;
    this.width = LOADED_WIDTH[opcode];
    this.#opcode = opcode;
    this.#address = address;
    this.#offset = offset;
  }

  emit(code: ByteSink): void {
    this.#address.emit(code);
    code.push(this.#opcode);
    code.push(0);
    pushUnsigned(code, this.#offset);
  }
}

const truth = (value: boolean): bigint => (value ? 1n : 0n);
const unsigned = (value: bigint): bigint => BigInt.asUintN(64, value);
const count = (value: bigint): bigint => value & 63n;

export const i32 = {
  const: (value: number): I32 => constant("i32", BigInt(value | 0)),
  eqz: unary<"i32", "i32">("i32", 0x45, (a) => truth(a === 0n)),
  eq: binary<"i32", "i32">("i32", 0x46),
  ne: binary<"i32", "i32">("i32", 0x47),
  ltS: binary<"i32", "i32">("i32", 0x48),
  ltU: binary<"i32", "i32">("i32", 0x49),
  gtS: binary<"i32", "i32">("i32", 0x4a),
  gtU: binary<"i32", "i32">("i32", 0x4b),
  leS: binary<"i32", "i32">("i32", 0x4c),
  leU: binary<"i32", "i32">("i32", 0x4d),
  geS: binary<"i32", "i32">("i32", 0x4e),
  geU: binary<"i32", "i32">("i32", 0x4f),
  clz: unary<"i32", "i32">("i32", 0x67),
  ctz: unary<"i32", "i32">("i32", 0x68),
  popcnt: unary<"i32", "i32">("i32", 0x69),
  add: binaryWith("i32", 0x6a, 0n, (a, b) => a + b),
  sub: binaryWith("i32", 0x6b, 0n, (a, b) => a - b),
  mul: binary<"i32", "i32">("i32", 0x6c),
  and: binaryWith("i32", 0x71, -1n, (a, b) => a & b),
  or: binaryWith("i32", 0x72, 0n, (a, b) => a | b),
  xor: binaryWith("i32", 0x73, 0n, (a, b) => a ^ b),
  shl: binary<"i32", "i32">("i32", 0x74),
  shrS: binary<"i32", "i32">("i32", 0x75),
  shrU: binary<"i32", "i32">("i32", 0x76),
  rotl: binary<"i32", "i32">("i32", 0x77),
  wrap: unary<"i64", "i32">("i32", 0xa7, (a) => a),
  load: load("i32", 0x28),
  load8U: load("i32", 0x2d),
  load16U: load("i32", 0x2f),
} as const;

const LOW_HALF = 0xffff_ffffn;
const and64 = binaryWith<"i64">("i64", 0x83, -1n, (a, b) => a & b, smaller);
/** In two bytes, where a mask takes seven. */
const lowHalf = (a: I64): I64 => i64.extendU(i32.wrap(a));

export const i64 = {
  const: (value: number | bigint): I64 => constant("i64", BigInt(value)),
  eqz: unary<"i64", "i32">("i32", 0x50, (a) => truth(a === 0n)),
  eq: binary<"i64", "i32">("i32", 0x51, (a, b) => truth(a === b)),
  ne: binary<"i64", "i32">("i32", 0x52, (a, b) => truth(a !== b)),
  ltS: binary<"i64", "i32">("i32", 0x53, (a, b) => truth(a < b)),
  ltU: binary<"i64", "i32">("i32", 0x54, (a, b) => truth(unsigned(a) < unsigned(b))),
  gtS: binary<"i64", "i32">("i32", 0x55, (a, b) => truth(a > b)),
  gtU: binary<"i64", "i32">("i32", 0x56, (a, b) => truth(unsigned(a) > unsigned(b))),
  leS: binary<"i64", "i32">("i32", 0x57, (a, b) => truth(a <= b)),
  leU: binary<"i64", "i32">("i32", 0x58, (a, b) => truth(unsigned(a) <= unsigned(b))),
  geS: binary<"i64", "i32">("i32", 0x59, (a, b) => truth(a >= b)),
  geU: binary<"i64", "i32">("i32", 0x5a, (a, b) => truth(unsigned(a) >= unsigned(b))),
  clz: unary<"i64", "i64">("i64", 0x79),
  ctz: unary<"i64", "i64">("i64", 0x7a),
  popcnt: unary<"i64", "i64">("i64", 0x7b),
  add: binaryWith("i64", 0x7c, 0n, (a, b) => a + b, plusOne, moved(1)),
  sub: binaryWith(
    "i64",
    0x7d,
    0n,
    (a, b) => a - b,
    () => undefined,
    moved(-1),
  ),
  mul: binary<"i64", "i64">("i64", 0x7e),
  divS: binary<"i64", "i64">("i64", 0x7f),
  divU: binary<"i64", "i64">("i64", 0x80),
  remS: binary<"i64", "i64">("i64", 0x81),
  remU: binary<"i64", "i64">("i64", 0x82),
  and: (a: I64, b: I64): I64 =>
    b.constant === LOW_HALF && a.constant === undefined ? lowHalf(a) : and64(a, b),
  or: binaryWith("i64", 0x84, 0n, (a, b) => a | b, larger),
  xor: binaryWith("i64", 0x85, 0n, (a, b) => a ^ b, larger),
  shl: binaryWith("i64", 0x86, 0n, (a, b) => a << count(b), shiftedBy(1)),
  shrS: binaryWith("i64", 0x87, 0n, (a, b) => a >> count(b)),
  shrU: binaryWith("i64", 0x88, 0n, (a, b) => unsigned(a) >> count(b), shiftedBy(-1)),
  rotl: binary<"i64", "i64">("i64", 0x89),
  rotr: binary<"i64", "i64">("i64", 0x8a),
  extendS: unary<"i32", "i64">("i64", 0xac, (a) => a),
  extendU: unary<"i32", "i64">("i64", 0xad, (a) => BigInt.asUintN(32, a), 32),
  extend8S: unary<"i64", "i64">("i64", 0xc2, (a) => BigInt.asIntN(8, a)),
  extend16S: unary<"i64", "i64">("i64", 0xc3, (a) => BigInt.asIntN(16, a)),
  extend32S: unary<"i64", "i64">("i64", 0xc4, (a) => BigInt.asIntN(32, a)),
  reinterpretF64: (a: F64): I64 => new UnaryOperation("i64", 0xbd, a),
  load: load("i64", 0x29),
  load8U: load("i64", 0x31),
  load16U: load("i64", 0x33),
  load32S: load("i64", 0x34),
  load32U: load("i64", 0x35),
} as const;

/** `condition ? a : b`, both evaluated. */
export const select = <Type extends ValueType>(
  condition: I32,
  a: Expression<Type>,
  b: Expression<Type>,
): Expression<Type> => {
  if (condition.constant !== undefined) return condition.constant === 0n ? b : a;
  return operation(a.type, [0x1b], [a, b, condition]);
};
