/**
 * What real-mode code and boot loaders that go to protected mode and back load all the time: segment
 * registers, in WebAssembly.
 */
import { CR0, EFER } from "../bits.ts";
import { plainPlace } from "../emission/page-lookup.ts";
import { ATTRIBUTE, SHADOW } from "../processor.ts";
import { WIDE_STACK } from "../segment-traits.ts";
import {
  CODE_MODE,
  CODE_MODES,
  CODE_SEGMENT,
  CODE_SEGMENT_ENTRIES,
  CODE_SEGMENTS,
  CODE_TRAITS,
  PARAGRAPH_SHIFT,
  SEGMENT,
  SEGMENT_INDEX,
  SEGMENT_SIZE,
  STATE,
  segmentOffset,
} from "../state.ts";
import { type I32, i32, i64, select } from "../wasm/expression.ts";
import { callResult, FunctionBuilder, type Local } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";
import { buildRealInterrupts } from "./real-interrupts.ts";
import { isBeyondParagraph, isSet, moveSegment } from "./real-segments.ts";

/** Indices of functions. What they return is 0 where a procedure has to see: nothing is changed then. */
export interface SegmentLoads {
  /** (register, selector) → i32. The register is an offset in the state. */
  readonly load: number;
  /** (selector, offset: i64) → i32: JMP to another segment. */
  readonly jump: number;
  /** (vector, offset of the next instruction: i64) → i32: INT in real mode. */
  readonly interrupt: number;
  /** () → i32: IRET in real mode, by operand size. */
  readonly interruptReturn: Readonly<Record<16 | 32, number>>;
}

const { ACCESSED, BIG, CODE, CONFORMING, EXPAND_DOWN, GRANULARITY, NOT_SYSTEM, PRESENT, WRITABLE } =
  ATTRIBUTE;
const ATTRIBUTES_SHIFT = 40;
const ATTRIBUTES_MASK = 0xf0ff;
const DPL_SHIFT = 5;
const DESCRIPTOR_BYTES = 8;
const FLAT_LIMIT = 0xffff_ffff;
/** Of the upper half of a key: the number of a code segment. */
const CODE_SEGMENT_BITS = CODE_MODES * Number(CODE_MODE >> 32n);
const TRAITS_SHIFT = Math.log2(Number(CODE_TRAITS >> 32n));
const CS = segmentOffset(SEGMENT_INDEX.cs);
const SS = segmentOffset(SEGMENT_INDEX.ss);
const zero = i32.const(0);

/** @param synchronise index of a function: as `CodeState.synchronise` */
export function buildSegmentLoads(module: ModuleBuilder, synchronise: number): SegmentLoads {
  const descriptor = buildDescriptor(module);
  const enterCode = buildEnterCode(module, synchronise);
  const { interrupt, interruptReturn } = buildRealInterrupts(module, enterCode);
  return {
    load: buildLoad(module, descriptor),
    jump: buildJump(module, descriptor, enterCode),
    ...{ interrupt, interruptReturn },
  };
}

/**
 * (selector) → i64: the descriptor of a segment that has been loaded before, which level 0 may load outside
 * long mode; 0 for all others.
 */
function buildDescriptor(module: ModuleBuilder): number {
  const index = module.addFunction({ parameters: ["i32"], results: ["i64"] });
  const fn = new FunctionBuilder(["i32"]);
  const selector = fn.parameter(0, "i32");
  const refuseIf = (condition: I32): void => fn.if(condition, () => fn.return(i64.const(0)));
  refuseIf(i32.or(i32.load(zero, STATE.CPL), isSet(i32.load(zero, STATE.EFER), EFER.LMA)));
  const offset = fn.let(i32.and(selector, i32.const(0xfff8)));
  // Null, or of the LDT.
  refuseIf(i32.or(i32.eqz(offset), isSet(selector, 4)));
  const last = i32.add(offset, i32.const(DESCRIPTOR_BYTES - 1));
  refuseIf(i32.gtU(last, i32.load(zero, STATE.GDTR_LIMIT)));
  const at = fn.let(i64.extendU(i32.add(i32.load(zero, STATE.GDTR_BASE), offset)));
  const place = plainPlace(fn, at, DESCRIPTOR_BYTES, "read", () => fn.return(i64.const(0)));
  const found = fn.let(i64.load(place));
  const attributes = fn.let(attributesOf(found));
  const needed = NOT_SYSTEM | PRESENT | ACCESSED;
  refuseIf(i32.ne(i32.and(attributes, i32.const(needed)), i32.const(needed)));
  const dpl = i32.and(i32.shrU(attributes, i32.const(DPL_SHIFT)), i32.const(3));
  refuseIf(i32.gtU(i32.and(selector, i32.const(3)), dpl));
  fn.return(found);
  fn.unreachable();
  module.define(index, fn.finish());
  return index;
}

const attributesOf = (descriptor: Local<"i64">): I32 =>
  i32.and(i32.wrap(i64.shrU(descriptor, i64.const(ATTRIBUTES_SHIFT))), i32.const(ATTRIBUTES_MASK));

