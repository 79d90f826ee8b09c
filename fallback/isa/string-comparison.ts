/** What PCMPISTRI and its like call: the function of `buildStringComparison`. */
import type { I32, V128 } from "../wasm/expression.ts";
import type { Signature } from "../wasm/module-builder.ts";

/** Fields of the immediate. */
export const STRING_CONTROL = {
  WORDS: 1 << 0,
  SIGNED: 1 << 1,
  AGGREGATION: 3 << 2,
  NEGATIVE: 1 << 4,
  ONLY_VALID: 1 << 5,
  /** Of the result: the last index, or a mask of whole elements. */
  LAST_OR_WIDE: 1 << 6,
} as const;

export const AGGREGATION = {
  EQUAL_ANY: 0 << 2,
  RANGES: 1 << 2,
  EQUAL_EACH: 2 << 2,
  EQUAL_ORDERED: 3 << 2,
} as const;

/** In the place of a length: up to a zero. */
export const UP_TO_ZERO = -1;

/**
 * Behind the immediate: the first operand and the second, and how many elements of each count: up to
 * 16, or {@link UP_TO_ZERO}.
 */
export type StringOperands = readonly [set: V128, text: V128, setLength: I32, textLength: I32];

/** The result has the arithmetic flags as RFLAGS has them, and so far above them a mask of the text's elements. */
export const MASK_SHIFT = 16;

export const STRING_COMPARISON: Signature = {
  parameters: ["i32", "v128", "v128", "i32", "i32"],
  results: ["i32"],
};
