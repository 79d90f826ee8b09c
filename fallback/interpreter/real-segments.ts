/** Segment registers of real mode in WebAssembly: what loads, jumps and interrupts have in common. */
import { ATTRIBUTE } from "../processor.ts";
import { PARAGRAPH_SHIFT, SEGMENT, SEGMENT_INDEX, segmentOffset } from "../state.ts";
import { type I32, type I64, i32, i64 } from "../wasm/expression.ts";
import type { FunctionBuilder } from "../wasm/function-builder.ts";

const CS = segmentOffset(SEGMENT_INDEX.cs);
const zero = i32.const(0);

export const isSet = (value: I32, bits: number): I32 =>
  i32.ne(i32.and(value, i32.const(bits)), zero);

/** In real mode: limit and rights stay. */
export function moveSegment(fn: FunctionBuilder, register: I32, selector: I32): void {
  fn.storeNarrow(16, register, i64.extendU(selector), SEGMENT.SELECTOR);
  const base = i64.extendU(i32.shl(selector, i32.const(PARAGRAPH_SHIFT)));
  fn.store(register, base, SEGMENT.BASE);
}

/** Unless code may be at an offset once CS has been moved. */
export const isBeyondParagraph = (offset: I64): I32 =>
  i32.or(
    i32.eqz(isSet(i32.load16U(zero, CS + SEGMENT.ATTRIBUTES), ATTRIBUTE.PRESENT)),
    i64.gtU(offset, i64.load32U(zero, CS + SEGMENT.LIMIT)),
  );