/** `loadSegment` of `system/segments.ts`, without what is rare. */
function buildLoad(module: ModuleBuilder, descriptorOf: number): number {
  const index = module.addFunction({ parameters: ["i32", "i32"], results: ["i32"] });
  const fn = new FunctionBuilder(["i32", "i32"]);
  const register = fn.parameter(0, "i32");
  const selector = fn.parameter(1, "i32");
  const refuseIf = (condition: I32): void => fn.if(condition, () => fn.return(zero));
  // CS is loaded otherwise, and the two behind GS are none.
  const isCode = i32.eq(register, i32.const(CS));
  refuseIf(i32.or(isCode, i32.gtU(register, i32.const(segmentOffset(SEGMENT_INDEX.gs)))));
  const isStack = fn.let(i32.eq(register, i32.const(SS)));
  // It holds off what waits.
  refuseIf(i32.and(isStack, i32.load(zero, STATE.EVENTS_WAIT)));
  fn.if(
    isSet(i32.load(zero, STATE.CR0), CR0.PE),
    () => {
      const descriptor = fn.let(callResult("i64", descriptorOf, selector));
      refuseIf(i64.eqz(descriptor));
      const attributes = fn.let(attributesOf(descriptor));
      refuseIf(isSet(attributes, CODE | EXPAND_DOWN));
      // A stack is writable, and of the level's own, which is 0.
      const isLevel0 = i32.eqz(isSet(i32.or(attributes, levelBits(selector)), 3 << DPL_SHIFT));
      const isUsable = i32.and(isSet(attributes, WRITABLE), isLevel0);
      refuseIf(i32.and(isStack, i32.eqz(isUsable)));
      setSegment(fn, register, selector, descriptor, attributes);
    },
    () => {
      refuseIf(i32.eqz(isSet(i32.load16U(register, SEGMENT.ATTRIBUTES), PRESENT)));
      moveSegment(fn, register, selector);
    },
  );
  setTraits(fn, register, isStack);
  fn.return(i32.const(1));
  fn.unreachable();
  module.define(index, fn.finish());
  return index;
}

/** RPL where a descriptor's attributes have DPL. */
const levelBits = (selector: I32): I32 =>
  i32.shl(i32.and(selector, i32.const(3)), i32.const(DPL_SHIFT));

/** Of data that does not expand down, or code. */
function setSegment(
  fn: FunctionBuilder,
  register: I32,
  selector: I32,
  descriptor: Local<"i64">,
  attributes: Local<"i32">,
): void {
  const high = fn.let(i32.wrap(i64.shrU(descriptor, i64.const(32))));
  const middle = i32.shl(i32.and(high, i32.const(0xff)), i32.const(16));
  const upper = i32.and(high, i32.const(0xff00_0000));
  const lower = i32.shrU(i32.wrap(descriptor), i32.const(16));
  const base = i32.or(i32.or(lower, middle), upper);
  const limit = fn.let(limitOf(fn, descriptor, attributes));
  fn.store(register, i64.extendU(base), SEGMENT.BASE);
  fn.store(register, limit, SEGMENT.LIMIT);
  fn.storeNarrow(16, register, i64.extendU(selector), SEGMENT.SELECTOR);
  fn.storeNarrow(16, register, i64.extendU(attributes), SEGMENT.ATTRIBUTES);
  const setLast = (field: number, mayAccess: I32): void =>
    fn.store(register, select(mayAccess, i64.extendU(limit), i64.const(-1)), field);
  const isData = i32.eqz(isSet(attributes, CODE));
  const hasBit = isSet(attributes, WRITABLE);
  setLast(SEGMENT.READ_LAST, i32.or(isData, hasBit));
  setLast(SEGMENT.WRITE_LAST, i32.and(isData, hasBit));
}

/** In bytes. */
function limitOf(fn: FunctionBuilder, descriptor: Local<"i64">, attributes: Local<"i32">): I32 {
  const low = i32.and(i32.wrap(descriptor), i32.const(0xffff));
  const high = i32.and(i32.wrap(i64.shrU(descriptor, i64.const(32))), i32.const(0xf_0000));
  const units = fn.let(i32.or(low, high));
  const pages = i32.or(i32.shl(units, i32.const(12)), i32.const(0xfff));
  return select(isSet(attributes, GRANULARITY), pages, units);
}

