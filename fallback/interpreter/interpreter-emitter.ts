import { CodeEmitter } from "../emission/code-emitter.ts";
import {
  LOAD_VECTOR,
  LOAD_ZERO_EXTENDED,
  type SlowAccess,
  type VectorBits,
} from "../emission/guest-access.ts";
import { inCurrentIdentity } from "../emission/page-lookup.ts";
import type { X87Function, X87Functions } from "../emission/x87-functions.ts";
import type { KnownWay, MemoryBits, SystemEmitter, TranslationEmitter } from "../isa/emitter.ts";
import { FlagEmitter, zeroExtend } from "../isa/flag-emitter.ts";
import type { Operand } from "../isa/operand.ts";
import type { StringOperands } from "../isa/string-comparison.ts";
import { flagsInMemory } from "../jit/flag-kinds.ts";
import { STATE } from "../state.ts";
import { unsignedLeb } from "../wasm/encoding.ts";
import {
  type Expression,
  type I32,
  type I64,
  i32,
  i64,
  operation,
  type V128,
} from "../wasm/expression.ts";
import {
  type Callee,
  callResult,
  type FunctionBuilder,
  type Local,
} from "../wasm/function-builder.ts";
import type { MemoryAccess } from "./memory-access.ts";
import { RECORD } from "./record.ts";
import type { SegmentLoads } from "./segment-loads.ts";

/** How a handler's code leaves it. */
export interface HandlerExits {
  /** A fault is recorded in the state. */
  fault(): void;
  /** STATE.RIP says where to go on. */
  jump(way?: KnownWay): void;
  /** The instruction's procedure does the rest. */
  fallback(): void;
}

/** Functions that some handlers call. */
export interface CalledFunctions {
  readonly segments?: SegmentLoads;
  readonly x87?: X87Functions;
  readonly compareStrings?: Callee;
}

function present<T>(functions: T | undefined): T {
  if (functions === undefined) throw new Error("a handler without functions that it calls");
  return functions;
}

/** The variant that a handler is for. */
export interface HandlerVariant {
  readonly bits: MemoryBits;
  readonly long: boolean;
  readonly operands: readonly Operand[];
}

/** What MMX writes above the 64 bits of a register: sign and exponent of a NaN. */
const ABOVE_MMX = 8;

/** Emits handlers whose operands come from the record and whose registers are in memory. */
export class InterpreterEmitter extends CodeEmitter implements SystemEmitter, TranslationEmitter {
  readonly bits: MemoryBits;
  readonly long: boolean;
  readonly flags: FlagEmitter;
  /** How the memory operand has been accessed so far. */
  accessed: MemoryAccess | undefined;
  readonly #record: Local<"i32">;
  readonly #variant: HandlerVariant;
  readonly #exits: HandlerExits;
  readonly #functions: CalledFunctions;

  constructor(
    fn: FunctionBuilder,
    record: Local<"i32">,
    variant: HandlerVariant,
    slow: SlowAccess,
    exits: HandlerExits,
    functions: CalledFunctions = {},
  ) {
    super(fn, slow);
    this.access.lookUp(inCurrentIdentity);
    this.#functions = functions;
    this.#record = record;
    this.#variant = variant;
    this.#exits = exits;
    this.bits = variant.bits;
    this.long = variant.long;
    this.flags = new FlagEmitter(flagsInMemory(fn));
  }

  get #segments(): SegmentLoads {
    return present(this.#functions.segments);
  }

  effectiveAddress(): I64 {
    return this.#address();
  }

  getRegister(register: number, bits: MemoryBits): I64 {
    return LOAD_ZERO_EXTENDED[bits](i32.const(0), STATE.GPR + 8 * register);
  }

  setRegister(register: number, bits: MemoryBits, value: I64): void {
    this.#writeGeneral(i32.const(STATE.GPR + 8 * register), bits, value);
  }

  setVector(register: number, value: V128): void {
    this.fn.store(i32.const(0), value, STATE.XMM + 16 * register);
  }

