/**
 * `a * b + c`, rounded once, of operations that WebAssembly has: it has none for that. Doubles by what
 * rounding has lost (Dekker, Knuth; Muller et al., Handbook of Floating-Point Arithmetic, §4.3, §4.4),
 * singles as doubles, in which their products are exact.
 */
import type { V128 } from "../wasm/expression.ts";
import { f32x4, f64x2, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { bothPlain, type FloatKind, isInRange, isPlain, isSafe, isZero, PD } from "./float-kind.ts";
import { lanes, type Vector } from "./vector.ts";

/** A sum in each lane, and whether it is right. */
export interface Fused {
  readonly result: Vector;
  /** All ones if it is, where operands and results are normal numbers; rarely not. */
  readonly usual: V128;
  /** Lanes where it is, and raised nothing but perhaps inexact. It may change the result's zeros. */
  ordinary(): V128;
  /** Lanes of those where nothing was lost. */
  isExact(): V128;
}

type Operands = readonly [a: Vector, b: Vector, c: Vector];

/** By kind, and so by the size of lanes. */
export const fused = (e: Emitter, kind: FloatKind, operands: Operands): Fused =>
  kind.bits === 64 ? fusedDoubles(e, operands) : fusedSingles(e, kind, operands);

const zero = (): V128 => i64x2.const(0);

/** What `sum` of `a + b` has lost (Knuth's TwoSum). */
function lostBySum(e: Emitter, a: Vector, b: Vector, sum: Vector): V128 {
  const { add, sub } = f64x2;
  const virtual = e.let(sub(sum, a));
  return add(sub(a, sub(sum, virtual)), sub(b, virtual));
}

/** A number as two of 26 bits. */
function split(e: Emitter, x: Vector): readonly [Vector, Vector] {
  const half = i64x2.const(1 << 26);
  const high = e.let(v128.and(i64x2.add(x, half), i64x2.const(-1 << 27)));
  return [high, e.let(f64x2.sub(x, high))];
}

/** What `product` of `a * b` has lost (Dekker). */
function lostByProduct(e: Emitter, a: Vector, b: Vector, product: Vector): V128 {
  const { add, sub, mul } = f64x2;
  const [highA, lowA] = split(e, a);
  const [highB, lowB] = split(e, b);
  const highest = sub(mul(highA, highB), product);
  const middle = add(add(highest, mul(highA, lowB)), mul(lowA, highB));
  return add(middle, mul(lowA, lowB));
}

function fusedDoubles(e: Emitter, [a, b, c]: Operands): Fused {
  const { add, mul, eq } = f64x2;
  const product = e.let(mul(a, b));
  const lostFirst = e.let(lostByProduct(e, a, b, product));
  const sum = e.let(add(product, c));
  const lostThen = e.let(lostBySum(e, product, c, sum));
  // If only one of both is there, their sum is exact.
  const lost = e.let(add(lostFirst, lostThen));
  const result = e.variable(add(sum, lost));
  // Otherwise the result is right if it is the same for all that their exact sum may be.
  const least = add(sum, mul(lost, i64x2.const(ABOVE_ONE)));
  const most = add(sum, mul(lost, i64x2.const(BELOW_ONE)));
  const isKnown = v128.or(eq(lostFirst, zero()), eq(lostThen, zero()));
  const isRight = e.let(v128.or(eq(least, most), isKnown));
  return {
    result,
    ordinary() {
      // Where nothing is lost, it must not change the sign of zero.
      e.set(result, v128.bitselect(sum, result, eq(sum, result)));
      const anyZero = v128.or(isZero(PD, a), isZero(PD, b));
      const safe = v128.or(isSafe(product), anyZero);
      const inRange = v128.or(isInRange(PD, result), isZero(PD, result));
      const plain = v128.and(bothPlain(PD, a, b), isPlain(PD, c));
      return v128.and(v128.and(plain, safe), v128.and(inRange, isRight));
    },
    isExact() {
      const both = lostBySum(e, lostFirst, lostThen, lost);
      const all = lostBySum(e, sum, lost, result);
      return v128.and(eq(both, zero()), eq(all, zero()));
    },
    usual: v128.and(isSafe(product), isRight),
  };
}

/** 1 + 2 ** -51, 1 - 2 ** -51: further from one than what rounding may have changed. */
const ABOVE_ONE = 0x3ff0_0000_0000_0002n;
const BELOW_ONE = 0x3fef_ffff_ffff_fffcn;

/** What of a double single precision has no room for, and half of its last place. */
const DROPPED = 0x1fff_ffffn;
const HALFWAY = 0x1000_0000n;

/** Two lanes of single precision as doubles, whose products are exact. */
interface Wide {
  readonly product: Vector;
  readonly addend: Vector;
  readonly sum: Vector;
  readonly result: Vector;
  /** Whether the sum is in the middle between two neighbours of single precision. */
  readonly isHalfway: Vector;
}

function fusedWide(e: Emitter, a: V128, b: V128, c: V128): Wide {
  const { add, mul, promoteLowF32x4 } = f64x2;
  const addend = e.let(promoteLowF32x4(c));
  const product = e.let(mul(promoteLowF32x4(a), promoteLowF32x4(b)));
  const sum = e.let(add(product, addend));
  const dropped = v128.and(sum, i64x2.const(DROPPED));
  const isHalfway = e.let(i64x2.eq(dropped, i64x2.const(HALFWAY)));
  return { product, addend, sum, result: e.let(f32x4.demoteF64x2Zero(sum)), isHalfway };
}

const not = (lanes: V128): V128 => v128.andnot(i64x2.const(-1), lanes);

function fusedSingles(e: Emitter, kind: FloatKind, [a, b, c]: Operands): Fused {
  const upper = (x: Vector) => lanes(x, x, 8, [1]);
  const low = fusedWide(e, a, b, c);
  const wide = kind.scalar ? [low] : [low, fusedWide(e, upper(a), upper(b), upper(c))];
  const result = e.let(
    wide.map(({ result }): V128 => result).reduce((x, y) => lanes(x, y, 8, [0, 2])),
  );
  /** Lanes of 32 bits of those of 64. */
  const narrow = (lanesOf: (wide: Wide) => V128): V128 =>
    (kind.scalar ? [low, low] : wide).map(lanesOf).reduce((x, y) => lanes(x, y, 4, [0, 2, 4, 6]));
  const losesNothing = ({ product, addend, sum }: Wide): V128 =>
    f64x2.eq(lostBySum(e, product, addend, sum), zero());
  return {
    result,
    // Rounded once more, another sum is what it would be if it were rounded once.
    usual: not(wide.map(({ isHalfway }): V128 => isHalfway).reduce(v128.or)),
    ordinary() {
      const isZeroSum = narrow(({ sum }) => f64x2.eq(sum, zero()));
      const inRange = v128.or(isInRange(kind, result), isZeroSum);
      const plain = v128.and(bothPlain(kind, a, b), isPlain(kind, c));
      const isRight = narrow((each) => v128.or(not(each.isHalfway), losesNothing(each)));
      return v128.and(v128.and(plain, inRange), isRight);
    },
    isExact: () =>
      narrow((each) =>
        v128.and(losesNothing(each), f64x2.eq(f64x2.promoteLowF32x4(each.result), each.sum)),
      ),
  };
}