/** As `segmentTraits`, and what is the stack's. */
function setTraits(fn: FunctionBuilder, register: Local<"i32">, isStack: I32): void {
  const keyAt = STATE.CODE_KEY + 4;
  const key = fn.let(i32.load(zero, keyAt));
  const setTrait = (trait: I32, value: I32): void => {
    const bit = fn.let(i32.shl(trait, i32.const(TRAITS_SHIFT)));
    const others = i32.and(key, i32.xor(bit, i32.const(-1)));
    fn.set(key, select(value, i32.or(key, bit), others));
  };
  fn.if(i32.leU(register, i32.const(segmentOffset(SEGMENT_INDEX.ds))), () => {
    const number = i32.shrU(
      i32.sub(register, i32.const(STATE.SEGMENTS)),
      i32.const(Math.log2(SEGMENT_SIZE)),
    );
    const hasLimit = (field: number): I32 =>
      i64.eq(i64.load(register, field), i64.const(FLAT_LIMIT));
    const hasLimits = i32.and(hasLimit(SEGMENT.READ_LAST), hasLimit(SEGMENT.WRITE_LAST));
    const isFlat = i32.and(hasLimits, i64.eqz(i64.load(register, SEGMENT.BASE)));
    setTrait(i32.shl(i32.const(1), number), isFlat);
  });
  fn.if(isStack, () => {
    const isWide = fn.let(isSet(i32.load16U(zero, SS + SEGMENT.ATTRIBUTES), BIG));
    setTrait(i32.const(WIDE_STACK), isWide);
    const mask = select(isWide, i64.const(0xffff_ffff), i64.const(0xffff));
    fn.store(zero, mask, STATE.STACK_MASK);
    const others = i32.and(i32.load(zero, STATE.SHADOW), i32.const(~SHADOW.STI));
    fn.store(zero, i32.or(others, i32.const(SHADOW.MOV_SS)), STATE.SHADOW);
    fn.store(zero, i32.load(zero, STATE.BUDGET), STATE.SHADOW_BUDGET);
  });
  fn.store(zero, key, keyAt);
}

/** (offset: i64): goes there in the code segment that has been loaded: its number is mostly known. */
function buildEnterCode(module: ModuleBuilder, synchronise: number): number {
  const index = module.addFunction({ parameters: ["i64"], results: [] });
  const fn = new FunctionBuilder(["i64"]);
  fn.store(zero, fn.parameter(0, "i64"), STATE.RIP);
  const base = fn.let(i32.load(zero, CS + SEGMENT.BASE));
  const isBig = isSet(i32.load16U(zero, CS + SEGMENT.ATTRIBUTES), BIG);
  const size = fn.let(select(isBig, i32.const(32), i32.const(16)));
  const hash = i32.xor(i32.shrU(base, i32.const(PARAGRAPH_SHIFT)), size);
  const place = i32.and(hash, i32.const(CODE_SEGMENT_ENTRIES - 1));
  const entry = fn.let(i32.mul(place, i32.const(CODE_SEGMENT.ENTRY_SIZE)));
  const has = (field: number, value: I32): I32 =>
    i32.eq(i32.load(entry, CODE_SEGMENTS + field), value);
  const isSame = i32.and(
    i32.and(has(CODE_SEGMENT.BASE, base), has(CODE_SEGMENT.SIZE, size)),
    has(CODE_SEGMENT.LIMIT, i32.load(zero, CS + SEGMENT.LIMIT)),
  );
  fn.if(
    isSame,
    () => {
      const others = i32.and(i32.load(zero, STATE.CODE_KEY + 4), i32.const(~CODE_SEGMENT_BITS));
      const mode = i32.load(entry, CODE_SEGMENTS + CODE_SEGMENT.MODE);
      fn.store(zero, i32.or(others, mode), STATE.CODE_KEY + 4);
      fn.store(zero, base, STATE.CODE_BASE);
    },
    () => fn.call(synchronise),
  );
  module.define(index, fn.finish());
  return index;
}

/** `farJump` of `system/far-transfer.ts`, without what is rare. */
function buildJump(module: ModuleBuilder, descriptorOf: number, enterCode: number): number {
  const index = module.addFunction({ parameters: ["i32", "i64"], results: ["i32"] });
  const fn = new FunctionBuilder(["i32", "i64"]);
  const selector = fn.parameter(0, "i32");
  const offset = fn.parameter(1, "i64");
  const refuseIf = (condition: I32): void => fn.if(condition, () => fn.return(zero));
  fn.if(
    isSet(i32.load(zero, STATE.CR0), CR0.PE),
    () => {
      const descriptor = fn.let(callResult("i64", descriptorOf, selector));
      refuseIf(i64.eqz(descriptor));
      const attributes = fn.let(attributesOf(descriptor));
      const isPlain = i32.eq(i32.and(attributes, i32.const(CODE | CONFORMING)), i32.const(CODE));
      refuseIf(i32.eqz(isPlain));
      refuseIf(isSet(i32.or(attributes, levelBits(selector)), 3 << DPL_SHIFT));
      const limit = fn.let(limitOf(fn, descriptor, attributes));
      refuseIf(i64.gtU(offset, i64.extendU(limit)));
      setSegment(fn, i32.const(CS), selector, descriptor, attributes);
    },
    () => {
      refuseIf(isBeyondParagraph(offset));
      moveSegment(fn, i32.const(CS), selector);
    },
  );
  fn.call(enterCode, offset);
  fn.return(i32.const(1));
  fn.unreachable();
  module.define(index, fn.finish());
  return index;
}
