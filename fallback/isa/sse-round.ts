/** Rounding, dot products and approximations (Intel SDM vol. 1 §12.10.3, §12.10.5, §10.4.1.2). */
import * as exact from "../float/sse.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { i32, select } from "../wasm/expression.ts";
import { i32x4, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { countOf, type Encoding, firstOf, immediate, inAll, LEGACY, secondOf } from "./encoding.ts";
import { FLOAT_KINDS, type FloatKind, isPlain, PD, PS, SS } from "./float-kind.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { exactly, unlessOrdinary } from "./sse-exact.ts";

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

const SIGN = 0x8000_0000;
const INFINITY = 0x7f80_0000;
const INDEFINITE = 0xffc0_0000;
const QUIET_BIT = 0x0040_0000;
const EXPONENT_BIAS = 127;

const isNan = (bits: number): boolean => (bits & ~SIGN) >>> 0 > INFINITY;
const exponentOf = (bits: number): number => (bits >>> 23) & 0xff;

/**
 * Approximations have a significand of twelve bits, that of the exact result for the middle of the
 * operand's interval: those of Intel's processors.
 * @param significand in [1, 2)
 * @param exponent unbiased, of the result's highest bit
 */
function approximation(sign: number, significand: number, exponent: number): number {
  const TWELVE_BITS = 4096;
  const biased = exponent + EXPONENT_BIAS;
  if (biased <= 0) return sign;
  const fraction = Math.floor(significand * TWELVE_BITS + 0.5) - TWELVE_BITS;
  return (sign | (biased << 23) | (fraction << 11)) >>> 0;
}

/** 1 / x: denormals count as zeros, and become zeros; nothing is raised. */
function reciprocal(bits: number): number {
  const sign = (bits & SIGN) >>> 0;
  const exponent = exponentOf(bits);
  if (isNan(bits)) return (bits | QUIET_BIT) >>> 0;
  if (exponent === 0) return (sign | INFINITY) >>> 0;
  if (exponent === 255) return sign;
  const interval = (bits >>> 12) & 0x7ff;
  return approximation(sign, 2 / (1 + (interval + 0.5) / 2048), EXPONENT_BIAS - exponent - 1);
}

/** 1 / sqrt(x) */
function reciprocalSquareRoot(bits: number): number {
  const sign = (bits & SIGN) >>> 0;
  if (isNan(bits)) return (bits | QUIET_BIT) >>> 0;
  if (exponentOf(bits) === 0) return (sign | INFINITY) >>> 0;
  if (sign !== 0) return INDEFINITE;
  if (bits === INFINITY) return 0;
  const exponent = exponentOf(bits) - EXPONENT_BIAS;
  const odd = exponent & 1;
  const interval = (bits >>> 13) & 0x3ff;
  const middle = (1 + (interval + 0.5) / 1024) * (odd ? 2 : 1);
  return approximation(0, 2 / Math.sqrt(middle), -(exponent - odd) / 2 - 1);
}

const approximating = (
  encoding: Encoding,
  name: string,
  opcode: string,
  approximate: (bits: number) => number,
): Instruction[] =>
  [PS, SS].map((kind) => ({
    name: `${name}${kind.suffix}`,
    forms: encoding.forms(`${kind.prefix} 0F ${opcode}`, { type: kind.type, unary: !kind.scalar }),
    procedure(context) {
      const source = secondOf(encoding, context, kind);
      const results = source.map((value) => BigInt(approximate(Number(value))));
      encoding.exact.write(context, results, kind.bits);
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
    ...approximating(encoding, "RCP", "53", reciprocal),
    ...approximating(encoding, "RSQRT", "52", reciprocalSquareRoot),
  ].map(encoding.instruction);

export const sseRound = floatRounding(LEGACY);
