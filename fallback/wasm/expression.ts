/**
 * WebAssembly expressions as values: each knows its type and how to append its own code. A tree is
 * used once; what is needed twice goes through a local (`FunctionBuilder.let`).
 */
import { type ByteSink, pushSigned, pushUnsigned } from "./encoding.ts";

export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

/** Numbers do not have all values of an i64. */
type ConstantOf<Type extends ValueType> = Type extends "i32"
  ? number
  : Type extends "i64"
    ? bigint
    : never;

const LOCAL_GET = 0x20;
const I32_CONST = 0x41;
const I64_CONST = 0x42;

/**
 * All have the same fields, which many do not need: most of a guest's translation is done before V8 has
 * optimised it, and until then each more kind of object makes everything slower that looks at expressions.
 */
export class Expression<Type extends ValueType = ValueType> {
  readonly type: Type;
  /** Its value as a signed number, where that is known now. */
  readonly constant: ConstantOf<Type> | undefined;
  /** Of an i64: how many of its low bits may be other than zero; undefined if all may. */
  readonly width: number | undefined;
  /**
   * Of an i64: how many bytes it is above what somebody calls a frame, and has marked an expression
   * as; undefined if that is not known, null if a variable has not been set.
   */
  readonly frame: number | null | undefined;
  /** Of a variable; negative for a constant that stands for one. */
  readonly index: number | undefined;
  protected readonly opcode: number;
  protected readonly a: Expression | undefined;
  protected readonly b: Expression | undefined;
  /** Operands behind these two. */
  protected readonly others: readonly Expression[] | undefined;
  /** What is encoded behind the opcode: bytes, or the offset of a load. */
  protected readonly immediate: readonly number[] | number | undefined;

  constructor(
    type: Type,
    opcode: number,
    a?: Expression,
    b?: Expression,
    width?: number,
    frame?: number | null,
    constant?: ConstantOf<Type>,
    index?: number,
    immediate?: readonly number[] | number,
    others?: readonly Expression[],
  ) {
    this.type = type;
    this.opcode = opcode;
    this.a = a;
    this.b = b;
    this.width = width;
    this.frame = frame;
    this.constant = constant;
    this.index = index;
    this.immediate = immediate;
    this.others = others;
  }

  emit(code: ByteSink): void {
    this.a?.emit(code);
    this.b?.emit(code);
    if (this.others !== undefined) for (const operand of this.others) operand.emit(code);
    const { opcode, constant, immediate } = this;
    if (opcode === LOCAL_GET) {
      code.getVariable(this.index as number);
      return;
    }
    code.push(opcode);
    if (constant !== undefined) pushSigned(code, constant);
    else if (typeof immediate === "number") {
      code.push(0);
      pushUnsigned(code, immediate);
    } else if (immediate !== undefined) code.append(immediate);
  }
}

export type I32 = Expression<"i32">;
export type I64 = Expression<"i64">;
export type F32 = Expression<"f32">;
export type F64 = Expression<"f64">;
export type V128 = Expression<"v128">;

const none = undefined;

/** An operator over operands: their code, then its own. @param immediates bytes behind the opcode */
export const operation = <Type extends ValueType>(
  type: Type,
  opcode: number,
  operands: readonly Expression[],
  immediates?: readonly number[],
): Expression<Type> =>
  new Expression(type, opcode, none, none, none, none, none, none, immediates, operands);

/** A variable, and what is known of its value. */
export const variable = <Type extends ValueType>(
  type: Type,
  index: number,
  width?: number,
  frame?: number | null,
): Expression<Type> => new Expression(type, LOCAL_GET, none, none, width, frame, none, index);

const constant32 = (value: number, index?: number): I32 =>
  new Expression("i32", I32_CONST, none, none, none, none, value | 0, index);

function constant64(value: bigint, index?: number): I64 {
  const signed = BigInt.asIntN(64, value);
  return new Expression("i64", I64_CONST, none, none, bitsOf(signed), none, signed, index);
}

