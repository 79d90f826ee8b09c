/**
 * 128-bit vectors as expressions (Core Specification §5.4.5, opcodes with the prefix FD), under the
 * names that WebAssembly has for them.
 */
import { unsignedLeb } from "./encoding.ts";
import {
  type Expression,
  type F64,
  type I32,
  type I64,
  operation,
  type V128,
  type ValueType,
} from "./expression.ts";

const simd = <Type extends ValueType>(
  type: Type,
  opcode: number,
  operands: readonly Expression[],
  immediates: readonly number[] = [],
): Expression<Type> => operation(type, 0xfd, operands, [...unsignedLeb(opcode), ...immediates]);

type Unary = (a: V128) => V128;
type Binary = (a: V128, b: V128) => V128;

const unary =
  (opcode: number): Unary =>
  (a) =>
    simd("v128", opcode, [a]);

const binary =
  (opcode: number): Binary =>
  (a, b) =>
    simd("v128", opcode, [a, b]);

/** A question about all lanes. */
const question =
  (opcode: number) =>
  (a: V128): I32 =>
    simd("i32", opcode, [a]);

/** Counts are taken modulo the width of a lane. */
const shift =
  (opcode: number) =>
  (a: V128, count: I32): V128 =>
    simd("v128", opcode, [a, count]);

const splat =
  <Type extends ValueType>(opcode: number) =>
  (value: Expression<Type>): V128 =>
    simd("v128", opcode, [value]);

const extractLane =
  <Type extends ValueType>(type: Type, opcode: number) =>
  (a: V128, lane: number): Expression<Type> =>
    simd(type, opcode, [a], [lane]);

const replaceLane =
  <Type extends ValueType>(opcode: number) =>
  (a: V128, lane: number, value: Expression<Type>): V128 =>
    simd("v128", opcode, [a, value], [lane]);

const load =
  (opcode: number) =>
  (address: I32, offset = 0): V128 =>
    simd("v128", opcode, [address], [0, ...unsignedLeb(offset)]);

function byteOf(value: number | bigint, at: number): number {
  if (typeof value === "bigint") return Number((value >> BigInt(8 * at)) & 0xffn);
  const half = at < 4 ? value : Math.floor(value / 2 ** 32);
  return (half >> (8 * (at & 3))) & 0xff;
}

/** A vector of lanes of `bits`, repeated if there are fewer than fill it. */
const constant =
  (bits: number) =>
  (...lanes: readonly (number | bigint)[]): V128 => {
    const size = bits / 8;
    const bytes: number[] = [];
    for (let at = 0; at < 16; at++) {
      bytes.push(byteOf(lanes[Math.floor(at / size) % lanes.length] ?? 0, at % size));
    }
    return simd("v128", 12, [], bytes);
  };

export const v128 = {
  load: load(0),
  /** 32 or 64 bits, and zeros above. */
  load32Zero: load(92),
  load64Zero: load(93),
  and: binary(78),
  /** `a & ~b` */
  andnot: binary(79),
  or: binary(80),
  xor: binary(81),
  /** Bits of `a` where the mask has ones, else of `b`. */
  bitselect: (a: V128, b: V128, mask: V128): V128 => simd("v128", 82, [a, b, mask]),
  anyTrue: question(83),
} as const;

export const i8x16 = {
  const: constant(8),
  /** Bytes 0 to 15 of `a`, 16 to 31 of `b`. */
  shuffle: (a: V128, b: V128, lanes: readonly number[]): V128 => simd("v128", 13, [a, b], lanes),
  /** Bytes of `a` by index; indices over 15 give 0. */
  swizzle: binary(14),
  splat: splat<"i32">(15),
  extractLaneU: extractLane("i32", 22),
  replaceLane: replaceLane<"i32">(23),
  eq: binary(35),
  gtS: binary(39),
  abs: unary(96),
  bitmask: question(100),
  /** Lanes of both narrowed with saturation, those of `a` first. */
  narrowS: binary(101),
  narrowU: binary(102),
  shrU: shift(109),
  add: binary(110),
  addSatS: binary(111),
  addSatU: binary(112),
  sub: binary(113),
  subSatS: binary(114),
  subSatU: binary(115),
  minS: binary(118),
  minU: binary(119),
  maxS: binary(120),
  maxU: binary(121),
  avgrU: binary(123),
} as const;

