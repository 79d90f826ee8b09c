/** Floating-point arithmetic (Intel SDM vol. 1 §10.4.1.2, §11.4.1.2, §12.3.3, §12.3.4). */
import * as exact from "../float/sse.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import type { V128 } from "../wasm/expression.ts";
import { i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { countOf, type Encoding, firstOf, inAll, LEGACY, readPairs, secondOf } from "./encoding.ts";
import {
  bothPlain,
  FLOAT_KINDS,
  type FloatKind,
  isExactProduct,
  isExactSum,
  isInRange,
  isPlain,
  isZero,
  PD,
  PS,
} from "./float-kind.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { exactly, holds, unlessOrdinary, usualScalar, usualVectors } from "./sse-exact.ts";
import { lanes, range, type Vector } from "./vector.ts";

/** An operation of two operands, on lanes and on elements. */
interface Arithmetic {
  readonly quick: (kind: FloatKind, a: Vector, b: Vector) => V128;
  /** Lanes that raised nothing, but perhaps inexact. */
  readonly ordinary: (kind: FloatKind, a: Vector, b: Vector, result: Vector) => V128;
  readonly isExact: (kind: FloatKind, e: Emitter, a: Vector, b: Vector, result: Vector) => V128;
  readonly exact: exact.BinaryOperation;
  /** Of the second operand alone. */
  readonly unary?: boolean;
}

const letOf = (e: Emitter) => (value: V128) => e.let(value);

/** In range, or a zero that only zeros make. */
const inRangeOr = (kind: FloatKind, result: Vector, isTrueZero: V128): V128 =>
  v128.or(isInRange(kind, result), v128.and(isZero(kind, result), isTrueZero));

const ordinarySum: Arithmetic["ordinary"] = (kind, a, b, sum) =>
  v128.and(bothPlain(kind, a, b), v128.or(isInRange(kind, sum), isZero(kind, sum)));

const ADD: Arithmetic = {
  quick: ({ lanes: { add } }, a, b) => add(a, b),
  ordinary: ordinarySum,
  isExact: (kind, e, a, b, sum) => isExactSum(kind, letOf(e), a, b, sum),
  exact: exact.add,
};

const SUBTRACT: Arithmetic = {
  quick: ({ lanes: { sub } }, a, b) => sub(a, b),
  ordinary: ordinarySum,
  isExact: (kind, e, a, b, rest) => isExactSum(kind, letOf(e), a, e.let(kind.lanes.neg(b)), rest),
  exact: exact.subtract,
};

const MULTIPLY: Arithmetic = {
  quick: ({ lanes: { mul } }, a, b) => mul(a, b),
  ordinary: (kind, a, b, product) => {
    const anyZero = v128.or(isZero(kind, a), isZero(kind, b));
    return v128.and(bothPlain(kind, a, b), inRangeOr(kind, product, anyZero));
  },
  isExact: (kind, e, a, b, product) => isExactProduct(kind, letOf(e), a, b, product),
  exact: exact.multiply,
};

/** Whether `factor * other` is `product`. */
const isProductOf = (
  kind: FloatKind,
  e: Emitter,
  factor: Vector,
  other: Vector,
  product: Vector,
) => {
  const { mul, eq } = kind.lanes;
  return v128.and(
    eq(mul(factor, other), product),
    isExactProduct(kind, letOf(e), factor, other, product),
  );
};

const DIVIDE: Arithmetic = {
  quick: ({ lanes: { div } }, a, b) => div(a, b),
  ordinary: (kind, a, b, quotient) =>
    v128.and(bothPlain(kind, a, b), inRangeOr(kind, quotient, isZero(kind, a))),
  isExact: (kind, e, a, b, quotient) => isProductOf(kind, e, quotient, b, a),
  exact: exact.divide,
};

const SQUARE_ROOT: Arithmetic = {
  quick: ({ lanes: { sqrt } }, _a, b) => sqrt(b),
  ordinary: (kind, _a, b, root) => {
    const good = v128.or(isInRange(kind, root), isZero(kind, root));
    return v128.and(isPlain(kind, b), good);
  },
  isExact: (kind, e, _a, b, root) => isProductOf(kind, e, root, root, b),
  exact: (ctx, format, _a, b) => exact.squareRoot(ctx, format, b),
  unary: true,
};

/** Which elements meet, where it is not the ones in the same place. */
interface Arrangement {
  readonly vectors: (a: Vector, b: Vector) => readonly [V128, V128];
  /** Of both sources, as many as 128 bits have. */
  readonly elements: (a: bigint[], b: bigint[]) => readonly [bigint[], bigint[]];
}

/** What both sources have in one vector of 128 bits, and what is made of it. */
interface Half {
  readonly a: Vector;
  readonly b: Vector;
  readonly result: Vector;
}

const computing =
  (encoding: Encoding, kind: FloatKind, arithmetic: Arithmetic, arrangement?: Arrangement) =>
  (e: Emitter, ...operands: Operand[]): void => {
    const [destination, first, second] = encoding.roles(operands);
    const sources = encoding.read(e, second);
    const firsts = arithmetic.unary ? sources : encoding.read(e, first);
    const halves = sources.map((source, n): Half => {
      const [a, b] = arranged(e, firsts[n] ?? source, source, arrangement);
      return { a, b, result: e.let(arithmetic.quick(kind, a, b)) };
    });
    const [only] = halves;
    unlessOrdinary(
      e,
      kind,
      () => inAll(halves.map(({ a, b, result }) => arithmetic.ordinary(kind, a, b, result))),
      () => inAll(halves.map(({ a, b, result }) => arithmetic.isExact(kind, e, a, b, result))),
      kind.scalar && only
        ? usualScalar(kind, only.result, [
            ...(arithmetic.unary ? [] : [{ operand: first, value: only.a }]),
            { operand: second, value: only.b },
          ])
        : usualVectors(
            kind,
            halves.map(({ a, b, result }) => ({
              sources: arithmetic.unary ? [b] : [a, b],
              result,
            })),
          ),
    );
    const results = halves.map(({ result }) => result);
    encoding.write(e, destination, first, results);
    if (kind.scalar) e.assumeNormal(destination);
  };

function arranged(
  e: Emitter,
  a: Vector,
  b: Vector,
  arrangement: Arrangement | undefined,
): readonly [Vector, Vector] {
  if (arrangement === undefined) return [a, b];
  const [first, second] = arrangement.vectors(a, b);
  return [e.let(first), e.let(second)];
}

/** @param operation by the element's place */
const computingExactly =
  (
    encoding: Encoding,
    kind: FloatKind,
    operation: (at: number) => exact.BinaryOperation,
    arrange: Arrangement["elements"] = (a, b) => [a, b],
  ) =>
  (context: ProcedureContext): void => {
    const firsts = firstOf(encoding, context, kind);
    const seconds = secondOf(encoding, context, kind);
    const results = exactly(context, (ctx) =>
      inParts(countOf(kind), firsts, seconds).flatMap((part) => {
        const [a, b] = arrange(...part);
        return a.map((value, at) => operation(at)(ctx, kind.format, value, b[at] ?? 0n));
      }),
    );
    encoding.exact.write(context, results, kind.bits);
  };

/** Elements of both sources, `count` at a time. */
const inParts = (count: number, a: bigint[], b: bigint[]): (readonly [bigint[], bigint[]])[] =>
  range(0, a.length / count).map((n) => {
    const [from, to] = [n * count, (n + 1) * count];
    return [a.slice(from, to), b.slice(from, to)];
  });

const arithmetic = (
  encoding: Encoding,
  name: string,
  opcode: string,
  operation: Arithmetic,
): Instruction[] =>
  FLOAT_KINDS.map((kind) => ({
    name: `${name}${kind.suffix}`,
    forms: encoding.forms(`${kind.prefix} 0F ${opcode}`, {
      type: kind.type,
      ...(operation.unary && !kind.scalar ? { unary: true } : {}),
    }),
    meaning: computing(encoding, kind, operation),
    procedure: computingExactly(encoding, kind, () => operation.exact),
  }));

/** MIN and MAX: the source unless the destination is certainly less, or greater. */
const choosing = (
  encoding: Encoding,
  name: string,
  opcode: string,
  choose: (kind: FloatKind, a: Vector, b: Vector) => V128,
  exactly: exact.BinaryOperation,
): Instruction[] =>
  FLOAT_KINDS.map((kind) => ({
    name: `${name}${kind.suffix}`,
    forms: encoding.forms(`${kind.prefix} 0F ${opcode}`, { type: kind.type }),
    meaning(e, ...operands: Operand[]) {
      const { roles, pairs } = readPairs(encoding, e, operands);
      // Without NaNs and denormals MXCSR has no say.
      e.fallbackUnless(holds(kind, inAll(pairs.map(([a, b]) => bothPlain(kind, a, b)))));
      const [destination, first] = roles;
      encoding.write(
        ...([e, destination, first] as const),
        pairs.map(([a, b]) => choose(kind, a, b)),
      );
    },
    procedure: computingExactly(encoding, kind, () => exactly),
  }));

/** Neighbours: of the destination, then of the source. */
const neighbours = ({ bits }: FloatKind): Arrangement => {
  const half = 64 / bits;
  const count = 128 / bits;
  const pick = (odd: number) => [...range(odd, half, 2), ...range(count + odd, half, 2)];
  return {
    vectors: (a, b) => [lanes(a, b, bits / 8, pick(0)), lanes(a, b, bits / 8, pick(1))],
    elements: (a, b) => {
      const all = [...a, ...b];
      return [pick(0).map((at) => all[at] ?? 0n), pick(1).map((at) => all[at] ?? 0n)];
    },
  };
};

const horizontal = (
  encoding: Encoding,
  name: string,
  opcode: string,
  operation: Arithmetic,
): Instruction[] =>
  ([PS, PD] as const).map((kind) => ({
    name: `${name}${kind.suffix}`,
    forms: encoding.forms(`${kind === PS ? "F2" : "66"} 0F ${opcode}`, { type: "x" }),
    meaning: computing(encoding, kind, operation, neighbours(kind)),
    procedure: computingExactly(encoding, kind, () => operation.exact, neighbours(kind).elements),
  }));

/** Subtracts in even places, adds in odd ones: a sum with signs inverted. */
const alternating = (encoding: Encoding): Instruction[] =>
  ([PS, PD] as const).map((kind) => {
    const signs = () =>
      kind === PS ? i32x4.const(0x8000_0000, 0) : i64x2.const(0x8000_0000_0000_0000n, 0);
    return {
      name: `ADDSUB${kind.suffix}`,
      forms: encoding.forms(`${kind === PS ? "F2" : "66"} 0F D0`, { type: "x" }),
      meaning: computing(encoding, kind, ADD, {
        vectors: (a, b) => [a, v128.xor(b, signs())],
        elements: (a, b) => [a, b],
      }),
      procedure: computingExactly(encoding, kind, (at) =>
        at % 2 === 0 ? exact.subtract : exact.add,
      ),
    };
  });

export const floatArithmetic = (encoding: Encoding): Family =>
  [
    ...arithmetic(encoding, "ADD", "58", ADD),
    ...arithmetic(encoding, "MUL", "59", MULTIPLY),
    ...arithmetic(encoding, "SUB", "5C", SUBTRACT),
    ...arithmetic(encoding, "DIV", "5E", DIVIDE),
    ...arithmetic(encoding, "SQRT", "51", SQUARE_ROOT),
    ...choosing(encoding, "MIN", "5D", ({ lanes: { pmin } }, a, b) => pmin(b, a), exact.minimum),
    ...choosing(encoding, "MAX", "5F", ({ lanes: { pmax } }, a, b) => pmax(b, a), exact.maximum),
    ...horizontal(encoding, "HADD", "7C", ADD),
    ...horizontal(encoding, "HSUB", "7D", SUBTRACT),
    ...alternating(encoding),
  ].map(encoding.instruction);

export const sseFloat = floatArithmetic(LEGACY);
