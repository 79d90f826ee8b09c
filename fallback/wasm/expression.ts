/**
 * WebAssembly expressions as values: each knows its type and how to append its own code. A tree is
 * used once; what is needed twice goes through a local (`FunctionBuilder.let`).
 */
import { signedLeb, unsignedLeb } from "./encoding.ts";

export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

export interface Expression<Type extends ValueType = ValueType> {
  readonly type: Type;
  emit(code: number[]): void;
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
      code.push(...opcode, ...immediates);
    },
  };
}

type Unary<From extends ValueType, To extends ValueType> = (a: Expression<From>) => Expression<To>;
type Binary<From extends ValueType, To extends ValueType> = (
  a: Expression<From>,
  b: Expression<From>,
) => Expression<To>;

const unary =
  <From extends ValueType, To extends ValueType>(type: To, opcode: number): Unary<From, To> =>
  (a) =>
    operation(type, [opcode], [a]);

const binary =
  <From extends ValueType, To extends ValueType>(type: To, opcode: number): Binary<From, To> =>
  (a, b) =>
    operation(type, [opcode], [a, b]);

/** Load and store take a static offset that costs nothing. */
const load =
  <Type extends ValueType>(type: Type, opcode: number) =>
  (address: I32, offset = 0): Expression<Type> =>
    operation(type, [opcode], [address], [0, ...unsignedLeb(offset)]);

export const i32 = {
  const: (value: number): I32 => operation("i32", [0x41], [], signedLeb(BigInt(value | 0))),
  eqz: unary<"i32", "i32">("i32", 0x45),
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
  add: binary<"i32", "i32">("i32", 0x6a),
  sub: binary<"i32", "i32">("i32", 0x6b),
  mul: binary<"i32", "i32">("i32", 0x6c),
  and: binary<"i32", "i32">("i32", 0x71),
  or: binary<"i32", "i32">("i32", 0x72),
  xor: binary<"i32", "i32">("i32", 0x73),
  shl: binary<"i32", "i32">("i32", 0x74),
  shrS: binary<"i32", "i32">("i32", 0x75),
  shrU: binary<"i32", "i32">("i32", 0x76),
  rotl: binary<"i32", "i32">("i32", 0x77),
  wrap: unary<"i64", "i32">("i32", 0xa7),
  load: load("i32", 0x28),
  load8U: load("i32", 0x2d),
  load16U: load("i32", 0x2f),
} as const;

export const i64 = {
  const: (value: number | bigint): I64 =>
    operation("i64", [0x42], [], signedLeb(BigInt.asIntN(64, BigInt(value)))),
  eqz: unary<"i64", "i32">("i32", 0x50),
  eq: binary<"i64", "i32">("i32", 0x51),
  ne: binary<"i64", "i32">("i32", 0x52),
  ltS: binary<"i64", "i32">("i32", 0x53),
  ltU: binary<"i64", "i32">("i32", 0x54),
  gtS: binary<"i64", "i32">("i32", 0x55),
  gtU: binary<"i64", "i32">("i32", 0x56),
  leS: binary<"i64", "i32">("i32", 0x57),
  leU: binary<"i64", "i32">("i32", 0x58),
  geS: binary<"i64", "i32">("i32", 0x59),
  geU: binary<"i64", "i32">("i32", 0x5a),
  clz: unary<"i64", "i64">("i64", 0x79),
  ctz: unary<"i64", "i64">("i64", 0x7a),
  popcnt: unary<"i64", "i64">("i64", 0x7b),
  add: binary<"i64", "i64">("i64", 0x7c),
  sub: binary<"i64", "i64">("i64", 0x7d),
  mul: binary<"i64", "i64">("i64", 0x7e),
  divS: binary<"i64", "i64">("i64", 0x7f),
  divU: binary<"i64", "i64">("i64", 0x80),
  remS: binary<"i64", "i64">("i64", 0x81),
  remU: binary<"i64", "i64">("i64", 0x82),
  and: binary<"i64", "i64">("i64", 0x83),
  or: binary<"i64", "i64">("i64", 0x84),
  xor: binary<"i64", "i64">("i64", 0x85),
  shl: binary<"i64", "i64">("i64", 0x86),
  shrS: binary<"i64", "i64">("i64", 0x87),
  shrU: binary<"i64", "i64">("i64", 0x88),
  rotl: binary<"i64", "i64">("i64", 0x89),
  rotr: binary<"i64", "i64">("i64", 0x8a),
  extendS: unary<"i32", "i64">("i64", 0xac),
  extendU: unary<"i32", "i64">("i64", 0xad),
  extend8S: unary<"i64", "i64">("i64", 0xc2),
  extend16S: unary<"i64", "i64">("i64", 0xc3),
  extend32S: unary<"i64", "i64">("i64", 0xc4),
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
): Expression<Type> => operation(a.type, [0x1b], [a, b, condition]);
