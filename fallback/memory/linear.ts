/**
 * In TypeScript a linear address is a signed number: canonical addresses have 48 significant bits
 * and so are exact, those of 32-bit modes lie in 0 to 2^32 - 1. What is not canonical has no such
 * form: instructions check (#GP, #SS) before they access memory.
 */
import { LINEAR_BITS } from "../bits.ts";

const WORD = 0x1_0000_0000;
const CANONICAL_END = 2 ** (LINEAR_BITS - 1);

/** @param address canonical, unsigned or signed */
export const linearOf = (address: bigint): number => Number(BigInt.asIntN(64, address));

/** From two 32-bit halves. What is not canonical stays recognisable: {@link isCanonicalLinear}. */
export const linearOfHalves = (low: number, high: number): number =>
  (high | 0) * WORD + (low >>> 0);

export const isCanonicalLinear = (linear: number): boolean =>
  linear >= -CANONICAL_END && linear < CANONICAL_END;