  nextRip(): I64 {
    const { operands } = this.#variant;
    const immediate = operands.some(({ kind }) => kind === "immediate");
    return i64.load(this.#record, immediate ? RECORD.DISPLACEMENT : RECORD.IMMEDIATE);
  }

  startRip(): I64 {
    return i64.sub(this.nextRip(), i64.load8U(this.#record, RECORD.LENGTH));
  }

  stackIndex(): I32 {
    return i32.and(i32.load8U(this.#record, RECORD.MOD_RM), i32.const(7));
  }

  /** In a segment without a base: see `Instruction.byVariant`. */
  pointedTo(register: number): Local<"i64"> {
    return this.let(this.getRegister(register, 64));
  }

  operandAt(bytes: number, write: boolean): Local<"i64"> {
    return this.place({ kind: "memory", bits: 8 * bytes, field: 0 }, write);
  }

  x87(name: X87Function, ...operands: readonly Expression[]): Local<"i32"> {
    return this.let(callResult("i32", present(this.#functions.x87)(name), ...operands));
  }

  compareStrings(control: I32, ...operands: StringOperands): Local<"i32"> {
    const { compareStrings } = this.#functions;
    return this.let(callResult("i32", present(compareStrings), control, ...operands));
  }

  setState(bits: 16 | 64, offset: number, value: I64): void {
    this.fn.storeNarrow(bits, i32.const(0), value, offset);
  }

  budget(): I32 {
    return i32.load(i32.const(0), STATE.BUDGET);
  }

  jump(target: I64, way?: KnownWay): void {
    this.fn.store(i32.const(STATE.RIP), target);
    this.#exits.jump(way);
  }

  loadSegment(register: Operand, selector: I64): I32 {
    return callResult("i32", this.#segments.load, this.#slot(register), i32.wrap(selector));
  }

  isCr0(register: Operand): I32 {
    return i32.eq(this.#slot(register), i32.const(STATE.CR0));
  }

  farJump(): I32 {
    const selector = i32.load16U(this.#record, RECORD.FAR_SELECTOR);
    return callResult("i32", this.#segments.jump, selector, this.immediate());
  }

  interrupt(vector: I64): I32 {
    return callResult("i32", this.#segments.interrupt, i32.wrap(vector), this.nextRip());
  }

  interruptReturn(): I32 {
    return callResult("i32", this.#segments.interruptReturn[this.bits === 16 ? 16 : 32]);
  }

  leaveBlock(): void {
    this.#exits.jump();
  }

  fallbackUnless(condition: I32): void {
    this.if(i32.eqz(condition), () => this.#exits.fallback());
  }

  fault(vector: number, errorCode?: number): void {
    const fault = vector | (errorCode === undefined ? 0 : 0x100);
    this.fn.store(i32.const(STATE.FAULT), i32.const(fault));
    this.fn.store(i32.const(STATE.FAULT_CODE), i32.const(errorCode ?? 0));
    this.#exits.fault();
  }

  protected leaveFaulting(): void {
    this.#exits.fault();
  }

  protected immediate(): I64 {
    return i64.load(this.#record, RECORD.IMMEDIATE);
  }

  protected readRegister(operand: Operand): I64 {
    return LOAD_ZERO_EXTENDED[operand.bits as MemoryBits](this.#slot(operand), 0);
  }

  protected writeRegister(operand: Operand, value: I64): void {
    const bits = operand.bits as MemoryBits;
    if (operand.kind === "register") this.#writeGeneral(this.#slot(operand), bits, value);
    else this.fn.storeNarrow(bits, this.#slot(operand), value);
    if (operand.kind !== "mmx") return;
    this.fn.storeNarrow(16, this.#slot(operand), i64.const(0xffff), ABOVE_MMX);
  }

  protected readVectorRegister(operand: Operand): V128 {
    return LOAD_VECTOR[operand.bits as VectorBits](this.#slot(operand));
  }

  protected writeVectorRegister(operand: Operand, value: V128): void {
    this.fn.store(this.#slot(operand), value);
  }

  protected upperHalf(operand: Operand): readonly [I32, number] {
    return [this.#slot(operand), STATE.YMM_UPPER - STATE.XMM];
  }

  /**
   * Linear address of a memory operand: where a segment base or a narrower address size matters, a
   * micro-operation before this one computed it, and the record's base is its result.
   */
  protected place({ bits }: Operand, write: boolean): Local<"i64"> {
    const bytes = Math.max(bits / 8, this.accessed?.bytes ?? 0);
    this.accessed = { bytes, write: write || this.accessed?.write === true };
    return this.let(this.#address());
  }

  /** Offset in the state of a register operand. */
  #slot(operand: Operand): I32 {
    if (operand.byImmediate) {
      const number = i32.and(i32.shrU(i32.wrap(this.immediate()), i32.const(4)), i32.const(0xf));
      return i32.add(i32.const(STATE.XMM), i32.shl(number, i32.const(4)));
    }
    const at = RECORD.REGISTERS[operand.field];
    if (at === undefined) throw new Error("too many register operands");
    return i32.load16U(this.#record, at);
  }

  #writeGeneral(slot: I32, bits: MemoryBits, value: I64): void {
    if (bits === 32) this.fn.store(slot, zeroExtend(value, 32));
    else this.fn.storeNarrow(bits, slot, value);
  }

  /** base + index * scale + displacement, as the record says. */
  #address(): I64 {
    const register = (field: number): I64 => i64.load(i32.load16U(this.#record, field));
    const scale = operation("i64", 0x31, [this.#record], [0, ...unsignedLeb(RECORD.SCALE)]);
    return i64.add(
      i64.add(register(RECORD.BASE), i64.shl(register(RECORD.INDEX_REGISTER), scale)),
      i64.load(this.#record, RECORD.DISPLACEMENT),
    );
  }
}
