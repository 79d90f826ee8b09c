/**
 * What SSE's floating point does beside computing (Intel SDM vol. 1 §10.2.3, §11.5): the quick path in
 * generated code, for what raises nothing new, and the exact one in procedures.
 */
import { CR4 } from "../bits.ts";
import { CpuException, generalProtection, VECTOR } from "../exceptions.ts";
import { FloatContext } from "../float/context.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { STATE } from "../state.ts";
import { type I32, i32, type V128 } from "../wasm/expression.ts";
import { i32x4, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { areLarge, type FloatKind, isInMiddle, isInRange, isNormal } from "./float-kind.ts";
import type { Operand } from "./operand.ts";
import type { Vector } from "./vector.ts";

/**
 * What of MXCSR matters where nothing but "inexact" is raised, and nothing is denormal: rounding control, and of
 * inexact results the mask and the flag. Programs that were compiled with `-ffast-math` flush denormals to
 * zero, others unmask other exceptions: that must not make procedures of everything.
 */
export const MODES = 0x7020;
/** Round to nearest; inexact results are masked, and have never been. */
const DEFAULT = 0x1000;
const PRECISION_FLAG = 0x20;
/** As the above: but inexact results have been, and so change nothing any more. */
export const DEFAULT_INEXACT = DEFAULT | PRECISION_FLAG;

/** Whether all lanes that count are all ones. */
export const holds = ({ scalar }: FloatKind, lanes: V128): I32 =>
  scalar ? i32x4.extractLane(lanes, 0) : i32x4.allTrue(lanes);

/** What is mostly so, and then enough, besides MXCSR's usual modes. */
export interface Usual {
  readonly conditions: readonly I32[];
  /** Elements that have to be normal numbers, if that is not known of them. */
  readonly operands: readonly { readonly operand: Operand; readonly value: Vector }[];
}

/** Of a scalar operation. */
export const usualScalar = (
  kind: FloatKind,
  result: Vector,
  operands: Usual["operands"],
  ...more: readonly I32[]
): Usual => ({ conditions: [isInMiddle(kind, result), ...more], operands });

/** What vectors of a packed operation have and make. */
interface Half {
  readonly sources: readonly Vector[];
  readonly result: Vector;
}

/** Of a packed operation: no element is anything but a normal number. @param more lanes of all halves */
export const usualVectors = (
  kind: FloatKind,
  halves: readonly Half[],
  more: readonly V128[] = [],
): Usual => {
  const normal = halves.map(({ sources, result }) =>
    v128.and(areLarge(kind, sources), isInRange(kind, result)),
  );
  const all = [...normal, ...more].reduce((a, b) => v128.and(a, b));
  return { conditions: [holds(kind, all)], operands: [] };
};

/**
 * Leaves the instruction to its procedure unless MXCSR is as it usually is, and every lane is
 * `ordinary` and, as long as no result was ever inexact, `exact`.
 * @param usual what spares to look at all that
 */
export function unlessOrdinary(
  e: Emitter,
  kind: FloatKind,
  ordinary: () => V128,
  exact: () => V128,
  usual?: Usual,
): void {
  const look = () => {
    const good: Vector = e.variable(ordinary());
    e.if(i32.eqz(e.mxcsrIs(MODES, DEFAULT_INEXACT)), () => {
      e.fallbackUnless(e.mxcsrIs(MODES, DEFAULT));
      e.set(good, v128.and(good, exact()));
    });
    e.fallbackUnless(holds(kind, good));
  };
  const isKnown = e.mxcsrIs(MODES, DEFAULT_INEXACT).constant === 1;
  if (usual === undefined || (!kind.scalar && !isKnown)) {
    look();
    return;
  }
  const unknown = usual.operands.filter(({ operand }) => !e.isKnownNormal(operand));
  const conditions = [
    e.mxcsrIs(MODES, DEFAULT_INEXACT),
    ...usual.conditions,
    ...unknown.map(({ value }) => isNormal(kind, value)),
  ].filter(({ constant }) => constant !== 1);
  const isUnusual = i32.eqz(conditions.reduce((a, b) => i32.and(a, b)));
  // One of several elements is often zero.
  if (kind.scalar) e.ifRarely(isUnusual, look);
  else e.if(isUnusual, look);
  for (const { operand } of unknown) e.assumeNormal(operand);
}

/** The same for one result, of which only inexactness is in question. */
export function unlessExact(e: Emitter, exact: I32): void {
  const isUsual = e.mxcsrIs(MODES, DEFAULT_INEXACT);
  if (isUsual.constant === 1) return;
  e.fallbackUnless(i32.or(isUsual, i32.and(e.mxcsrIs(MODES, DEFAULT), exact)));
}

const floatContext = new FloatContext();

/**
 * Computes by MXCSR's modes and puts the flags there.
 * @throws CpuException #XM (or #UD, where the system does not know it) for unmasked exceptions
 */
export function exactly<Result>(
  { processor }: ProcedureContext,
  compute: (ctx: FloatContext) => Result,
): Result {
  const { view, cr4 } = processor;
  const mxcsr = view.getUint32(STATE.MXCSR, true);
  floatContext.useMxcsr(mxcsr);
  floatContext.begin();
  const result = compute(floatContext);
  const unmasked = floatContext.complete();
  view.setUint32(STATE.MXCSR, mxcsr | floatContext.flags, true);
  if (unmasked !== 0) throw new CpuException(cr4 & CR4.OSXMMEXCPT ? VECTOR.XM : VECTOR.UD);
  return result;
}

/** An operand; 128 bits of memory must be aligned. */
export function readAligned(context: ProcedureContext, index: number): bigint {
  const spec = context.instruction.form.operands[index];
  const isMemory = context.inMemory && (spec?.place === "xmm-rm" || spec?.place === "memory");
  if (isMemory && spec.width === 128 && !context.isAligned(16n)) throw generalProtection();
  return context.read(index);
}

/** The lowest `count` elements of `bits` each. */
export const elements = (value: bigint, bits: number, count: number): bigint[] =>
  Array.from({ length: count }, (_, at) => BigInt.asUintN(bits, value >> BigInt(at * bits)));

/** Elements of `bits` each, the first one lowest. */
export const joined = (values: readonly bigint[], bits: number): bigint =>
  values.reduceRight((all, value) => (all << BigInt(bits)) | BigInt.asUintN(bits, value), 0n);
