import { LINEAR_BITS } from "../bits.ts";
import { VECTOR } from "../exceptions.ts";
import type { Emitter, MemoryBits } from "../isa/emitter.ts";
import { FlagEmitter, type FlagStore, signExtend, zeroExtend } from "../isa/flag-emitter.ts";
import type { Operand } from "../isa/operand.ts";
import { FXSAVE, RAM_BASE, SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "../state.ts";
import { unsignedLeb } from "../wasm/encoding.ts";
import {
  type Expression,
  type I32,
  type I64,
  i32,
  i64,
  operation,
  type V128,
  type ValueType,
} from "../wasm/expression.ts";
import { callResult, type FunctionBuilder, type Local } from "../wasm/function-builder.ts";
import { i64x2, v128 } from "../wasm/simd.ts";
import type { MemoryAccess } from "./memory-access.ts";
import { RECORD } from "./record.ts";

/** Functions of the module that handlers call for accesses outside the identity window. */
export interface SlowAccess {
  /** Load by width: (address: i64) → i64; then STATE.FAULT tells whether it failed. */
  readonly load: Readonly<Record<MemoryBits, number>>;
  /** The same, checking first that the memory may be written. */
  readonly loadForWrite: Readonly<Record<MemoryBits, number>>;
  /** Store by width: (address: i64, value: i64) → i32, zero if it failed. */
  readonly store: Readonly<Record<MemoryBits, number>>;
  /** 128 bits: (address: i64) → v128, and (address: i64, value: v128) → i32. */
  readonly loadVector: number;
  readonly storeVector: number;
  /**
   * Outside 64-bit mode: (limit: i32, offset: i32, length: i32) → i32, zero if a fault is recorded.
   * The limit is the offset in the state of READ_LAST or WRITE_LAST of a segment; the length is that
   * of the access in bytes, less one.
   */
  readonly checkSegment: number;
}

/** How a handler's code leaves it. */
export interface HandlerExits {
  /** A fault is recorded in the state. */
  fault(): void;
  /** STATE.RIP says where to go on. */
  jump(): void;
  /** The instruction's procedure does the rest. */
  fallback(): void;
}

/** The variant that a handler is for. */
export interface HandlerVariant {
  readonly bits: MemoryBits;
  readonly long: boolean;
  readonly operands: readonly Operand[];
}

const LOAD_ZERO_EXTENDED = {
  8: i64.load8U,
  16: i64.load16U,
  32: i64.load32U,
  64: i64.load,
} as const;

const LOAD_VECTOR = { 32: v128.load32Zero, 64: v128.load64Zero, 128: v128.load } as const;
type VectorBits = keyof typeof LOAD_VECTOR;

const NO_FAULT = -1;
const RSP = 4;
const STATUS_WORD = STATE.FX_AREA + FXSAVE.STATUS_WORD;
const TAG_WORD = STATE.FX_AREA + FXSAVE.TAG_WORD;
/** Of the x87 status word: an unmasked exception is pending (ES); the stack's top. */
const EXCEPTION_SUMMARY = 1 << 7;
const TOP = 7 << 11;
/** What MMX writes above the 64 bits of a register: sign and exponent of a NaN. */
const ABOVE_MMX = 8;

/** Emits handlers whose operands come from the record and whose registers are in memory. */
export class InterpreterEmitter implements Emitter {
  readonly bits: MemoryBits;
  readonly long: boolean;
  readonly flags: FlagEmitter;
  /** How the memory operand has been accessed so far. */
  access: MemoryAccess | undefined;
  readonly #fn: FunctionBuilder;
  readonly #record: Local<"i32">;
  readonly #variant: HandlerVariant;
  readonly #slow: SlowAccess;
  readonly #exits: HandlerExits;

  constructor(
    fn: FunctionBuilder,
    record: Local<"i32">,
    variant: HandlerVariant,
    slow: SlowAccess,
    exits: HandlerExits,
  ) {
    this.#fn = fn;
    this.#record = record;
    this.#variant = variant;
    this.#slow = slow;
    this.#exits = exits;
    this.bits = variant.bits;
    this.long = variant.long;
    this.flags = new FlagEmitter(flagsInMemory(fn));
  }

  let<Type extends ValueType>(value: Expression<Type>): Local<Type> {
    return this.#fn.let(value);
  }

  local<Type extends ValueType>(type: Type): Local<Type> {
    return this.#fn.local(type);
  }

  set<Type extends ValueType>(local: Local<Type>, value: Expression<Type>): void {
    this.#fn.set(local, value);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    this.#fn.if(condition, then, otherwise);
  }

  loop(body: (again: () => void, leave: () => void) => void): void {
    this.#fn.block((end) => {
      this.#fn.loop((start) => {
        body(
          () => this.#fn.branch(start),
          () => this.#fn.branch(end),
        );
      });
    });
  }

  read(operand: Operand): Local<"i64"> {
    switch (operand.kind) {
      case "memory":
        return this.load(this.#place(operand, false), operand.bits as MemoryBits);
      case "immediate":
        return this.let(zeroExtend(this.#immediate(), operand.bits));
      default:
        return this.let(this.#readRegister(operand));
    }
  }

  readSigned(operand: Operand): Local<"i64"> {
    if (operand.kind === "immediate") return this.let(this.#immediate());
    return this.let(signExtend(this.read(operand), operand.bits));
  }

  write(operand: Operand, value: I64): void {
    const bits = operand.bits as MemoryBits;
    switch (operand.kind) {
      case "memory":
        this.store(this.#place(operand, true), bits, value);
        break;
      case "register":
        this.#writeRegister(this.#slot(operand), bits, value);
        break;
      default:
        this.#fn.storeNarrow(bits, this.#slot(operand), value);
        this.#fillAboveMmx(operand);
    }
  }

  modify(operand: Operand, change: (old: Local<"i64">) => I64): void {
    if (operand.kind !== "memory") {
      this.write(operand, change(this.read(operand)));
      return;
    }
    const bits = operand.bits as MemoryBits;
    const address = this.#place(operand, true);
    const old = this.local("i64");
    this.#inWindow(
      "WRITE",
      address,
      () => this.set(old, this.#plainLoad(address, bits)),
      () => {
        this.set(old, callResult("i64", this.#slow.loadForWrite[bits], address));
        this.#checkFault();
      },
    );
    this.store(address, bits, change(old));
  }

  effectiveAddress(): I64 {
    return this.#address();
  }

  readVector(operand: Operand, alignment?: "unaligned"): Local<"v128"> {
    const bits = operand.bits as VectorBits;
    if (operand.kind !== "memory") return this.let(LOAD_VECTOR[bits](this.#slot(operand)));
    const address = this.#place(operand, false);
    if (bits === 128 && alignment === undefined) this.#checkAligned(address);
    const value = this.local("v128");
    this.#inWindow(
      "READ",
      address,
      () => this.set(value, LOAD_VECTOR[bits](i32.wrap(address), RAM_BASE)),
      () => {
        this.set(value, this.#slowLoadVector(address, bits));
        this.#checkFault();
      },
    );
    return value;
  }

  writeVector(operand: Operand, value: V128, alignment?: "unaligned"): void {
    const bits = operand.bits as VectorBits;
    if (bits !== 128) {
      this.write(operand, i64x2.extractLane(value, 0));
      return;
    }
    if (operand.kind !== "memory") {
      this.#fn.store(this.#slot(operand), value);
      return;
    }
    const address = this.#place(operand, true);
    if (alignment === undefined) this.#checkAligned(address);
    const stored = this.let(value);
    this.#inWindow(
      "WRITE",
      address,
      () => this.#fn.store(i32.wrap(address), stored, RAM_BASE),
      () => this.#leaveUnless(callResult("i32", this.#slow.storeVector, address, stored)),
    );
  }

  mxcsr(): I32 {
    return i32.load(i32.const(0), STATE.MXCSR);
  }

  /** Before an instruction with MMX registers: an x87 exception may be pending. */
  beginMmx(): void {
    const status = i32.load16U(i32.const(0), STATUS_WORD);
    this.faultIf(i32.and(status, i32.const(EXCEPTION_SUMMARY)), VECTOR.MF);
  }

  /** The stack's top is the first register (vol. 1 §9.5.1). */
  resetMmxTop(): void {
    const zero = i32.const(0);
    const status = i64.load16U(zero, STATUS_WORD);
    this.#fn.storeNarrow(16, zero, i64.and(status, i64.const(0xffff & ~TOP)), STATUS_WORD);
  }

  /** After one: all registers are valid. */
  validateMmx(): void {
    this.#fn.storeNarrow(8, i32.const(0), i64.const(0xff), TAG_WORD);
  }

  getRegister(register: number, bits: MemoryBits): I64 {
    return LOAD_ZERO_EXTENDED[bits](i32.const(0), STATE.GPR + 8 * register);
  }

  setRegister(register: number, bits: MemoryBits, value: I64): void {
    this.#writeRegister(i32.const(STATE.GPR + 8 * register), bits, value);
  }

  load(address: Local<"i64">, bits: MemoryBits): Local<"i64"> {
    const value = this.local("i64");
    this.#inWindow(
      "READ",
      address,
      () => this.set(value, this.#plainLoad(address, bits)),
      () => {
        this.set(value, callResult("i64", this.#slow.load[bits], address));
        this.#checkFault();
      },
    );
    return value;
  }

  store(address: Local<"i64">, bits: MemoryBits, value: I64): void {
    const stored = this.let(value);
    this.#inWindow(
      "WRITE",
      address,
      () => this.#fn.storeNarrow(bits, i32.wrap(address), stored, RAM_BASE),
      () => this.#leaveUnless(callResult("i32", this.#slow.store[bits], address, stored)),
    );
  }

  push(bits: MemoryBits, value: I64, check: () => void = () => {}): void {
    const stored = this.let(value);
    const top = this.let(i64.sub(this.getRegister(RSP, 64), i64.const(bits / 8)));
    this.store(this.#stackAddress(top, bits, "WRITE"), bits, stored);
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
    const value = this.load(this.#stackAddress(top, bits, "READ"), bits);
    check(value);
    this.#setStackPointer(this.let(i64.add(top, i64.const(bits / 8))));
    return value;
  }

  nextRip(): I64 {
    const { operands } = this.#variant;
    const immediate = operands.some(({ kind }) => kind === "immediate");
    return i64.load(this.#record, immediate ? RECORD.DISPLACEMENT : RECORD.IMMEDIATE);
  }

  checkTarget(target: Local<"i64">): void {
    const limit = i64.load32U(i32.const(0), segmentOffset(SEGMENT_INDEX.cs) + SEGMENT.LIMIT);
    const unused = i64.const(64 - LINEAR_BITS);
    const canonical = i64.shrS(i64.shl(target, unused), unused);
    const wrong = this.long ? i64.ne(canonical, target) : i64.gtU(target, limit);
    this.faultIf(wrong, VECTOR.GP, 0);
  }

  jump(target: I64): void {
    this.#fn.store(i32.const(STATE.RIP), target);
    this.#exits.jump();
  }

  fallbackUnless(condition: I32): void {
    this.if(i32.eqz(condition), () => this.#exits.fallback());
  }

  fault(vector: number, errorCode?: number): void {
    const fault = vector | (errorCode === undefined ? 0 : 0x100);
    this.#fn.store(i32.const(STATE.FAULT), i32.const(fault));
    this.#fn.store(i32.const(STATE.FAULT_CODE), i32.const(errorCode ?? 0));
    this.#exits.fault();
  }

  faultIf(condition: I32, vector: number, errorCode?: number): void {
    this.if(condition, () => this.fault(vector, errorCode));
  }

  #immediate(): I64 {
    return i64.load(this.#record, RECORD.IMMEDIATE);
  }

  /** Offset in the state of a register operand. */
  #slot(operand: Operand): I32 {
    const at = RECORD.REGISTERS[operand.field];
    if (at === undefined) throw new Error("too many register operands");
    return i32.load16U(this.#record, at);
  }

  #readRegister(operand: Operand): I64 {
    return LOAD_ZERO_EXTENDED[operand.bits as MemoryBits](this.#slot(operand), 0);
  }

  #writeRegister(slot: I32, bits: MemoryBits, value: I64): void {
    if (bits === 32) this.#fn.store(slot, zeroExtend(value, 32));
    else this.#fn.storeNarrow(bits, slot, value);
  }

  /** base + index * scale + displacement, as the record says. */
  #address(): I64 {
    const register = (field: number): I64 => i64.load(i32.load16U(this.#record, field));
    const scale = operation("i64", [0x31], [this.#record], [0, ...unsignedLeb(RECORD.SCALE)]);
    return i64.add(
      i64.add(register(RECORD.BASE), i64.shl(register(RECORD.INDEX_REGISTER), scale)),
      i64.load(this.#record, RECORD.DISPLACEMENT),
    );
  }

  /**
   * Linear address of a memory operand: where a segment base or a narrower address size matters, a
   * micro-operation before this one computed it, and the record's base is its result.
   */
  #place({ bits }: Operand, write: boolean): Local<"i64"> {
    const bytes = Math.max(bits / 8, this.access?.bytes ?? 0);
    this.access = { bytes, write: write || this.access?.write === true };
    return this.let(this.#address());
  }

  #plainLoad(address: Local<"i64">, bits: MemoryBits): I64 {
    return LOAD_ZERO_EXTENDED[bits](i32.wrap(address), RAM_BASE);
  }

  #inWindow(
    access: "READ" | "WRITE",
    address: Local<"i64">,
    inside: () => void,
    outside: () => void,
  ): void {
    const zero = i32.const(0);
    const base = i64.load(zero, STATE[`${access}_WINDOW_BASE`]);
    const length = i64.load(zero, STATE[`${access}_WINDOW_LENGTH`]);
    this.#fn.if(i64.ltU(i64.sub(address, base), length), inside, outside);
  }

  #checkFault(): void {
    const fault = i32.load(i32.const(0), STATE.FAULT);
    this.#fn.if(i32.ne(fault, i32.const(NO_FAULT)), () => this.#exits.fault());
  }

  #leaveUnless(done: I32): void {
    this.#fn.if(i32.eqz(done), () => this.#exits.fault());
  }

  #checkAligned(address: Local<"i64">): void {
    const low = i32.and(i32.wrap(address), i32.const(15));
    this.faultIf(low, VECTOR.GP, 0);
  }

  #slowLoadVector(address: Local<"i64">, bits: VectorBits): V128 {
    if (bits === 128) return callResult("v128", this.#slow.loadVector, address);
    const low = callResult("i64", this.#slow.load[bits], address);
    return i64x2.replaceLane(i64x2.const(0), 0, low);
  }

  #fillAboveMmx(operand: Operand): void {
    if (operand.kind !== "mmx") return;
    this.#fn.storeNarrow(16, this.#slot(operand), i64.const(0xffff), ABOVE_MMX);
  }

  /**
   * Linear address of the stack at `top`. Outside 64-bit mode that is cut to the stack's width, and
   * what the segment's plain limit does not permit is looked at in TypeScript.
   */
  #stackAddress(top: Local<"i64">, bits: MemoryBits, access: "READ" | "WRITE"): Local<"i64"> {
    if (this.long) return top;
    const zero = i32.const(0);
    const offset = this.let(i64.and(top, i64.load(zero, STATE.STACK_MASK)));
    const limit = segmentOffset(SEGMENT_INDEX.ss) + SEGMENT[`${access}_LAST`];
    const length = bits / 8 - 1;
    this.if(i64.gtS(i64.add(offset, i64.const(length)), i64.load(zero, limit)), () => {
      const parameters = [i32.const(limit), i32.wrap(offset), i32.const(length)];
      this.#leaveUnless(callResult("i32", this.#slow.checkSegment, ...parameters));
    });
    return this.let(zeroExtend(i64.add(offset, i64.load(zero, STATE.STACK_BASE)), 32));
  }

  #setStackPointer(top: Local<"i64">): void {
    if (this.long) {
      this.setRegister(RSP, 64, top);
      return;
    }
    // Bits outside the stack's width keep their values.
    const mask = i64.load(i32.const(0), STATE.STACK_MASK);
    const kept = i64.and(this.getRegister(RSP, 64), i64.xor(mask, i64.const(-1)));
    const moved = i64.and(top, i64.load(i32.const(0), STATE.STACK_MASK));
    this.setRegister(RSP, 64, i64.or(kept, moved));
  }
}

/** The flag fields in the state. */
function flagsInMemory(fn: FunctionBuilder): FlagStore {
  const zero = i32.const(0);
  return {
    let: (value) => fn.let(value as Expression) as never,
    getResult: () => i64.load(zero, STATE.FLAG_RESULT),
    setResult: (value) => fn.store(zero, value, STATE.FLAG_RESULT),
    getCarries: () => i64.load(zero, STATE.FLAG_CARRIES),
    setCarries: (value) => fn.store(zero, value, STATE.FLAG_CARRIES),
    getCarry: () => i32.load(zero, STATE.FLAG_CARRY),
    setCarry: (value) => fn.store(zero, value, STATE.FLAG_CARRY),
  };
}
