/** Repeated string instructions, and how they do many elements at once. */

import { RFLAGS } from "../bits.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { isCanonicalLinear, linearOf } from "../memory/linear.ts";
import type { Processor } from "../processor.ts";
import { SEGMENT, SEGMENT_INDEX, segmentOffset } from "../state.ts";
import { breakpointsEnabled } from "../system/breakpoints.ts";
import {
  MAX_ELEMENTS,
  RAX,
  RCX,
  RDI,
  RSI,
  restart,
  StringOperation,
  type StringPlace,
} from "./string-operation.ts";

const PAGE_SIZE = 4096;
const WORD = 0x1_0000_0000;

/**
 * Runs `element` once, or as often as the prefix says. It returns whether a comparison was equal,
 * if it compared. A fault leaves the elements before it done.
 * @param bulk does several elements at once if it can, and returns how many
 * @param quick the same before all else, where {@link mayBeQuick}: no more than one execution does
 */
export function repeating(
  context: ProcedureContext,
  element: (operation: StringOperation) => boolean | undefined,
  bulk?: (operation: StringOperation, limit: number) => number,
  quick?: (context: ProcedureContext) => number,
): void {
  const { repeat } = context.instruction;
  const isQuick = quick !== undefined && mayBeQuick(context);
  const quicklyDone = isQuick ? quick(context) : 0;
  if (isQuick) {
    context.spend(quicklyDone);
    if (context.processor.gprLinear(RCX) === 0) return;
  }
  const operation = new StringOperation(context);
  if (repeat === undefined) {
    element(operation);
    return;
  }
  // A count of 32 bits is zero-extended even if it is zero.
  operation.count -= 0n;
  const flags = context.saveFlags();
  const before = operation.count;
  try {
    repeatElements(operation, repeat, MAX_ELEMENTS - quicklyDone, element, bulk);
  } catch (fault) {
    // Intel SDM vol. 2B, REP: as if no element had been compared.
    context.restoreFlags(flags);
    throw fault;
  } finally {
    // Elements take time, so that slices do not get long by them.
    context.spend(Number(before - operation.count));
  }
  if (operation.unfinished && operation.count !== 0n) restart(context);
}

const trapsEachElement = ({ processor, outside }: ProcedureContext): boolean =>
  (processor.systemFlags & RFLAGS.TF) !== 0 || breakpointsEnabled(processor) || outside.watching;

function repeatElements(
  operation: StringOperation,
  repeat: number,
  most: number,
  element: (operation: StringOperation) => boolean | undefined,
  bulk?: (operation: StringOperation, limit: number) => number,
): void {
  // Traps come after each element.
  let left = trapsEachElement(operation.context) ? 1 : most;
  while (left > 0) {
    const { count } = operation;
    if (count === 0n) return;
    const limit = count < BigInt(left) ? Number(count) : left;
    const many = bulk?.(operation, limit) ?? 0;
    if (many > 0) {
      operation.count = count - BigInt(many);
      left -= many;
      continue;
    }
    const equal = element(operation);
    operation.count = count - 1n;
    left--;
    if (equal !== undefined && equal !== (repeat === 0xf3)) return;
    // What devices have answered is done: the next element's accesses are others.
    if (operation.context.mmu.mmio.replayed) break;
  }
  operation.unfinished = true;
}

/**
 * Elements from a place on, in the direction of the instruction, to the end of its page or to where
 * pointers wrap; none if not all of them are plain memory that the segment permits.
 * @returns how many, and the guest physical address of the first
 */
function plainElements(
  operation: StringOperation,
  place: StringPlace,
  access: "read" | "write",
  limit: number,
): { at: number; elements: number } {
  const { context, bytes, step } = operation;
  const linear = linearOf(context.linear(place.segment, place.offset));
  const offset = linear & (PAGE_SIZE - 1);
  const inPage = step > 0 ? PAGE_SIZE - offset : offset + bytes;
  const beforeWrap = operation.elementsBeforeWrap(place);
  const elements = Math.min(limit, Math.floor(inPage / bytes), beforeWrap);
  const none = { at: 0, elements: 0 };
  if (elements === 0 || inPage > PAGE_SIZE || !isCanonicalLinear(linear)) return none;
  const length = elements * bytes;
  const before = step > 0 ? 0 : length - bytes;
  const first = place.offset - BigInt(before);
  if (!context.isInSegment(place.segment, first, length, access)) return none;
  const { mmu } = context;
  if (mmu.watched(linear - before, length)) return none;
  const at = mmu.translate(linear, access);
  return mmu.memory.allows(access, at - before, length) ? { at, elements } : none;
}

export function moveBulk(operation: StringOperation, limit: number): number {
  const from = plainElements(operation, operation.source, "read", limit);
  const to = plainElements(operation, operation.destination, "write", limit);
  const elements = Math.min(from.elements, to.elements);
  const length = elements * operation.bytes;
  const { context, step, bytes } = operation;
  // Overlapping so that elements are read after they were written: one by one.
  const ahead = step > 0 ? to.at - from.at : from.at - to.at;
  if (elements === 0 || (ahead > 0 && ahead < length)) return 0;
  const { mmu } = context;
  const before = step > 0 ? 0 : length - bytes;
  const [target, source] = [to.at - before, from.at - before];
  mmu.noticeWrite(target, length);
  mmu.memory.bytes.copyWithin(target, source, source + length);
  operation.advance(RSI, elements);
  operation.advance(RDI, elements);
  return elements;
}

