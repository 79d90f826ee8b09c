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
import { type Encoding, inAll, inGeneral, LEGACY } from "./encoding.ts";
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
import { lanes, type Meaning, type Vector } from "./vector.ts";

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

/**
 * Into the low elements of the destination, zeros above if it is wider.
 * @param count elements in 128 bits of the wider format
 */
const converting =
  (encoding: Encoding, conversion: Conversion, from: number, to: number, count: number) =>
  (context: ProcedureContext): void => {
    const source = encoding.exact.second(context, from, count);
    encoding.exact.write(context, convertAll(context, conversion, source), to);
  };

/** The scalar conversions to and from general registers, of 32 or 64 bits. */
const integerWidth = ({ instruction }: ProcedureContext): number =>
  instruction.operandSize === 64 ? 64 : 32;

const MAX_INTEGER = (1n << 63n) - 1n;

/** CVTSI2SS, CVTSI2SD. */
const integerToScalar = (encoding: Encoding, kind: FloatKind): Instruction => ({
  name: `CVTSI2${kind.suffix}`,
  forms: encoding.forms(`${kind.prefix} 0F 2A`, { type: kind.type, source: "Ey" }),
  meaning(e, ...operands: Operand[]) {
    const [destination, first, source] = encoding.roles(operands);
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
    encoding.write(e, destination, first, [result]);
  },
  procedure(context) {
    const width = integerWidth(context);
    const conversion = fromInteger(kind.format, width);
    converting(encoding, conversion, width, kind.bits, 1)(context);
  },
});

/** Whether an integer, from a saturating conversion, is of `bits` and not at its ends. */
const isInside = (integer: I64, bits: number): I32 => {
  const lowest = -(1n << BigInt(bits - 1)) + 1n;
  return i64.ltU(i64.sub(integer, i64.const(lowest)), i64.const((1n << BigInt(bits)) - 2n));
};

/** CVTSS2SI and its like. */
const scalarToInteger = (encoding: Encoding, kind: FloatKind, truncates: boolean): Instruction => ({
  name: `CVT${truncates ? "T" : ""}${kind.suffix}2SI`,
  forms: inGeneral(encoding, `${kind.prefix} 0F ${truncates ? "2C" : "2D"} Gy,W${kind.type}`),
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
    context.write(0, joined(convertAll(context, conversion, [context.read(1)]), width));
  },
});

/** Of 64 bits, or of 128, the halves of which each make 128. */
const halvesOf = (e: Emitter, encoding: Encoding, source: Operand): Vector[] =>
  encoding.read(e, source).flatMap((value) => {
    if (source.bits <= 64) return [value];
    return [value, e.let(lanes(value, value, 8, [1]))];
  });

/** CVTSS2SD, CVTPS2PD: nothing is lost. */
const widening = (encoding: Encoding, kind: FloatKind, from: "SS" | "PS"): Instruction => ({
  name: `CVT${from}2${kind.suffix}`,
  forms: kind.scalar
    ? encoding.forms("F3 0F 5A", { type: kind.type, source: "Wss" })
    : encoding.either("NP 0F 5A Vpd,Wq", ["VEX.0 NP 0F 5A Vpd,Wq", "VEX.1 NP 0F 5A Vpd,Wdq"]),
  meaning(e, ...operands: Operand[]) {
    const [destination, first, second] = encoding.roles(operands);
    const values = halvesOf(e, encoding, second);
    const plain = inAll(values.map((value) => isPlain(PS, value)));
    e.fallbackUnless(holds(from === "SS" ? SS : PS, plain));
    encoding.write(e, destination, first, values.map(f64x2.promoteLowF32x4));
  },
  procedure: converting(encoding, between(BINARY32, BINARY64), 32, 64, kind.scalar ? 1 : 2),
});

/** Two vectors with two lanes of 32 bits each; or one, and zeros. */
const together = (vectors: readonly V128[]): V128 =>
  vectors.reduce((low, high) => lanes(low, high, 8, [0, 2]));

/** Forms of VEX whose destination has half as many bits as the source. */
const narrowed = (head: string): string[] => [`VEX.0 ${head} Vdq,Wpd`, `VEX.1 ${head} Vdq,Wpd`];

/** CVTSD2SS, CVTPD2PS. */
const narrowing = (encoding: Encoding, kind: FloatKind, to: "SS" | "PS"): Instruction => ({
  name: `CVT${kind.suffix}2${to}`,
  forms: kind.scalar
    ? encoding.forms("F2 0F 5A", { type: "ss", source: "Wsd" })
    : encoding.either("66 0F 5A Vx,Wpd", narrowed("66 0F 5A")),
  meaning(e, ...operands: Operand[]) {
    const [destination, first, second] = encoding.roles(operands);
    const values = encoding.read(e, second).map((value) => {
      const result = e.let(f32x4.demoteF64x2Zero(value));
      return { value, result, back: e.let(f64x2.promoteLowF32x4(result)) };
    });
    // Single precision's range, in lanes of double precision.
    const ordinary = values.map(({ value, result }) =>
      v128.or(i64x2.extendLowS(isInRange(PS, result)), isZero(kind, value)),
    );
    unlessOrdinary(
      e,
      kind,
      () => inAll(ordinary),
      () => inAll(values.map(({ value, back }) => f64x2.eq(back, value))),
    );
    encoding.write(e, destination, first, [together(values.map(({ result }) => result))]);
  },
  procedure: converting(encoding, between(BINARY64, BINARY32), 64, 32, kind.scalar ? 1 : 2),
});

