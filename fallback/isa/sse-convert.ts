/**
 * Conversions between integers and the formats of floating point (Intel SDM vol. 1 §11.4.1.6, and
 * §10.4.1.1 for those with MMX registers).
 */
import type { FloatContext } from "../float/context.ts";
import { BINARY32, BINARY64, type Format } from "../float/format.ts";
import * as exact from "../float/sse.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { type F64, type I32, type I64, i32, i64, type V128 } from "../wasm/expression.ts";
import { f32, f32x4, f64, f64x2, i32x4, i64x2, truncSatF64S, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import {
  type FloatKind,
  isInRange,
  isPlain,
  isZero,
  PD,
  PS,
  SD,
  SS,
  twoTo31,
} from "./float-kind.ts";
import type { Family, Instruction } from "./instruction.ts";
import { beginMmx, endMmx, writeMmx } from "./mmx-state.ts";
import type { Operand } from "./operand.ts";
import {
  elements,
  exactly,
  holds,
  joined,
  readAligned,
  unlessExact,
  unlessOrdinary,
} from "./sse-exact.ts";
import { type Meaning, mapping, type Vector } from "./vector.ts";

/** One element into another, exactly. */
type Conversion = (ctx: FloatContext, element: bigint) => bigint;

const between =
  (from: Format, to: Format): Conversion =>
  (ctx, element) =>
    exact.convert(ctx, from, to, element);

const fromInteger =
  (to: Format, width: number): Conversion =>
  (ctx, element) =>
    exact.convertFromInteger(ctx, to, BigInt.asIntN(width, element));

const toInteger =
  (from: Format, width: number, truncates: boolean): Conversion =>
  (ctx, element) =>
    (truncates ? exact.truncate : exact.convertToInteger)(ctx, from, element, width);

const convertAll = (
  context: ProcedureContext,
  conversion: Conversion,
  source: readonly bigint[],
): bigint[] => exactly(context, (ctx) => source.map((element) => conversion(ctx, element)));

/** Into the low elements of the destination, zeros above if it is wider. */
const converting =
  (conversion: Conversion, from: number, to: number, count: number) =>
  (context: ProcedureContext): void => {
    const source = elements(readAligned(context, 1), from, count);
    context.write(0, joined(convertAll(context, conversion, source), to));
  };

/** The scalar conversions to and from general registers, of 32 or 64 bits. */
const integerWidth = ({ instruction }: ProcedureContext): number =>
  instruction.operandSize === 64 ? 64 : 32;

const MAX_INTEGER = (1n << 63n) - 1n;

/** CVTSI2SS, CVTSI2SD. */
const integerToScalar = (kind: FloatKind): Instruction => ({
  name: `CVTSI2${kind.suffix}`,
  forms: [`${kind.prefix} 0F 2A V${kind.type},Ey`],
  ...(kind === SD ? { hot: true } : {}),
  meaning(e, destination: Operand, source: Operand) {
    const value = e.readSigned(source);
    const result =
      kind === SD
        ? e.let(f64x2.splat(f64.convertI64S(value)))
        : e.let(f32x4.splat(f32.convertI64S(value)));
    if (kind === SS || source.bits === 64) {
      const back = truncSatF64S(
        kind === SD ? f64x2.extractLane(result, 0) : f64.promote(f32x4.extractLane(result, 0)),
      );
      // The largest integer is what saturation gives for its neighbour.
      unlessExact(e, i32.and(i64.eq(back, value), i64.ltS(value, i64.const(MAX_INTEGER))));
    }
    e.writeVector(destination, result);
  },
  procedure(context) {
    const width = integerWidth(context);
    const conversion = fromInteger(kind.format, width);
    converting(conversion, width, kind.bits, 1)(context);
  },
});

/** Whether an integer, from a saturating conversion, is of `bits` and not at its ends. */
const isInside = (integer: I64, bits: number): I32 => {
  const lowest = -(1n << BigInt(bits - 1)) + 1n;
  return i64.ltU(i64.sub(integer, i64.const(lowest)), i64.const((1n << BigInt(bits)) - 2n));
};

/** CVTSS2SI and its like. */
const scalarToInteger = (kind: FloatKind, truncates: boolean): Instruction => ({
  name: `CVT${truncates ? "T" : ""}${kind.suffix}2SI`,
  forms: [`${kind.prefix} 0F ${truncates ? "2C" : "2D"} Gy,W${kind.type}`],
  ...(kind === SD && truncates ? { hot: true } : {}),
  meaning(e, destination: Operand, source: Operand) {
    const vector = e.readVector(source);
    const asDouble = (value: V128): F64 =>
      kind === SD ? f64x2.extractLane(value, 0) : f64.promote(f32x4.extractLane(value, 0));
    const value = e.let(asDouble(vector));
    const rounded = truncates ? value : e.let(asDouble(kind.lanes.nearest(vector)));
    const integer = e.let(truncSatF64S(rounded));
    const isNumber = f64.eq(value, value);
    e.fallbackUnless(i32.and(isInside(integer, destination.bits), isNumber));
    unlessExact(e, f64.eq(f64.convertI64S(integer), value));
    e.write(destination, integer);
  },
  procedure(context) {
    const width = integerWidth(context);
    const conversion = toInteger(kind.format, width, truncates);
    converting(conversion, kind.bits, width, 1)(context);
  },
});

/** CVTSS2SD, CVTPS2PD: nothing is lost. */
const widening = (kind: FloatKind, from: "SS" | "PS", source: string): Instruction => ({
  name: `CVT${from}2${kind.suffix}`,
  forms: [`${from === "SS" ? "F3" : "NP"} 0F 5A V${kind.type},W${source}`],
  meaning(e, destination: Operand, operand: Operand) {
    const value = e.readVector(operand);
    e.fallbackUnless(holds(from === "SS" ? SS : PS, isPlain(PS, value)));
    e.writeVector(destination, f64x2.promoteLowF32x4(value));
  },
  procedure: converting(between(BINARY32, BINARY64), 32, 64, kind.scalar ? 1 : 2),
});

/** CVTSD2SS, CVTPD2PS. */
const narrowing = (kind: FloatKind, to: "SS" | "PS"): Instruction => ({
  name: `CVT${kind.suffix}2${to}`,
  forms: [`${kind.prefix} 0F 5A V${to === "SS" ? "ss" : "x"},W${kind.type}`],
  meaning(e, destination: Operand, operand: Operand) {
    const value = e.readVector(operand);
    const result = e.let(f32x4.demoteF64x2Zero(value));
    const back = e.let(f64x2.promoteLowF32x4(result));
    // Single precision's range, in lanes of double precision.
    const inRange = i64x2.extendLowS(isInRange(PS, result));
    const ordinary = v128.or(inRange, isZero(kind, value));
    unlessOrdinary(
      e,
      kind,
      () => ordinary,
      () => f64x2.eq(back, value),
    );
    e.writeVector(destination, result);
  },
  procedure: converting(between(BINARY64, BINARY32), 64, 32, kind.scalar ? 1 : 2),
});

/** Of packed elements to integers of 32 bits. */
const packedToIntegers = (
  name: string,
  form: string,
  kind: FloatKind,
  truncates: boolean,
): Instruction => ({
  name,
  forms: [form],
  meaning(e, destination: Operand, source: Operand) {
    const value = e.readVector(source);
    const { abs, lt, eq, nearest } = kind.lanes;
    const rounded = truncates ? value : e.let(nearest(value));
    const single = kind === PS;
    const result = e.let(single ? i32x4.truncSatF32x4(rounded) : i32x4.truncSatF64x2Zero(rounded));
    const back = single ? f32x4.convertI32x4(result) : f64x2.convertLowI32x4(result);
    unlessOrdinary(
      e,
      kind,
      () => lt(abs(rounded), twoTo31(kind)),
      () => eq(back, value),
    );
    e.writeVector(destination, result);
  },
  procedure: converting(toInteger(kind.format, 32, truncates), kind.bits, 32, 128 / kind.bits),
});

const integersToSingles: Meaning = (e: Emitter, destination: Operand, source: Operand) => {
  const value: Vector = e.readVector(source);
  const result = e.let(f32x4.convertI32x4(value));
  const back = i32x4.truncSatF32x4(result);
  const largest = i32x4.const(0x7fff_ffff);
  const all = i32x4.const(-1);
  unlessOrdinary(
    e,
    PS,
    () => all,
    () => v128.and(i32x4.eq(back, value), i32x4.gtS(largest, value)),
  );
  e.writeVector(destination, result);
};

/**
 * From an MMX register or 64 bits of memory to the low elements of an XMM register. The transition
 * to MMX comes before exceptions of the conversion; memory operands make none.
 */
const fromMmx =
  (conversion: Conversion, to: number) =>
  (context: ProcedureContext): void => {
    if (!context.inMemory) {
      beginMmx(context.processor);
      endMmx(context.processor);
    }
    converting(conversion, 32, to, 2)(context);
  };

const toMmx =
  (from: Format, bits: number, truncates: boolean) =>
  (context: ProcedureContext): void => {
    beginMmx(context.processor);
    const source = readAligned(context, 1);
    endMmx(context.processor);
    const results = convertAll(context, toInteger(from, 32, truncates), elements(source, bits, 2));
    writeMmx(context.processor, context.reg & 7, joined(results, 32));
  };

const withMmx: readonly Instruction[] = [
  {
    name: "CVTPI2PS",
    forms: ["NP 0F 2A Vq,Qq"],
    procedure: fromMmx(fromInteger(BINARY32, 32), 32),
  },
  {
    name: "CVTPI2PD",
    forms: ["66 0F 2A Vpd,Qq"],
    procedure: fromMmx(fromInteger(BINARY64, 32), 64),
  },
  { name: "CVTTPS2PI", forms: ["NP 0F 2C Pq,Wq"], procedure: toMmx(BINARY32, 32, true) },
  { name: "CVTPS2PI", forms: ["NP 0F 2D Pq,Wq"], procedure: toMmx(BINARY32, 32, false) },
  { name: "CVTTPD2PI", forms: ["66 0F 2C Pq,Wpd"], procedure: toMmx(BINARY64, 64, true) },
  { name: "CVTPD2PI", forms: ["66 0F 2D Pq,Wpd"], procedure: toMmx(BINARY64, 64, false) },
];

export const sseConvert: Family = [
  integerToScalar(SS),
  integerToScalar(SD),
  scalarToInteger(SS, true),
  scalarToInteger(SS, false),
  scalarToInteger(SD, true),
  scalarToInteger(SD, false),
  widening(SD, "SS", "ss"),
  widening(PD, "PS", "q"),
  narrowing(SD, "SS"),
  narrowing(PD, "PS"),
  {
    name: "CVTDQ2PS",
    forms: ["NP 0F 5B Vx,Wx"],
    meaning: integersToSingles,
    procedure: converting(fromInteger(BINARY32, 32), 32, 32, 4),
  },
  { name: "CVTDQ2PD", forms: ["F3 0F E6 Vx,Wq"], meaning: mapping(f64x2.convertLowI32x4) },
  packedToIntegers("CVTPS2DQ", "66 0F 5B Vx,Wx", PS, false),
  packedToIntegers("CVTTPS2DQ", "F3 0F 5B Vx,Wx", PS, true),
  packedToIntegers("CVTPD2DQ", "F2 0F E6 Vx,Wx", PD, false),
  packedToIntegers("CVTTPD2DQ", "66 0F E6 Vx,Wx", PD, true),
  ...withMmx,
];
