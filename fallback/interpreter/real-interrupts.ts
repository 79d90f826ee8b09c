/** INT and IRET in real mode, in WebAssembly: calls of a BIOS. */
import { CR0, RFLAGS } from "../bits.ts";
import { plainPlace } from "../emission/page-lookup.ts";
import { FlagEmitter } from "../isa/flag-emitter.ts";
import { changedFlags, mayChangeFlags } from "../isa/interrupt-flag.ts";
import { flagsInMemory } from "../jit/flag-kinds.ts";
import { GPR, SHADOW } from "../processor.ts";
import { SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "../state.ts";
import { type I32, i32, i64 } from "../wasm/expression.ts";
import { FunctionBuilder, type Local } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";
import { isBeyondParagraph, isSet, moveSegment } from "./real-segments.ts";
import type { SegmentLoads } from "./segment-loads.ts";

const ENTRY_BYTES = 4;
/** What an interrupt clears (Intel SDM vol. 3A §20.1.4). */
const CLEARED = RFLAGS.IF | RFLAGS.TF | RFLAGS.AC | RFLAGS.RF;
const CS = segmentOffset(SEGMENT_INDEX.cs);
const SS = segmentOffset(SEGMENT_INDEX.ss);
const RSP = STATE.GPR + 8 * GPR.rsp;
const zero = i32.const(0);
const isProtected = (): I32 => isSet(i32.load(zero, STATE.CR0), CR0.PE);

/** @param enterCode as `segment-loads.ts` makes it */
export function buildRealInterrupts(
  module: ModuleBuilder,
  enterCode: number,
): Pick<SegmentLoads, "interrupt" | "interruptReturn"> {
  return {
    interrupt: buildInterrupt(module, enterCode),
    interruptReturn: {
      16: buildReturn(module, enterCode, 2),
      32: buildReturn(module, enterCode, 4),
    },
  };
}

/** As `interruptInstruction` of `system/interrupts.ts`. */
function buildInterrupt(module: ModuleBuilder, enterCode: number): number {
  const index = module.addFunction({ parameters: ["i32", "i64"], results: ["i32"] });
  const fn = new FunctionBuilder(["i32", "i64"]);
  const next = fn.parameter(1, "i64");
  const refuse = (): void => fn.return(zero);
  const system = fn.let(i32.load(zero, STATE.RFLAGS));
  fn.if(i32.or(isProtected(), isSet(system, RFLAGS.TF)), refuse);
  const entry = fn.let(i32.mul(fn.parameter(0, "i32"), i32.const(ENTRY_BYTES)));
  const last = i32.add(entry, i32.const(ENTRY_BYTES - 1));
  fn.if(i32.gtU(last, i32.load(zero, STATE.IDTR_LIMIT)), refuse);
  const at = fn.let(i64.extendU(i32.add(i32.load(zero, STATE.IDTR_BASE), entry)));
  const pointer = plainPlace(fn, at, ENTRY_BYTES, "read", refuse);
  const offset = fn.let(i64.load16U(pointer));
  const selector = fn.let(i32.load16U(pointer, 2));
  fn.if(isBeyondParagraph(offset), refuse);
  const { place, top } = stackFrame(fn, 6, "push", refuse);
  const flags = i32.or(system, new FlagEmitter(flagsInMemory(fn)).image());
  fn.storeNarrow(16, place, i64.extendU(flags), 4);
  fn.storeNarrow(16, place, i64.load16U(zero, CS + SEGMENT.SELECTOR), 2);
  fn.storeNarrow(16, place, next, 0);
  moveStack(fn, top);
  fn.store(zero, i32.and(system, i32.const(~CLEARED)), STATE.RFLAGS);
  const held = i32.and(i32.load(zero, STATE.SHADOW), i32.const(SHADOW.NMI));
  fn.store(zero, held, STATE.SHADOW);
  moveSegment(fn, i32.const(CS), selector);
  fn.call(enterCode, offset);
  fn.return(i32.const(1));
  fn.unreachable();
  module.define(index, fn.finish());
  return index;
}

/** As `interruptReturn` of `system/interrupt-return.ts`. @param bytes of each value on the stack */
function buildReturn(module: ModuleBuilder, enterCode: number, bytes: 2 | 4): number {
  const index = module.addFunction({ parameters: [], results: ["i32"] });
  const fn = new FunctionBuilder([]);
  const refuse = (): void => fn.return(zero);
  const holdsNmi = isSet(i32.load(zero, STATE.SHADOW), SHADOW.NMI);
  fn.if(i32.or(isProtected(), holdsNmi), refuse);
  const { place, top } = stackFrame(fn, 3 * bytes, "pop", refuse);
  const offset = fn.let((bytes === 2 ? i64.load16U : i64.load32U)(place));
  fn.if(isBeyondParagraph(offset), refuse);
  const system = fn.let(i32.load(zero, STATE.RFLAGS));
  const popped = fn.let((bytes === 2 ? i32.load16U : i32.load)(place, 2 * bytes));
  const changed = fn.let(changedFlags(popped, system, 8 * bytes));
  fn.if(i32.eqz(mayChangeFlags(changed, system)), refuse);
  const selector = fn.let(i32.load16U(place, bytes));
  moveStack(fn, top);
  fn.store(zero, i32.xor(system, changed), STATE.RFLAGS);
  new FlagEmitter(flagsInMemory(fn)).fromImage(popped);
  moveSegment(fn, i32.const(CS), selector);
  fn.call(enterCode, offset);
  fn.return(i32.const(1));
  fn.unreachable();
  module.define(index, fn.finish());
  return index;
}

/**
 * Memory offset of what is pushed or popped at once, and the stack pointer behind it: as `nearStack` of
 * `system/stack.ts`, and all of it in a window or on a page that the TLB has.
 */
function stackFrame(
  fn: FunctionBuilder,
  bytes: number,
  action: "push" | "pop",
  refuse: () => void,
): { place: Local<"i32">; top: Local<"i64"> } {
  const pushes = action === "push";
  const mask = i64.load(zero, STATE.STACK_MASK);
  const pointer = i64.and(i64.load(zero, RSP), mask);
  const bottom = fn.let(pushes ? i64.sub(pointer, i64.const(bytes)) : pointer);
  const last = fn.let(i64.add(bottom, i64.const(bytes - 1)));
  const limit = i64.load(zero, SS + SEGMENT[pushes ? "WRITE_LAST" : "READ_LAST"]);
  const wraps = i64.gtU(last, i64.load(zero, STATE.STACK_MASK));
  fn.if(i32.or(i64.ltS(bottom, i64.const(0)), i32.or(wraps, i64.gtS(last, limit))), refuse);
  const linear = fn.let(i64.add(bottom, i64.load(zero, SS + SEGMENT.BASE)));
  const end = i64.add(linear, i64.const(bytes - 1));
  fn.if(i32.wrap(i64.shrU(end, i64.const(32))), refuse);
  const place = plainPlace(fn, linear, bytes, pushes ? "write" : "read", refuse);
  return { place, top: pushes ? bottom : fn.let(i64.add(last, i64.const(1))) };
}

/** Bits outside the stack's width keep their values. */
function moveStack(fn: FunctionBuilder, top: Local<"i64">): void {
  const mask = fn.let(i64.load(zero, STATE.STACK_MASK));
  const kept = i64.and(i64.load(zero, RSP), i64.xor(mask, i64.const(-1)));
  fn.store(zero, i64.or(kept, i64.and(top, mask)), RSP);
}