/** How many bits there are up to the highest that is set; undefined for a number below zero. */
function bitsOf(value: bigint): number | undefined {
  if (value < 0n) return undefined;
  const low = Number(value);
  if (low < 2 ** 32) return Math.max(1, 32 - Math.clz32(low));
  return 64 - Math.clz32(Number(value >> 32n));
}

const constantOf = <Type extends ValueType>(
  value: number | bigint,
  index?: number,
): Expression<Type> => {
  const made = typeof value === "number" ? constant32(value, index) : constant64(value, index);
  return made as Expression as Expression<Type>;
};

/** A constant that stands for a variable. */
export const constantVariable = <Type extends ValueType>(
  constant: ConstantOf<Type>,
): Expression<Type> => constantOf<Type>(constant, -1);

/** Constants from 0 on that are needed again and again. */
const FEW = 256;
const few32: I32[] = Array.from({ length: FEW }, (_, value) => constant32(value));
const few64: I64[] = Array.from({ length: FEW }, (_, value) => constant64(BigInt(value)));

type Integer = "i32" | "i64";
type Unary<From extends ValueType, To extends ValueType> = (a: Expression<From>) => Expression<To>;
type Binary<From extends ValueType, To extends ValueType> = (
  a: Expression<From>,
  b: Expression<From>,
) => Expression<To>;
/** The result for constants, cut to its type by others. */
type Fold<From extends Integer, To extends Integer> = (
  a: ConstantOf<From>,
  b: ConstantOf<From>,
) => ConstantOf<To>;

/** @param fold the result for a constant, if that is worth computing now */
const unary =
  <From extends Integer, To extends Integer>(
    type: To,
    opcode: number,
    fold?: (a: ConstantOf<From>) => ConstantOf<To>,
    width?: number,
  ): Unary<From, To> =>
  (a) =>
    a.constant === undefined || fold === undefined
      ? new Expression(type, opcode, a, none, width)
      : constantOf<To>(fold(a.constant));

const binary =
  <From extends Integer, To extends Integer>(
    type: To,
    opcode: number,
    fold?: Fold<From, To>,
  ): Binary<From, To> =>
  (a, b) =>
    a.constant === undefined || b.constant === undefined || fold === undefined
      ? new Expression(type, opcode, a, b)
      : constantOf<To>(fold(a.constant, b.constant));

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
  <Type extends Integer>(
    type: Type,
    opcode: number,
    neutral: ConstantOf<Type>,
    fold: Fold<Type, Type>,
    width?: Width,
    frame?: Width,
  ): Binary<Type, Type> =>
  (a, b) => {
    if (b.constant === neutral) return a;
    if (a.constant !== undefined && b.constant !== undefined) {
      return constantOf<Type>(fold(a.constant, b.constant));
    }
    return new Expression(type, opcode, a, b, width?.(a, b), frame?.(a, b));
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
    const shifted = widthOf(a) + direction * (Number(b.constant) & (WORD_BITS - 1));
    return Math.max(0, Math.min(WORD_BITS, shifted));
  };

/** Load and store take a static offset that costs nothing. @param width of what is zero-extended */
const load =
  <Type extends ValueType>(type: Type, opcode: number, width?: number) =>
  (address: I32, offset = 0): Expression<Type> =>
    new Expression(type, opcode, address, none, width, none, none, none, offset);

const truth = (value: boolean): number => (value ? 1 : 0);
const unsigned = (value: bigint): bigint => BigInt.asUintN(64, value);
const count = (value: bigint): bigint => value & 63n;