/** Of packed elements to integers of 32 bits. */
const packedToIntegers = (
  encoding: Encoding,
  name: string,
  head: string,
  kind: FloatKind,
  truncates: boolean,
): Instruction => ({
  name,
  forms:
    kind === PS
      ? encoding.forms(head, { type: "x", unary: true })
      : encoding.either(`${head} Vx,Wx`, narrowed(head)),
  meaning(e, ...operands: Operand[]) {
    const [destination, first, second] = encoding.roles(operands);
    const { abs, lt, eq, nearest } = kind.lanes;
    const single = kind === PS;
    const values = encoding.read(e, second).map((value) => {
      const rounded = truncates ? value : e.let(nearest(value));
      const result = e.let(
        single ? i32x4.truncSatF32x4(rounded) : i32x4.truncSatF64x2Zero(rounded),
      );
      return { value, rounded, result };
    });
    const back = single ? f32x4.convertI32x4 : f64x2.convertLowI32x4;
    unlessOrdinary(
      e,
      kind,
      () => inAll(values.map(({ rounded }) => lt(abs(rounded), twoTo31(kind)))),
      () => inAll(values.map(({ value, result }) => eq(back(result), value))),
    );
    const results = values.map(({ result }) => result);
    encoding.write(e, destination, first, single ? results : [together(results)]);
  },
  procedure: converting(
    ...([encoding, toInteger(kind.format, 32, truncates)] as const),
    ...([kind.bits, 32, 128 / kind.bits] as const),
  ),
});

const integersToSingles =
  (encoding: Encoding): Meaning =>
  (e: Emitter, ...operands: Operand[]) => {
    const [destination, first, second] = encoding.roles(operands);
    const values = encoding.read(e, second);
    const results = values.map((value) => e.let(f32x4.convertI32x4(value)));
    const isExact = (value: Vector, result: Vector): V128 => {
      const back = i32x4.truncSatF32x4(result);
      return v128.and(i32x4.eq(back, value), i32x4.gtS(i32x4.const(0x7fff_ffff), value));
    };
    unlessOrdinary(
      e,
      PS,
      () => i32x4.const(-1),
      () => inAll(values.map((value, n) => isExact(value, results[n] ?? value))),
    );
    encoding.write(e, destination, first, results);
  };

const integersToDoubles =
  (encoding: Encoding): Meaning =>
  (e: Emitter, ...operands: Operand[]) => {
    const [destination, first, second] = encoding.roles(operands);
    const values = halvesOf(e, encoding, second);
    encoding.write(e, destination, first, values.map(f64x2.convertLowI32x4));
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
    converting(LEGACY, conversion, 32, to, 2)(context);
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

export const floatConversions = (encoding: Encoding): Family =>
  [
    integerToScalar(encoding, SS),
    integerToScalar(encoding, SD),
    scalarToInteger(encoding, SS, true),
    scalarToInteger(encoding, SS, false),
    scalarToInteger(encoding, SD, true),
    scalarToInteger(encoding, SD, false),
    widening(encoding, SD, "SS"),
    widening(encoding, PD, "PS"),
    narrowing(encoding, SD, "SS"),
    narrowing(encoding, PD, "PS"),
    {
      name: "CVTDQ2PS",
      forms: encoding.forms("NP 0F 5B", { type: "x", unary: true }),
      meaning: integersToSingles(encoding),
      procedure: converting(encoding, fromInteger(BINARY32, 32), 32, 32, 4),
    },
    {
      name: "CVTDQ2PD",
      forms: encoding.either("F3 0F E6 Vx,Wq", ["VEX.0 F3 0F E6 Vx,Wq", "VEX.1 F3 0F E6 Vx,Wdq"]),
      meaning: integersToDoubles(encoding),
    },
    packedToIntegers(encoding, "CVTPS2DQ", "66 0F 5B", PS, false),
    packedToIntegers(encoding, "CVTTPS2DQ", "F3 0F 5B", PS, true),
    packedToIntegers(encoding, "CVTPD2DQ", "F2 0F E6", PD, false),
    packedToIntegers(encoding, "CVTTPD2DQ", "66 0F E6", PD, true),
  ].map(encoding.instruction);

export const sseConvert: Family = [...floatConversions(LEGACY), ...withMmx];
