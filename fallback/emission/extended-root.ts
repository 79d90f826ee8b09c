/** The square root of x87's 80 bits in WebAssembly, of zero and of normal numbers above it. */
import { i32, i64, select } from "../wasm/expression.ts";
import type { FunctionBuilder, Local } from "../wasm/function-builder.ts";
import { f64, truncSatF64S } from "../wasm/simd.ts";
import { newResult, newUnrounded, type Outcome, roundInto } from "./extended-arithmetic.ts";
import { BIAS, type Extended, isPlain, one, TOP_BIT, zero } from "./extended-format.ts";

const HALF_BITS = i64.const(32);
const LOWER_HALF = i64.const(0xffff_ffff);

/** In place; the function under construction returns zero where there is none. As `compute`. */
export function squareRoot(fn: FunctionBuilder, a: Extended, control: Local<"i32">): Outcome {
  const { significand, signExponent } = a;
  const outcome = newResult(fn);
  const result = newUnrounded(fn);
  fn.if(i32.eqz(isPlain(a)), () => fn.return(zero));
  fn.block((done) => {
    fn.set(outcome.significand, significand);
    fn.set(outcome.signExponent, signExponent);
    fn.set(outcome.flags, zero);
    // Also of -0.
    fn.branchIf(i64.eqz(significand), done);
    fn.if(i32.shrU(signExponent, i32.const(15)), () => fn.return(zero));
    // An even power of two apart. BIAS is odd.
    const isEven = fn.let(i32.and(signExponent, one));
    const doubled = i32.add(signExponent, i32.add(isEven, i32.const(BIAS - 1)));
    fn.set(result.sign, zero);
    fn.set(result.exponent, i32.shrU(doubled, one));
    const upper = fn.let(i64.shrU(significand, i64.extendU(isEven)));
    const lower = fn.let(select(isEven, i64.shl(significand, i64.const(63)), i64.const(0)));
    const { root, restUpper, restLower } = rootOf(fn, upper, lower);
    // Half is never met: the rest is more than the root where the next one is nearer.
    const isAbove = i32.or(i64.ne(restUpper, i64.const(0)), i64.gtU(restLower, root));
    const tail = select(isAbove, i64.const(TOP_BIT + 1n), i64.const(1));
    const isExact = i64.eqz(i64.or(restUpper, restLower));
    fn.set(result.upper, root);
    fn.set(result.lower, select(isExact, i64.const(0), tail));
    roundInto(fn, outcome, result, control);
  });
  return outcome;
}

/**
 * Of 128 bits, of which one of the upper two is set: the root as an integer, and what is left, which has 65
 * bits. By its upper half, and a division by that (Zimmermann, Karatsuba Square Root, INRIA RR-3805).
 */
function rootOf(fn: FunctionBuilder, upper: Local<"i64">, lower: Local<"i64">) {
  const half = fn.let(truncSatF64S(f64.sqrt(f64.convertI64U(upper))));
  fn.set(half, select(i64.gtU(half, LOWER_HALF), LOWER_HALF, half));
  const left = fn.let(i64.sub(upper, i64.mul(half, half)));
  // The estimate has 53 bits: it may be one too large or too small.
  fn.if(i64.ltS(left, i64.const(0)), () => {
    fn.set(half, i64.sub(half, i64.const(1)));
    fn.set(left, i64.add(left, i64.add(i64.shl(half, i64.const(1)), i64.const(1))));
  });
  fn.if(i64.gtU(left, i64.shl(half, i64.const(1))), () => {
    fn.set(left, i64.sub(left, i64.add(i64.shl(half, i64.const(1)), i64.const(1))));
    fn.set(half, i64.add(half, i64.const(1)));
  });
  // By twice the half: one bit less of both.
  const dividend = fn.let(i64.or(i64.shl(left, i64.const(31)), i64.shrU(lower, i64.const(33))));
  const quotient = fn.let(i64.divU(dividend, half));
  const rest = i64.sub(dividend, i64.mul(quotient, half));
  const next = i64.and(i64.shrU(lower, HALF_BITS), i64.const(1));
  const over = fn.let(i64.or(i64.shl(rest, i64.const(1)), next));
  const root = fn.let(i64.add(i64.shl(half, HALF_BITS), quotient));
  // Less the quotient's square, which has 65 bits at most.
  const square = fn.let(i64.mul(quotient, quotient));
  const before = fn.let(i64.or(i64.shl(over, HALF_BITS), i64.and(lower, LOWER_HALF)));
  const restLower = fn.let(i64.sub(before, square));
  const taken = i64.add(i64.extendU(i64.ltU(before, square)), i64.shrU(quotient, HALF_BITS));
  const restUpper = fn.let(i64.sub(i64.shrU(over, HALF_BITS), taken));
  fn.if(i64.ltS(restUpper, i64.const(0)), () => {
    fn.set(root, i64.sub(root, i64.const(1)));
    const added = fn.let(i64.or(i64.shl(root, i64.const(1)), i64.const(1)));
    fn.set(restLower, i64.add(restLower, added));
    const carry = i64.extendU(i64.ltU(restLower, added));
    fn.set(restUpper, i64.add(restUpper, i64.add(i64.shrU(root, i64.const(63)), carry)));
  });
  return { root, restUpper, restLower };
}
