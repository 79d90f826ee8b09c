/** FPATAN. Intel SDM vol. 1 §8.3.8, vol. 2 under FPATAN (table of special operands). */
import type { FloatContext } from "../context.ts";
import { type Encoded, EXTENDED, INFINITY, isNan, type Operand, ZERO, zero } from "../format.ts";
import { noteDenormals, propagate } from "../nan.ts";
import {
  arctangentRatio,
  FRACTION,
  FRACTION_BITS,
  multiply,
  ONE,
  PI,
  roundInexact,
  shifted,
} from "./fixed-point.ts";

/** The angle of the point (`x`, `y`), of ST(0) and ST(1): from -π to π. */
export function arctangent(ctx: FloatContext, x: Operand, y: Operand): Encoded {
  if (isNan(x) || isNan(y)) return propagate(ctx, EXTENDED, x, y);
  noteDenormals(ctx, x, y);
  const isOnAxis = y.kind === ZERO || (x.kind === INFINITY && y.kind !== INFINITY);
  if (isOnAxis && x.sign === 0) return zero(y.sign);
  const angle = isOnAxis ? PI : specialAngle(x, y);
  if (angle !== undefined) return roundInexact(ctx, y.sign, angle, -FRACTION);
  return ofRatio(ctx, x, y);
}

/** Above one, or infinite: by quarters and eighths of a turn. */
function specialAngle(x: Operand, y: Operand): bigint | undefined {
  if (y.kind === INFINITY && x.kind === INFINITY) return x.sign ? (3n * PI) >> 2n : PI >> 2n;
  return y.kind === INFINITY || x.kind === ZERO ? PI >> 1n : undefined;
}

const isLess = (a: Operand, b: Operand): boolean =>
  a.exponent === b.exponent ? a.significand < b.significand : a.exponent < b.exponent;

function ofRatio(ctx: FloatContext, x: Operand, y: Operand): Encoded {
  const isSteep = isLess(x, y);
  const [small, large] = isSteep ? [x, y] : [y, x];
  const dividend = small.significand << FRACTION_BITS;
  const quotient = dividend / large.significand;
  const exponent = small.exponent - large.exponent;
  if (!isSteep && !x.sign && exponent < -STEP_BITS - 1) {
    const isExact = quotient * large.significand === dividend;
    return ofSmallRatio(ctx, y.sign, isExact ? quotient : quotient | 1n, exponent, isExact);
  }
  const first = arctangentOf(shifted(quotient, exponent));
  const isObtuse = x.sign === 1;
  if (isSteep) {
    const angle = isObtuse ? (PI >> 1n) + first : (PI >> 1n) - first;
    return roundInexact(ctx, y.sign, angle, -FRACTION);
  }
  return roundInexact(ctx, y.sign, isObtuse ? PI - first : first, -FRACTION);
}

/** Below 2^-40 processors take the ratio for the angle. */
const LINEAR_EXPONENT = -41;

/** Of a ratio `quotient * 2 ** (exponent - FRACTION)`. */
function ofSmallRatio(
  ctx: FloatContext,
  sign: number,
  quotient: bigint,
  exponent: number,
  isExact: boolean,
): Encoded {
  if (exponent <= LINEAR_EXPONENT) {
    return roundInexact(ctx, sign, quotient, exponent - FRACTION, isExact);
  }
  const tangent = shifted(quotient, exponent);
  const ratio = arctangentRatio(-multiply(tangent, tangent));
  return roundInexact(ctx, sign, quotient * ratio - 1n, exponent - 2 * FRACTION);
}

/** The table's tangents are multiples of 2^-3. */
const STEP_BITS = 3;
const STEP = ONE >> BigInt(STEP_BITS);

/** atan(0), atan(1/8), … atan(1), by atan(b) - atan(a) = atan((b - a) / (1 + a b)). */
const STEP_ANGLES: readonly bigint[] = (() => {
  const angles = [0n];
  for (let index = 1n; index <= 1n << BigInt(STEP_BITS); index++) {
    const difference = arctangentBetween((index - 1n) * STEP, index * STEP);
    angles.push((angles.at(-1) as bigint) + difference);
  }
  return angles;
})();

/** The angle between those with these tangents. */
function arctangentBetween(a: bigint, b: bigint): bigint {
  const tangent = ((b - a) << FRACTION_BITS) / (ONE + multiply(a, b));
  return multiply(tangent, arctangentRatio(-multiply(tangent, tangent)));
}

/** @param tangent from 0 to 1 */
function arctangentOf(tangent: bigint): bigint {
  const step = (tangent + (STEP >> 1n)) / STEP;
  return (STEP_ANGLES[Number(step)] as bigint) + arctangentBetween(step * STEP, tangent);
}
