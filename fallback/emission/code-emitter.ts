import { FSW, LINEAR_BITS } from "../bits.ts";
import { VECTOR } from "../exceptions.ts";
import type { Emitter, KnownWay, MemoryBits } from "../isa/emitter.ts";
import { type FlagEmitter, signExtend, zeroExtend } from "../isa/flag-emitter.ts";
import type { Operand } from "../isa/operand.ts";
import type { StringOperands } from "../isa/string-comparison.ts";
import { SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "../state.ts";
import {
  type Expression,
  type I32,
  type I64,
  i32,
  i64,
  type V128,
  type ValueType,
} from "../wasm/expression.ts";
import { type FunctionBuilder, isVariable, type Local } from "../wasm/function-builder.ts";
import { i64x2, v128 } from "../wasm/simd.ts";
import {
  type FoundMemory,
  GuestAccess,
  type Miss,
  type SlowAccess,
  type VectorBits,
  type WindowsOfNow,
} from "./guest-access.ts";

const RSP = 4;
const WIDE_STACK_MASK = 0xffff_ffffn;

/**
 * What the emitters of the interpreter and of the JIT have in common: accesses to memory, the stack,
 * the transitions of MMX. Where registers are, what operands name and how code is left is theirs.
 */
export abstract class CodeEmitter implements Emitter {
  abstract readonly bits: MemoryBits;
  abstract readonly long: boolean;
  abstract readonly flags: FlagEmitter;
  protected readonly fn: FunctionBuilder;
  protected readonly access: GuestAccess;

  /**
   * @param slow undefined if accesses that are not plain are to fail
   * @param found, known as {@link GuestAccess} takes them
   */
  constructor(
    fn: FunctionBuilder,
    slow: SlowAccess | undefined,
    found?: FoundMemory,
    known?: WindowsOfNow,
  ) {
    this.fn = fn;
    this.access = new GuestAccess(fn, slow, (miss) => this.leaveFaulting(miss), found, known);
  }

  /** Leaves the code at the instruction: an access has failed, or {@link fault} says why. */
  protected abstract leaveFaulting(miss?: Miss): void;
  /** The value of an immediate, sign-extended to 64 bits. */
  protected abstract immediate(operand: Operand): I64;
  /** Linear address of a memory operand. */
  protected abstract place(operand: Operand, write: boolean): Local<"i64">;
  /** Register operands of any kind: zero-extended, and as `Emitter.write` says. */
  protected abstract readRegister(operand: Operand): I64;
  protected abstract writeRegister(operand: Operand, value: I64): void;
  /** Vector registers: zeros above the operand's width; all of an XMM register. */
  protected abstract readVectorRegister(operand: Operand): V128;
  protected abstract writeVectorRegister(operand: Operand, value: V128): void;
  /** Where the upper half of a YMM register is, as a place and what is added to it. */
  protected abstract upperHalf(operand: Operand): readonly [place: I32, offset: number];

  abstract getRegister(register: number, bits: MemoryBits): I64;
  abstract setRegister(register: number, bits: MemoryBits, value: I64): void;
  abstract setVector(register: number, value: V128): void;
  abstract compareStrings(control: I32, ...operands: StringOperands): Local<"i32">;
  abstract effectiveAddress(operand: Operand): I64;
  abstract nextRip(): I64;
  abstract budget(): I32;
  abstract jump(target: I64, way?: KnownWay): void;
  abstract fallbackUnless(condition: I32): void;
  abstract fault(vector: number, errorCode?: number): void;

  variable<Type extends ValueType>(value: Expression<Type>): Local<Type> {
    const local = this.local(value.type);
    this.set(local, value);
    return local;
  }

  let<Type extends ValueType>(value: Expression<Type>): Local<Type> {
    return this.fn.let(value);
  }

  local<Type extends ValueType>(type: Type): Local<Type> {
    return this.fn.local(type);
  }

  set<Type extends ValueType>(local: Local<Type>, value: Expression<Type>): void {
    this.fn.set(local, value);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    this.fn.if(condition, then, otherwise);
  }

  ifRarely(condition: I32, then: () => void): void {
    this.if(condition, then);
  }

  read(operand: Operand): Local<"i64"> {
    switch (operand.kind) {
      case "memory":
        return this.load(this.place(operand, false), operand.bits as MemoryBits);
      case "immediate":
        return this.let(zeroExtend(this.immediate(operand), operand.bits));
      default:
        return this.let(this.readRegister(operand));
    }
  }

  readSigned(operand: Operand): Local<"i64"> {
    if (operand.kind === "immediate") return this.let(this.immediate(operand));
    return this.let(signExtend(this.read(operand), operand.bits));
  }

  write(operand: Operand, value: I64): void {
    if (operand.kind === "memory") {
      this.store(this.place(operand, true), operand.bits as MemoryBits, value);
    } else this.writeRegister(operand, value);
  }

  modify(operand: Operand, change: (old: Local<"i64">) => I64): void {
    if (operand.kind !== "memory") {
      this.write(operand, change(this.read(operand)));
      return;
    }
    const bits = operand.bits as MemoryBits;
    const address = this.place(operand, true);
    const old = this.loadForWrite(address, bits);
    this.store(address, bits, change(old));
  }

  readVector(operand: Operand, alignment?: "unaligned"): Local<"v128"> {
    const bits = operand.bits as VectorBits;
    if (operand.kind !== "memory") return this.let(this.readVectorRegister(operand));
    const address = this.place(operand, false);
    if (bits === 128 && alignment === undefined) this.#checkAligned(address);
    return this.access.loadVector(address, bits);
  }

  writeVector(operand: Operand, value: V128, alignment?: "unaligned"): void {
    if (operand.bits !== 128) {
      this.write(operand, i64x2.extractLane(value, 0));
      return;
    }
    if (operand.kind !== "memory") {
      this.writeVectorRegister(operand, value);
      return;
    }
    const address = this.place(operand, true);
    if (alignment === undefined) this.#checkAligned(address);
    this.access.storeVector(address, value);
  }

  readHalves(operand: Operand, alignment?: "aligned"): readonly Local<"v128">[] {
    const { bits } = operand;
    const narrow = { ...operand, bits: Math.min(bits, 128) };
    if (operand.kind !== "memory") {
      const lower = this.let(this.readVectorRegister(narrow));
      if (bits <= 128) return [lower];
      const [place, offset] = this.upperHalf(operand);
      return [lower, this.let(v128.load(place, offset))];
    }
    const address = this.place(operand, false);
    if (alignment !== undefined) this.#checkAligned(address, bits);
    const lower = this.access.loadVector(address, narrow.bits as VectorBits);
    if (bits <= 128) return [lower];
    return [lower, this.access.loadVector(this.let(i64.add(address, i64.const(16))), 128)];
  }

  writeHalves(operand: Operand, halves: readonly V128[], alignment?: "aligned"): void {
    const { kind, bits } = operand;
    const [lower = i64x2.const(0), upper = i64x2.const(0)] = halves;
    if (kind !== "memory") {
      const values = [this.let(lower), this.let(upper)] as const;
      this.writeVectorRegister({ ...operand, bits: 128 }, values[0]);
      const [place, offset] = this.upperHalf(operand);
      this.fn.store(place, values[1], offset);
      return;
    }
    const address = this.place(operand, true);
    if (alignment !== undefined) this.#checkAligned(address, bits);
    if (bits === 128) this.access.storeVector(address, lower);
    else this.access.storeHalves(address, lower, upper);
  }

  clearUpperHalves(): void {
    const clear = (first: number): void => {
      for (let register = first; register < first + 8; register++) {
        this.fn.store(i32.const(0), i64x2.const(0), STATE.YMM_UPPER + 16 * register);
      }
    };
    clear(0);
    this.fn.if(i32.load(i32.const(0), STATE.CODE64), () => clear(8));
  }

  mxcsr(): I32 {
    return i32.load(i32.const(0), STATE.MXCSR);
  }

  mxcsrIs(mask: number, modes: number): I32 {
    return i32.eq(i32.and(this.mxcsr(), i32.const(mask)), i32.const(modes));
  }

  isKnownNormal(_operand: Operand): boolean {
    return false;
  }

  assumeNormal(_operand: Operand): void {}

  /** Before an instruction with MMX registers: an x87 exception may be pending. */
  beginMmx(): void {
    const status = i32.load16U(i32.const(0), STATE.X87_STATUS);
    this.faultIf(i32.and(status, i32.const(FSW.ES)), VECTOR.MF);
  }

  /** The stack's top is the first register (vol. 1 §9.5.1). */
  resetMmxTop(): void {
    const zero = i32.const(0);
    const status = i64.load16U(zero, STATE.X87_STATUS);
    this.fn.storeNarrow(16, zero, i64.and(status, i64.const(0xffff & ~FSW.TOP)), STATE.X87_STATUS);
  }

  /** After one: all registers are valid. */
  validateMmx(): void {
    this.fn.storeNarrow(8, i32.const(0), i64.const(0xff), STATE.X87_TAGS);
  }

  address(operand: Operand, write: boolean): Local<"i64"> {
    return this.place(operand, write);
  }

  load(address: Local<"i64">, bits: MemoryBits): Local<"i64"> {
    return this.access.load(address, bits);
  }

  loadForWrite(address: Local<"i64">, bits: MemoryBits): Local<"i64"> {
    return this.access.loadForWrite(address, bits);
  }

  store(address: Local<"i64">, bits: MemoryBits, value: I64): void {
    this.access.store(address, bits, value);
  }

  push(bits: MemoryBits, value: I64, check: () => void = () => {}): void {
    const stored = isVariable(value) ? value : this.let(value);
    const top = this.let(i64.sub(this.getRegister(RSP, 64), i64.const(bits / 8)));
    this.store(this.#stackAddress(top, bits, true), bits, stored);
    check();
    this.#setStackPointer(top);
  }

  pop(bits: MemoryBits, check?: (value: Local<"i64">) => void): Local<"i64"> {
    return this.popAt(RSP, bits, check);
  }

  popAt(
    register: number,
    bits: MemoryBits,
    check: (value: Local<"i64">) => void = () => {},
  ): Local<"i64"> {
    const top = this.let(this.getRegister(register, 64));
    const value = this.load(this.#stackAddress(top, bits, false), bits);
    check(value);
    this.#setStackPointer(this.let(i64.add(top, i64.const(bits / 8))));
    return value;
  }

  systemFlags(): I32 {
    return i32.load(i32.const(0), STATE.RFLAGS);
  }

  setSystemFlags(flags: I32): void {
    this.setField(STATE.RFLAGS, flags);
  }

  setField(offset: number, value: I32 | I64): void {
    this.fn.store(i32.const(0), value, offset);
  }

  checkTarget(target: Local<"i64">): void {
    const limit = i64.load32U(i32.const(0), segmentOffset(SEGMENT_INDEX.cs) + SEGMENT.LIMIT);
    const unused = i64.const(64 - LINEAR_BITS);
    const canonical = i64.shrS(i64.shl(target, unused), unused);
    const wrong = this.long ? i64.ne(canonical, target) : i64.gtU(target, limit);
    this.faultIf(wrong, VECTOR.GP, 0);
  }

  faultIf(condition: I32, vector: number, errorCode?: number): void {
    this.if(condition, () => this.fault(vector, errorCode));
  }

  #checkAligned(address: Local<"i64">, bits = 128): void {
    const low = i32.and(i32.wrap(address), i32.const(bits / 8 - 1));
    this.faultIf(low, VECTOR.GP, 0);
  }

  /** Bits of RSP that address the stack, outside 64-bit mode. */
  protected stackMask(): I64 {
    return i64.load(i32.const(0), STATE.STACK_MASK);
  }

  /**
   * Linear address of an offset in a segment, outside 64-bit mode. What the segment's plain limit
   * does not permit is looked at in TypeScript.
   */
  protected inSegment(
    segment: number,
    offset: Local<"i64">,
    bytes: number,
    write: boolean,
  ): Local<"i64"> {
    const zero = i32.const(0);
    const at = segmentOffset(segment);
    const limit = at + SEGMENT[write ? "WRITE_LAST" : "READ_LAST"];
    const length = bytes - 1;
    this.if(i64.gtS(i64.add(offset, i64.const(length)), i64.load(zero, limit)), () => {
      this.access.checkSegment(i32.const(limit), i32.wrap(offset), i32.const(length));
    });
    return this.let(zeroExtend(i64.add(offset, i64.load(zero, at + SEGMENT.BASE)), 32));
  }

  /** Linear address of the stack at `top`, cut to the stack's width. */
  #stackAddress(top: Local<"i64">, bits: MemoryBits, write: boolean): Local<"i64"> {
    if (this.long) return top;
    const mask = this.stackMask();
    const isWide = mask.constant === WIDE_STACK_MASK;
    const offset = this.let(isWide ? zeroExtend(top, 32) : i64.and(top, mask));
    return this.inSegment(SEGMENT_INDEX.ss, offset, bits / 8, write);
  }

  #setStackPointer(top: Local<"i64">): void {
    if (this.long) {
      this.setRegister(RSP, 64, top);
      return;
    }
    if (this.stackMask().constant === WIDE_STACK_MASK) {
      this.setRegister(RSP, 32, top);
      return;
    }
    // Bits outside the stack's width keep their values.
    const inverted = i64.xor(this.stackMask(), i64.const(-1));
    const kept = i64.and(this.getRegister(RSP, 64), inverted);
    const moved = i64.and(top, this.stackMask());
    this.setRegister(RSP, 64, i64.or(kept, moved));
  }
}

/** All of an instruction, with what MMX registers do to x87's state (vol. 1 §9.5.1). */
export function emitMeaning(
  emitter: CodeEmitter,
  meaning: ((e: Emitter, ...operands: Operand[]) => void) | undefined,
  operands: readonly Operand[],
): void {
  const mmx = operands.some(({ kind }) => kind === "mmx");
  if (mmx) emitter.beginMmx();
  // In silicon a store that faults has moved the stack's top already; a load has not.
  const stores = operands[0]?.kind === "memory";
  if (mmx && stores) emitter.resetMmxTop();
  meaning?.(emitter, ...operands);
  if (mmx && !stores) emitter.resetMmxTop();
  if (mmx) emitter.validateMmx();
}