export const i32 = {
  const: (value: number): I32 => few32[value] ?? constant32(value),
  eqz: unary<"i32", "i32">("i32", 0x45, (a) => truth(a === 0)),
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
  add: binaryWith<"i32">("i32", 0x6a, 0, (a, b) => a + b),
  sub: binaryWith<"i32">("i32", 0x6b, 0, (a, b) => a - b),
  mul: binary<"i32", "i32">("i32", 0x6c),
  and: binaryWith<"i32">("i32", 0x71, -1, (a, b) => a & b),
  or: binaryWith<"i32">("i32", 0x72, 0, (a, b) => a | b),
  xor: binaryWith<"i32">("i32", 0x73, 0, (a, b) => a ^ b),
  shl: binary<"i32", "i32">("i32", 0x74),
  shrS: binary<"i32", "i32">("i32", 0x75),
  shrU: binary<"i32", "i32">("i32", 0x76),
  rotl: binary<"i32", "i32">("i32", 0x77),
  wrap: unary<"i64", "i32">("i32", 0xa7, (a) => Number(BigInt.asIntN(32, a))),
  load: load("i32", 0x28),
  load8U: load("i32", 0x2d),
  load16U: load("i32", 0x2f),
} as const;

const LOW_HALF = 0xffff_ffffn;
const and64 = binaryWith<"i64">("i64", 0x83, -1n, (a, b) => a & b, smaller);
/** The lower 32 bits: in two bytes, where a mask takes seven. */
export const lowHalf = (a: I64): I64 => i64.extendU(i32.wrap(a));

export const i64 = {
  const: (value: number | bigint): I64 =>
    typeof value === "number" ? (few64[value] ?? constant64(BigInt(value))) : constant64(value),
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
  add: binaryWith<"i64">("i64", 0x7c, 0n, (a, b) => a + b, plusOne, moved(1)),
  sub: binaryWith<"i64">("i64", 0x7d, 0n, (a, b) => a - b, undefined, moved(-1)),
  mul: binary<"i64", "i64">("i64", 0x7e),
  divS: binary<"i64", "i64">("i64", 0x7f),
  divU: binary<"i64", "i64">("i64", 0x80),
  remS: binary<"i64", "i64">("i64", 0x81),
  remU: binary<"i64", "i64">("i64", 0x82),
  and: (a: I64, b: I64): I64 =>
    b.constant === LOW_HALF && a.constant === undefined ? lowHalf(a) : and64(a, b),
  or: binaryWith<"i64">("i64", 0x84, 0n, (a, b) => a | b, larger),
  xor: binaryWith<"i64">("i64", 0x85, 0n, (a, b) => a ^ b, larger),
  shl: binaryWith<"i64">("i64", 0x86, 0n, (a, b) => a << count(b), shiftedBy(1)),
  shrS: binaryWith<"i64">("i64", 0x87, 0n, (a, b) => a >> count(b)),
  shrU: binaryWith<"i64">("i64", 0x88, 0n, (a, b) => unsigned(a) >> count(b), shiftedBy(-1)),
  rotl: binary<"i64", "i64">("i64", 0x89),
  rotr: binary<"i64", "i64">("i64", 0x8a),
  extendS: unary<"i32", "i64">("i64", 0xac, (a) => BigInt(a)),
  extendU: unary<"i32", "i64">("i64", 0xad, (a) => BigInt(a >>> 0), 32),
  extend8S: unary<"i64", "i64">("i64", 0xc2, (a) => BigInt.asIntN(8, a)),
  extend16S: unary<"i64", "i64">("i64", 0xc3, (a) => BigInt.asIntN(16, a)),
  extend32S: unary<"i64", "i64">("i64", 0xc4, (a) => BigInt.asIntN(32, a)),
  reinterpretF64: (a: F64): I64 => new Expression("i64", 0xbd, a),
  load: load("i64", 0x29),
  load8U: load("i64", 0x31, 8),
  load16U: load("i64", 0x33, 16),
  load32S: load("i64", 0x34),
  load32U: load("i64", 0x35, 32),
} as const;

/** `condition ? a : b`, both evaluated. */
export const select = <Type extends ValueType>(
  condition: I32,
  a: Expression<Type>,
  b: Expression<Type>,
): Expression<Type> => {
  if (condition.constant !== undefined) return condition.constant === 0 ? b : a;
  return operation(a.type, 0x1b, [a, b, condition]);
};
