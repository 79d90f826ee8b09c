/** String instructions (Intel SDM vol. 1 §7.3.9): RSI, RDI and RCX, as wide as the address size. */

import { RFLAGS } from "../bits.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { isCanonicalLinear, linearOf } from "../memory/linear.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";
import { breakpointsEnabled } from "../system/breakpoints.ts";
import { preparePortAccess } from "../system/io-permission.ts";
import { i32, i64 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import type { MemoryBits, RegionEmitter } from "./emitter.ts";
import type { Family, FlagUse, Instruction } from "./instruction.ts";

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSI = 6;
const RDI = 7;
const PAGE_SIZE = 4096;
/** Elements that one execution of a repeated instruction does; then interrupts have their chance. */
const MAX_ELEMENTS = 4096;
const COMPARE_FLAGS: FlagUse = { written: "OSZAPC" };

interface StringPlace {
  /** Index as in `SEGMENT_INDEX`. */
  readonly segment: number;
  readonly offset: bigint;
}

/** One string instruction under way. */
class StringOperation {
  readonly context: ProcedureContext;
  /** Of an element. */
  readonly bytes: number;
  /** Bytes from an element to the next. */
  readonly step: number;
  /** There are elements left for another time. */
  unfinished = false;

  constructor(context: ProcedureContext) {
    this.context = context;
    const { instruction, processor } = context;
    const byte = (instruction.form.opcode & 1) === 0;
    const isPort = instruction.form.opcode >= 0x6c && instruction.form.opcode <= 0x6f;
    const bits = isPort ? Math.min(context.operandSize, 32) : context.operandSize;
    this.bytes = byte ? 1 : bits / 8;
    this.step = (processor.systemFlags & RFLAGS.DF) !== 0 ? -this.bytes : this.bytes;
  }

  get #width(): number {
    return this.context.instruction.addressSize;
  }

  /** In DS or an override. */
  get source(): StringPlace {
    const offset = this.context.getRegister(RSI, this.#width);
    return { segment: this.context.instruction.segment, offset };
  }

  /** In ES always. */
  get destination(): StringPlace {
    return { segment: SEGMENT_INDEX.es, offset: this.context.getRegister(RDI, this.#width) };
  }

  get count(): bigint {
    return this.context.getRegister(RCX, this.#width);
  }

  set count(value: bigint) {
    this.context.setRegister(RCX, this.#width, value);
  }

  /** Moves pointers on by elements. */
  advance(register: number, elements = 1): void {
    const { context } = this;
    const moved = context.getRegister(register, this.#width) + BigInt(this.step * elements);
    context.setRegister(register, this.#width, moved);
  }

  read({ segment, offset }: StringPlace): bigint {
    return this.context.readMemory(offset, this.bytes, segment);
  }

  write({ segment, offset }: StringPlace, value: bigint): void {
    this.context.writeMemory(offset, this.bytes, value, segment);
  }

  /** Elements from a place to where pointers wrap. */
  elementsBeforeWrap({ offset }: StringPlace): number {
    if (this.step < 0) return Math.floor(Number(offset) / this.bytes) + 1;
    return Math.floor((2 ** this.#width - Number(offset)) / this.bytes);
  }
}

/**
 * Runs `element` once, or as often as the prefix says. It returns whether a comparison was equal,
 * if it compared. A fault leaves the elements before it done.
 * @param bulk does several elements at once if it can, and returns how many
 * @param quick the same before all else, where {@link mayBeQuick}: no more than one execution does
 */
function repeating(
  context: ProcedureContext,
  element: (operation: StringOperation) => boolean | undefined,
  bulk?: (operation: StringOperation, limit: number) => number,
  quick?: (context: ProcedureContext) => number,
): void {
  const { repeat } = context.instruction;
  const quicklyDone = quick !== undefined && mayBeQuick(context) ? quick(context) : 0;
  if (quicklyDone > 0) {
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

/** The instruction goes on where it is: RIP is put back to it. */
function restart(context: ProcedureContext): void {
  const { processor, instruction, next } = context;
  const width = processor.codeSize === 64 ? 64 : 32;
  processor.rip = BigInt.asUintN(width, next - BigInt(instruction.length));
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

function moveBulk(operation: StringOperation, limit: number): number {
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

function storeBulk(operation: StringOperation, limit: number): number {
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
 * Whether nothing but RAM can be in the way, in the case that most guests' copies are: there 64-bit
 * arithmetic, which costs more than a short copy, is not needed.
 */
function mayBeQuick(context: ProcedureContext): boolean {
  const { repeat, addressSize, segment } = context.instruction;
  return (
    repeat !== undefined &&
    addressSize === 64 &&
    segment !== SEGMENT_INDEX.fs &&
    segment !== SEGMENT_INDEX.gs &&
    (context.processor.systemFlags & RFLAGS.DF) === 0 &&
    !trapsEachElement(context)
  );
}

const elementBytes = ({ instruction, operandSize }: ProcedureContext): number =>
  (instruction.form.opcode & 1) === 0 ? 1 : operandSize / 8;

/** Elements from a linear address to the end of its page; 0 if a slower way has to look at it. */
function elementsInPage(linear: number, bytes: number): number {
  if (!isCanonicalLinear(linear)) return 0;
  return Math.floor((PAGE_SIZE - (linear & (PAGE_SIZE - 1))) / bytes);
}

function moveQuickly(context: ProcedureContext): number {
  const { processor, mmu } = context;
  const bytes = elementBytes(context);
  let done = 0;
  while (done < MAX_ELEMENTS) {
    const left = Math.min(processor.gprLinear(RCX), MAX_ELEMENTS - done);
    const source = processor.gprLinear(RSI);
    const destination = processor.gprLinear(RDI);
    const elements = Math.min(
      left,
      elementsInPage(source, bytes),
      elementsInPage(destination, bytes),
    );
    if (elements <= 0) break;
    const length = elements * bytes;
    const from = mmu.translate(source, "read");
    const to = mmu.translate(destination, "write");
    const plain = mmu.memory.allows("read", from, length) && mmu.memory.allows("write", to, length);
    // Overlapping so that elements are read after they were written: one by one.
    if (!plain || (to > from && to < from + length)) break;
    mmu.noticeWrite(to, length);
    mmu.memory.bytes.copyWithin(to, from, from + length);
    processor.advanceGpr(RSI, length);
    processor.advanceGpr(RDI, length);
    processor.advanceGpr(RCX, -elements);
    done += elements;
  }
  return done;
}

function storeQuickly(context: ProcedureContext): number {
  const { processor, mmu } = context;
  const bytes = elementBytes(context);
  const value = processor.gpr32(RAX) & 0xff;
  // All bytes alike, as they mostly are.
  if (bytes > 1 && processor.gprLinear(RAX) !== 0) return 0;
  let done = 0;
  while (done < MAX_ELEMENTS) {
    const left = Math.min(processor.gprLinear(RCX), MAX_ELEMENTS - done);
    const destination = processor.gprLinear(RDI);
    const elements = Math.min(left, elementsInPage(destination, bytes));
    if (elements <= 0) break;
    const length = elements * bytes;
    const to = mmu.translate(destination, "write");
    if (!mmu.memory.allows("write", to, length)) break;
    mmu.noticeWrite(to, length);
    mmu.memory.bytes.fill(value, to, to + length);
    processor.advanceGpr(RDI, length);
    processor.advanceGpr(RCX, -elements);
    done += elements;
  }
  return done;
}

/** Flags of a comparison, as CMP sets them. */
function compare(operation: StringOperation, a: bigint, b: bigint): boolean {
  operation.context.setCompareFlags(a, b, 8 * operation.bytes);
  return a === b;
}

/** One element of a string instruction, as a region of the JIT has it. */
class StringElement {
  readonly bits: MemoryBits;
  readonly #e: RegionEmitter;
  readonly #instruction: DecodedInstruction;

  constructor(e: RegionEmitter, instruction: DecodedInstruction) {
    this.#e = e;
    this.#instruction = instruction;
    this.bits = (instruction.form.opcode & 1) === 0 ? 8 : instruction.operandSize;
  }

  /** In DS or an override. */
  source(): Local<"i64"> {
    return this.#e.pointedTo(RSI, this.#instruction.segment, this.bits / 8, false);
  }

  destination(write: boolean): Local<"i64"> {
    return this.#e.pointedTo(RDI, SEGMENT_INDEX.es, this.bits / 8, write);
  }

  /** Moves a pointer to the next element: down if DF says so. */
  advance(register: number): void {
    const { addressSize } = this.#instruction;
    const bytes = this.bits / 8;
    const down = i32.and(i32.load(i32.const(0), STATE.RFLAGS), i32.const(RFLAGS.DF));
    const twice = i32.shrU(down, i32.const(Math.log2(RFLAGS.DF / (2 * bytes))));
    const step = i64.extendS(i32.sub(i32.const(bytes), twice));
    const moved = i64.add(this.#e.getRegister(register, addressSize), step);
    this.#e.setRegister(register, addressSize, moved);
  }

  compare(a: Local<"i64">, b: Local<"i64">): void {
    this.#e.flags.subtract(a, b, this.#e.let(i64.sub(a, b)), this.bits);
  }
}

function string(
  name: string,
  opcodes: readonly [string, string],
  procedure: (context: ProcedureContext) => void,
  translation?: (e: RegionEmitter, element: StringElement) => void,
  flags: FlagUse = {},
): Instruction {
  return {
    name,
    forms: [opcodes[0], `${opcodes[1]} v`],
    flags,
    repeat: true,
    ends: true,
    procedure,
    ...(translation === undefined
      ? {}
      : {
          resumes: true,
          translation: (e, instruction) => translation(e, new StringElement(e, instruction)),
        }),
  };
}

export const strings: Family = [
  string(
    "MOVS",
    ["A4", "A5"],
    (context) =>
      repeating(
        context,
        (operation) => {
          operation.write(operation.destination, operation.read(operation.source));
          operation.advance(RSI);
          operation.advance(RDI);
          return undefined;
        },
        moveBulk,
        moveQuickly,
      ),
    (e, element) => {
      const value = e.load(element.source(), element.bits);
      e.store(element.destination(true), element.bits, value);
      element.advance(RSI);
      element.advance(RDI);
    },
  ),
  string(
    "STOS",
    ["AA", "AB"],
    (context) =>
      repeating(
        context,
        (operation) => {
          const value = context.getRegister(RAX, 8 * operation.bytes);
          operation.write(operation.destination, value);
          operation.advance(RDI);
          return undefined;
        },
        storeBulk,
        storeQuickly,
      ),
    (e, element) => {
      e.store(element.destination(true), element.bits, e.getRegister(RAX, element.bits));
      element.advance(RDI);
    },
  ),
  string(
    "LODS",
    ["AC", "AD"],
    (context) =>
      repeating(context, (operation) => {
        context.setRegister(RAX, 8 * operation.bytes, operation.read(operation.source));
        operation.advance(RSI);
        return undefined;
      }),
    (e, element) => {
      e.setRegister(RAX, element.bits, e.load(element.source(), element.bits));
      element.advance(RSI);
    },
  ),
  string(
    "SCAS",
    ["AE", "AF"],
    (context) =>
      repeating(context, (operation) => {
        const value = operation.read(operation.destination);
        operation.advance(RDI);
        return compare(operation, context.getRegister(RAX, 8 * operation.bytes), value);
      }),
    (e, element) => {
      const value = e.load(element.destination(false), element.bits);
      element.advance(RDI);
      element.compare(e.let(e.getRegister(RAX, element.bits)), value);
    },
    COMPARE_FLAGS,
  ),
  string(
    "CMPS",
    ["A6", "A7"],
    (context) =>
      repeating(context, (operation) => {
        // Where both fault, silicon tells of the second.
        const second = operation.read(operation.destination);
        const first = operation.read(operation.source);
        operation.advance(RSI);
        operation.advance(RDI);
        return compare(operation, first, second);
      }),
    (e, element) => {
      const second = e.load(element.destination(false), element.bits);
      const first = e.load(element.source(), element.bits);
      element.advance(RSI);
      element.advance(RDI);
      element.compare(first, second);
    },
    COMPARE_FLAGS,
  ),
  string("INS", ["6C", "6D"], (context) => {
    const operation = new StringOperation(context);
    const repeated = context.instruction.repeat !== undefined;
    const port = Number(context.getRegister(RDX, 16));
    preparePortAccess(context.processor, context.mmu, port, operation.bytes);
    if (repeated && operation.count === 0n) return;
    // The page must take the value before the port is asked for it.
    const { segment, offset } = operation.destination;
    context.check(offset, operation.bytes, "write", segment);
    context.outside.portIn(port, operation.bytes, (value) => {
      const destination = operation.destination;
      operation.advance(RDI);
      if (repeated) operation.count -= 1n;
      // Last: memory that is no RAM leaves the processor once more.
      operation.write(destination, BigInt(value));
    });
    // The value comes later: the count is still the one before this element.
    if (repeated && operation.count > 1n) restart(context);
  }),
  string("OUTS", ["6E", "6F"], (context) => {
    const operation = new StringOperation(context);
    const repeated = context.instruction.repeat !== undefined;
    const port = Number(context.getRegister(RDX, 16));
    preparePortAccess(context.processor, context.mmu, port, operation.bytes);
    if (repeated && operation.count === 0n) return;
    const value = operation.read(operation.source);
    operation.advance(RSI);
    if (repeated) operation.count -= 1n;
    context.outside.portOut(port, operation.bytes, Number(value));
    if (repeated && operation.count > 0n) restart(context);
  }),
];