export function storeBulk(operation: StringOperation, limit: number): number {
  const to = plainElements(operation, operation.destination, "write", limit);
  const { context, bytes, step } = operation;
  // Downwards there is nothing to be gained: nobody fills memory so.
  if (to.elements === 0 || step < 0) return 0;
  const { mmu } = context;
  const length = to.elements * bytes;
  mmu.noticeWrite(to.at, length);
  const value = context.getRegister(RAX, 8 * bytes);
  const target = mmu.memory.bytes.subarray(to.at, to.at + length);
  for (let i = 0; i < bytes; i++) target[i] = Number((value >> BigInt(8 * i)) & 0xffn);
  for (let done = bytes; done < length; done *= 2) target.copyWithin(done, 0, done);
  operation.advance(RDI, to.elements);
  return to.elements;
}

/**
 * Whether nothing but RAM can be in the way, in the cases that most guests' copies are: there 64-bit
 * arithmetic, which costs more than a short copy, is not needed.
 */
function mayBeQuick(context: ProcedureContext): boolean {
  const { repeat, addressSize, segment } = context.instruction;
  const { code64, systemFlags } = context.processor;
  const isSimple = code64
    ? addressSize === 64 && segment !== SEGMENT_INDEX.fs && segment !== SEGMENT_INDEX.gs
    : addressSize === 32;
  return (
    repeat !== undefined &&
    isSimple &&
    (systemFlags & RFLAGS.DF) === 0 &&
    !trapsEachElement(context) &&
    !context.processor.checksAlignment
  );
}

const elementBytes = ({ instruction, operandSize }: ProcedureContext): number =>
  (instruction.form.opcode & 1) === 0 ? 1 : operandSize / 8;

/** RSI or RDI on the way upwards, where {@link mayBeQuick}. */
class QuickPointer {
  readonly #p: Processor;
  readonly #register: number;
  readonly #isLong: boolean;
  readonly #base: number = 0;
  /** The last offset that may surely be accessed. */
  readonly #last: number = Number.POSITIVE_INFINITY;

  constructor(p: Processor, register: number, segment: number, access: "read" | "write") {
    this.#p = p;
    this.#register = register;
    this.#isLong = p.code64;
    if (this.#isLong) return;
    const at = segmentOffset(segment);
    const last = at + (access === "read" ? SEGMENT.READ_LAST : SEGMENT.WRITE_LAST);
    this.#base = p.view.getUint32(at + SEGMENT.BASE, true);
    this.#last = p.view.getInt32(last + 4, true) < 0 ? -1 : p.view.getUint32(last, true);
  }

  get linear(): number {
    const { gpr } = this;
    return this.#isLong ? gpr : this.#base + gpr;
  }

  get gpr(): number {
    const p = this.#p;
    return this.#isLong ? p.gprLinear(this.#register) : p.gpr32(this.#register);
  }

  /** Elements to the end of the page; 0 if a slower way has to look at it. */
  elements(bytes: number): number {
    const { linear } = this;
    if (this.#isLong ? !isCanonicalLinear(linear) : linear >= WORD) return 0;
    const inPage = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
    const inSegment = this.#isLong ? inPage : this.#last - this.gpr + 1;
    return Math.max(0, Math.floor(Math.min(inPage, inSegment) / bytes));
  }

  advance(length: number): void {
    if (this.#isLong) this.#p.advanceGpr(this.#register, length);
    else this.#p.setGpr32(this.#register, this.gpr + length);
  }
}

export function moveQuickly(context: ProcedureContext): number {
  const { processor, mmu } = context;
  const bytes = elementBytes(context);
  const source = new QuickPointer(processor, RSI, context.instruction.segment, "read");
  const destination = new QuickPointer(processor, RDI, SEGMENT_INDEX.es, "write");
  let done = 0;
  while (done < MAX_ELEMENTS) {
    const left = Math.min(processor.gprLinear(RCX), MAX_ELEMENTS - done);
    const elements = Math.min(left, source.elements(bytes), destination.elements(bytes));
    if (elements <= 0) break;
    const length = elements * bytes;
    const from = mmu.translate(source.linear, "read");
    const to = mmu.translate(destination.linear, "write");
    const plain = mmu.memory.allows("read", from, length) && mmu.memory.allows("write", to, length);
    // Overlapping so that elements are read after they were written: one by one.
    if (!plain || (to > from && to < from + length)) break;
    mmu.noticeWrite(to, length);
    mmu.memory.bytes.copyWithin(to, from, from + length);
    source.advance(length);
    destination.advance(length);
    processor.advanceGpr(RCX, -elements);
    done += elements;
  }
  return done;
}

export function storeQuickly(context: ProcedureContext): number {
  const { processor, mmu } = context;
  const bytes = elementBytes(context);
  const value = processor.gpr32(RAX) & 0xff;
  // All bytes alike, as they mostly are.
  if (bytes > 1 && processor.gprLinear(RAX) !== 0) return 0;
  const destination = new QuickPointer(processor, RDI, SEGMENT_INDEX.es, "write");
  let done = 0;
  while (done < MAX_ELEMENTS) {
    const left = Math.min(processor.gprLinear(RCX), MAX_ELEMENTS - done);
    const elements = Math.min(left, destination.elements(bytes));
    if (elements <= 0) break;
    const length = elements * bytes;
    const to = mmu.translate(destination.linear, "write");
    if (!mmu.memory.allows("write", to, length)) break;
    mmu.noticeWrite(to, length);
    mmu.memory.bytes.fill(value, to, to + length);
    destination.advance(length);
    processor.advanceGpr(RCX, -elements);
    done += elements;
  }
  return done;
}
