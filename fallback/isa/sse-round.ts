/** Rounding, dot products and approximations (Intel SDM vol. 1 §12.10.3, §12.10.5, §10.4.1.2). */
import { approximateReciprocal, approximateReciprocalRoot } from "../float/approximation.ts";
import * as exact from "../float/sse.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { i32, select, type V128 } from "../wasm/expression.ts";
import { i32x4, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { countOf, type Encoding, firstOf, immediate, inAll, LEGACY, secondOf } from "./encoding.ts";
import { FLOAT_KINDS, type FloatKind, isPlain, PD, PS, SS } from "./float-kind.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { exactly, holds, unlessOrdinary } from "./sse-exact.ts";
import type { Vector } from "./vector.ts";

/** Bits of ROUNDSS's immediate: MXCSR's mode rather than that of bits 1 and 0; not to tell inexact. */
const USE_MXCSR = 4;
const QUIET = 8;

const quickRound =
  (encoding: Encoding, kind: FloatKind) =>
  (e: Emitter, ...operands: Operand[]): void => {
    const [destination, first, second, control] = encoding.roles(operands);
    const values = encoding.read(e, second);
    const which = immediate(e, control);
    const bit = (n: number) => i32.and(which, i32.const(n));
    const { nearest, floor, ceil, trunc, eq } = kind.lanes;
    const results = values.map((value) => {
      const chosen = select(
        bit(2),
        select(bit(1), trunc(value), ceil(value)),
        select(bit(1), floor(value), nearest(value)),
      );
      // The quick path is for MXCSR's usual mode only, which is to the nearest.
      return e.let(select(bit(USE_MXCSR), nearest(value), chosen));
    });
    const quiet = () => i32x4.splat(i32.sub(i32.const(0), i32.shrU(bit(QUIET), i32.const(3))));
    unlessOrdinary(
      e,
      kind,
      () => inAll(values.map((value) => isPlain(kind, value))),
      () => inAll(values.map((value, n) => v128.or(eq(results[n] ?? value, value), quiet()))),
    );
    encoding.write(e, destination, first, results);
  };

const exactRound =
  (encoding: Encoding, kind: FloatKind) =>
  (context: ProcedureContext): void => {
    const source = secondOf(encoding, context, kind);
    const control = Number(context.immediate() & 15n);
    const results = exactly(context, (ctx) =>
      source.map((value) => exact.roundElement(ctx, kind.format, value, control)),
    );
    encoding.exact.write(context, results, kind.bits);
  };

const OPCODES = { PS: "08", PD: "09", SS: "0A", SD: "0B" } as const;

const rounding = (encoding: Encoding): Instruction[] =>
  FLOAT_KINDS.map((kind) => ({
    name: `ROUND${kind.suffix}`,
    forms: encoding.forms(`66 0F 3A ${OPCODES[kind.suffix]}`, {
      ...{ type: kind.type, more: ",Ib" },
      unary: !kind.scalar,
    }),
    meaning: quickRound(encoding, kind),
    procedure: exactRound(encoding, kind),
  }));

/** Which elements the n-th sum of a step is of: the first one's NaN is the result's. */
type Step = (n: number) => readonly [number, number];

/** As in silicon, where every element of the result has a sum of its own. */
const STEPS_OF_SINGLES: readonly Step[] = [(n) => [n ^ 1, n], (n) => [n, n ^ 2]];
const STEPS_OF_DOUBLES: readonly Step[] = [(n) => [n, n ^ 1]];

/**
 * Products where the immediate's high bits say so, else zeros; their sum where its low bits do. An
 * unmasked exception in any step ends the instruction.
 */
const dotProduct =
  (encoding: Encoding, kind: FloatKind, steps: readonly Step[]) =>
  (context: ProcedureContext): void => {
    const { format, bits } = kind;
    const count = countOf(kind);
    const a = firstOf(encoding, context, kind);
    const b = secondOf(encoding, context, kind);
    const control = Number(context.immediate());
    /** Of an element: whether the immediate's bit for it is set. */
    const isChosen = (at: number, from: number): boolean =>
      ((control >> (from + (at % count))) & 1) > 0;
    let values = exactly(context, (ctx) =>
      a.map((value, at) =>
        isChosen(at, 4) ? exact.multiply(ctx, format, value, b[at] ?? 0n) : 0n,
      ),
    );
    for (const step of steps) {
      const before = values;
      values = exactly(context, (ctx) =>
        before.map((_, at) => {
          const [first, second] = step(at);
          return exact.add(ctx, format, before[first] ?? 0n, before[second] ?? 0n);
        }),
      );
    }
    const results = values.map((value, at) => (isChosen(at, 0) ? value : 0n));
    encoding.exact.write(context, results, bits);
  };

const EXPONENT = 0x7f80_0000;
const EXPONENT_SHIFT = 23;
const BIAS = 127;
/** What is rounded to twelve bits of fraction: half of the last of them, and what is below. */
const HALF = 0x400;
const BELOW = 0x7ff;

/** The middle of the interval that numbers with the same highest bits of the fraction are in, from 1 on. */
const middle = (value: Vector, bits: number): V128 => {
  const last = 1 << (EXPONENT_SHIFT - bits);
  const leading = v128.and(value, i32x4.const((1 << EXPONENT_SHIFT) - last));
  return v128.or(leading, i32x4.const((BIAS << EXPONENT_SHIFT) | (last >> 1)));
};

/** A number from 1 to 2, with twelve bits of fraction. @param exponent what its exponent grows by */
const scaled = (value: V128, exponent: V128): V128 => {
  const rounded = v128.andnot(i32x4.add(value, i32x4.const(HALF)), i32x4.const(BELOW));
  return i32x4.add(rounded, exponent);
};

/** Lanes for which it is right, and the results there. */
interface Approximation {
  readonly quick: (value: Vector) => { readonly isRight: V128; readonly result: V128 };
  readonly exact: (bits: bigint) => bigint;
}

/** The largest number below 2: dividing that, singles are rounded to what doubles would be. */
const ALMOST_TWO = 0x3fff_ffff;
const TWO = 0x4000_0000;

/** Of what is neither denormal nor has a reciprocal that is. */
const RECIPROCAL: Approximation = {
  quick(value) {
    const { abs, div, ge, lt } = PS.lanes;
    const isLarge = ge(abs(value), i32x4.const(1 << EXPONENT_SHIFT));
    const exponent = v128.and(value, i32x4.const(EXPONENT));
    const inverted = i32x4.sub(i32x4.const((2 * BIAS - 1 - BIAS) << EXPONENT_SHIFT), exponent);
    const quotient = div(i32x4.const(ALMOST_TWO), middle(value, 11));
    const sign = v128.andnot(value, i32x4.const(0x7fff_ffff));
    return {
      isRight: v128.and(isLarge, lt(abs(value), i32x4.const((2 * BIAS - 1) << EXPONENT_SHIFT))),
      result: v128.or(scaled(quotient, inverted), sign),
    };
  },
  exact: approximateReciprocal,
};

/** Of positive normal numbers. */
const RECIPROCAL_ROOT: Approximation = {
  quick(value) {
    const { div, sqrt } = PS.lanes;
    const exponent = (): V128 => i32x4.shrU(value, i32.const(EXPONENT_SHIFT));
    const odd = v128.andnot(i32x4.const(1), exponent());
    const operand = i32x4.add(middle(value, 10), i32x4.shl(odd, i32.const(EXPONENT_SHIFT)));
    const half = i32x4.shrS(i32x4.sub(exponent(), i32x4.const(BIAS)), i32.const(1));
    const inverted = i32x4.sub(i32x4.const(-1), half);
    const isLarge = i32x4.gtS(value, i32x4.const((1 << EXPONENT_SHIFT) - 1));
    return {
      isRight: v128.and(isLarge, i32x4.gtS(i32x4.const(EXPONENT), value)),
      result: scaled(
        div(i32x4.const(TWO), sqrt(operand)),
        i32x4.shl(inverted, i32.const(EXPONENT_SHIFT)),
      ),
    };
  },
  exact: approximateReciprocalRoot,
};

const approximating = (
  encoding: Encoding,
  name: string,
  opcode: string,
  { quick, exact }: Approximation,
): Instruction[] =>
  [PS, SS].map((kind) => ({
    name: `${name}${kind.suffix}`,
    forms: encoding.forms(`${kind.prefix} 0F ${opcode}`, { type: kind.type, unary: !kind.scalar }),
    late: true,
    meaning(e, ...operands: Operand[]) {
      const [destination, first, second] = encoding.roles(operands);
      const values = encoding.read(e, second).map(quick);
      e.fallbackUnless(holds(kind, inAll(values.map(({ isRight }) => isRight))));
      encoding.write(
        ...([e, destination, first] as const),
        values.map(({ result }) => result),
      );
    },
    procedure(context) {
      const source = secondOf(encoding, context, kind);
      encoding.exact.write(context, source.map(exact), kind.bits);
    },
  }));

export const floatRounding = (encoding: Encoding): Family =>
  [
    ...rounding(encoding),
    {
      name: "DPPS",
      forms: encoding.forms("66 0F 3A 40", { type: "x", more: ",Ib" }),
      procedure: dotProduct(encoding, PS, STEPS_OF_SINGLES),
    },
    {
      name: "DPPD",
      forms: encoding.either("66 0F 3A 41 Vx,Wx,Ib", ["VEX.0 66 0F 3A 41 Vx,Hx,Wx,Ib"]),
      procedure: dotProduct(encoding, PD, STEPS_OF_DOUBLES),
    },
    ...approximating(encoding, "RCP", "53", RECIPROCAL),
    ...approximating(encoding, "RSQRT", "52", RECIPROCAL_ROOT),
  ].map(encoding.instruction);

export const sseRound = floatRounding(LEGACY);