export const i16x8 = {
  const: constant(16),
  splat: splat<"i32">(16),
  extractLaneU: extractLane("i32", 25),
  replaceLane: replaceLane<"i32">(26),
  eq: binary(45),
  gtS: binary(49),
  extaddPairwiseU: unary(125),
  abs: unary(128),
  q15mulrSatS: binary(130),
  bitmask: question(132),
  narrowS: binary(133),
  narrowU: binary(134),
  extendLowS: unary(135),
  extendLowU: unary(137),
  shl: shift(139),
  shrS: shift(140),
  shrU: shift(141),
  add: binary(142),
  addSatS: binary(143),
  addSatU: binary(144),
  sub: binary(145),
  subSatS: binary(146),
  subSatU: binary(147),
  mul: binary(149),
  minS: binary(150),
  minU: binary(151),
  maxS: binary(152),
  maxU: binary(153),
  avgrU: binary(155),
} as const;

export const i32x4 = {
  const: constant(32),
  splat: splat<"i32">(17),
  extractLane: extractLane("i32", 27),
  replaceLane: replaceLane<"i32">(28),
  eq: binary(55),
  gtS: binary(59),
  extaddPairwiseU: unary(127),
  abs: unary(160),
  allTrue: question(163),
  bitmask: question(164),
  extendLowS: unary(167),
  extendLowU: unary(169),
  shl: shift(171),
  shrS: shift(172),
  shrU: shift(173),
  add: binary(174),
  sub: binary(177),
  mul: binary(181),
  minS: binary(182),
  minU: binary(183),
  maxS: binary(184),
  maxU: binary(185),
  dotS: binary(186),
  /** Products, twice as wide, of the low and of the high halves. */
  extmulLowS: binary(188),
  extmulHighS: binary(189),
  extmulLowU: binary(190),
  extmulHighU: binary(191),
  truncSatF32x4: unary(248),
  truncSatF64x2Zero: unary(252),
} as const;

export const i64x2 = {
  const: constant(64),
  splat: splat<"i64">(18),
  extractLane: extractLane("i64", 29),
  replaceLane: replaceLane<"i64">(30),
  bitmask: question(196),
  extendLowS: unary(199),
  extendLowU: unary(201),
  shl: shift(203),
  shrU: shift(205),
  add: binary(206),
  sub: binary(209),
  eq: binary(214),
  gtS: binary(217),
  /** Products of the low and of the high 32-bit lanes. */
  extmulLowS: binary(220),
  extmulLowU: binary(222),
  extmulHighU: binary(223),
} as const;

export const f32x4 = {
  splat: splat<"f32">(19),
  extractLane: extractLane("f32", 31),
  replaceLane: replaceLane<"f32">(32),
  eq: binary(65),
  lt: binary(67),
  gt: binary(68),
  le: binary(69),
  ge: binary(70),
  demoteF64x2Zero: unary(94),
  ceil: unary(103),
  floor: unary(104),
  trunc: unary(105),
  nearest: unary(106),
  abs: unary(224),
  neg: unary(225),
  sqrt: unary(227),
  add: binary(228),
  sub: binary(229),
  mul: binary(230),
  div: binary(231),
  /** `b < a ? b : a` */
  pmin: binary(234),
  /** `a < b ? b : a` */
  pmax: binary(235),
  convertI32x4: unary(250),
} as const;

export const f64x2 = {
  splat: splat<"f64">(20),
  extractLane: extractLane("f64", 33),
  replaceLane: replaceLane<"f64">(34),
  eq: binary(71),
  lt: binary(73),
  gt: binary(74),
  le: binary(75),
  ge: binary(76),
  promoteLowF32x4: unary(95),
  ceil: unary(116),
  floor: unary(117),
  trunc: unary(122),
  nearest: unary(148),
  abs: unary(236),
  neg: unary(237),
  sqrt: unary(239),
  add: binary(240),
  sub: binary(241),
  mul: binary(242),
  div: binary(243),
  pmin: binary(246),
  pmax: binary(247),
  convertLowI32x4: unary(254),
} as const;

/** Lanes of floating point: both formats have the same operations. */
export type FloatLanes = typeof f32x4 | typeof f64x2;

/** Floating-point numbers and integers of the same size, and conversions. */
const convert =
  <From extends ValueType, To extends ValueType>(
    type: To,
    opcode: number,
    immediates?: readonly number[],
  ) =>
  (a: Expression<From>): Expression<To> =>
    operation(type, opcode, [a], immediates);

export const f32 = {
  convertI64S: convert<"i64", "f32">("f32", 0xb4),
} as const;

export const f64 = {
  eq: (a: F64, b: F64): I32 => operation("i32", 0x61, [a, b]),
  sqrt: (a: F64): F64 => operation("f64", 0x9f, [a]),
  convertI64S: convert<"i64", "f64">("f64", 0xb9),
  convertI64U: convert<"i64", "f64">("f64", 0xba),
  promote: convert<"f32", "f64">("f64", 0xbb),
} as const;

/** Saturating, and 0 for NaN. */
export const truncSatF64S: (a: F64) => I64 = convert<"f64", "i64">("i64", 0xfc, [6]);
