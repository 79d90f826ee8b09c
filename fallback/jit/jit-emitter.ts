import { CodeEmitter } from "../emission/code-emitter.ts";
import { LOAD_VECTOR, type Miss, type VectorBits } from "../emission/guest-access.ts";
import type { StringRuns } from "../emission/string-runs.ts";
import type { X87Function, X87Functions } from "../emission/x87-functions.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import { branchTarget, isRelative } from "../interpreter/decoder.ts";
import { registerSlot } from "../interpreter/register-slot.ts";
import type { MemoryBits, RegionEmitter, RepetitionEmitter } from "../isa/emitter.ts";
import { zeroExtend } from "../isa/flag-emitter.ts";
import type { Operand } from "../isa/operand.ts";
import { DEFAULT_INEXACT, MODES } from "../isa/sse-exact.ts";
import type { StringOperands } from "../isa/string-comparison.ts";
import { withLowest } from "../isa/vector.ts";
import { knowsFlat, WIDE_STACK } from "../segment-traits.ts";
import { SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "../state.ts";
import {
  constantVariable,
  type Expression,
  type I32,
  type I64,
  i32,
  i64,
  type V128,
  type ValueType,
} from "../wasm/expression.ts";
import {
  type Callee,
  callResult,
  type FunctionBuilder,
  knownAs,
  type Local,
} from "../wasm/function-builder.ts";
import { i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { LazyFlags } from "./lazy-flags.ts";
import type { RegionEnvironment } from "./region-environment.ts";
import type { InstructionExits, RegionMode } from "./region-mode.ts";
import { commonFacts, type RegisterFile } from "./register-file.ts";

/** What MMX writes above the 64 bits of a register is here. */
const ABOVE_MMX = 8;
const RCX = 1;
const RSP = 4;
const RDI = 7;
const FLAT_LIMIT = 0xffff_ffffn;

/** Emits instructions of a region: operands are constants, registers are variables. */
export class JitEmitter extends CodeEmitter implements RegionEmitter, RepetitionEmitter {
  readonly long: boolean;
  readonly #mode: RegionMode;
  readonly flags: LazyFlags;
  readonly #registers: RegisterFile;
  readonly #exits: InstructionExits;
  readonly #thorough: boolean;
  readonly #runs: StringRuns;
  readonly #x87: X87Functions;
  readonly #compareStrings: Callee;
  #instruction!: DecodedInstruction;
  #next = 0n;
  #expected: bigint | undefined;
  /** Offsets in the state of the register operands, in order. */
  #slots: readonly number[] = [];

  constructor(
    fn: FunctionBuilder,
    env: Pick<
      RegionEnvironment,
      "slow" | "lookup" | "runs" | "x87" | "compareStrings" | "thorough"
    >,
    mode: RegionMode,
    flags: LazyFlags,
    registers: RegisterFile,
    exits: InstructionExits,
  ) {
    super(fn, env.slow, mode.frame, mode.windows);
    if (env.lookup !== undefined) this.access.lookUp(env.lookup);
    this.#thorough = env.thorough;
    this.#runs = env.runs;
    this.#x87 = env.x87;
    this.#compareStrings = env.compareStrings;
    this.#mode = mode;
    this.long = mode.codeSize === 64;
    this.flags = flags;
    this.#registers = registers;
    this.#exits = exits;
  }

  /**
   * Sets the instruction whose meaning is going to be emitted.
   * @param next offset behind it
   * @param expected where it has to lead to: otherwise it is left to the interpreter
   */
  begin(instruction: DecodedInstruction, next: bigint, expected?: bigint): void {
    this.#instruction = instruction;
    this.#expected = expected;
    this.#next = next;
    const slots: number[] = [];
    for (const spec of instruction.form.operands) {
      const slot = registerSlot(spec, instruction);
      if (slot !== undefined) slots.push(slot);
    }
    this.#slots = slots;
    this.flags.carryIn = instruction.form.instruction.flags?.read?.includes("C") === true;
  }

  /** Lets others {@link begin} instructions in the middle of this one: behind its branches. */
  within(others: () => void): void {
    const next = this.#next;
    const expected = this.#expected;
    // There is none as long as all were procedures.
    const instruction: DecodedInstruction | undefined = this.#instruction;
    others();
    if (instruction !== undefined) this.begin(instruction, next, expected);
  }

  get bits(): MemoryBits {
    return this.#instruction.operandSize;
  }

  /** Constants need no variable. They must not be set. */
  override let<Type extends ValueType>(value: Expression<Type>): Local<Type> {
    const { constant, width, frame } = value;
    if (constant === undefined) return knownAs(super.let(value), width, frame);
    return constantVariable<Type>(constant) as Local<Type>;
  }

  override local<Type extends ValueType>(type: Type): Local<Type> {
    return knownAs(super.local(type), 0, null);
  }

  /** A variable is as wide as the widest of its values, and where all of them are in a frame. */
  override set<Type extends ValueType>(local: Local<Type>, value: Expression<Type>): void {
    super.set(local, value);
    const known = local as { width?: number; frame?: number | null | undefined };
    known.width = Math.max(local.width ?? 64, value.width ?? 64);
    if (local.frame === null) known.frame = value.frame;
    else if (local.frame !== value.frame) known.frame = undefined;
  }

  override if(condition: I32, then: () => void, otherwise?: () => void): void {
    if (condition.constant !== undefined) {
      if (condition.constant !== 0) then();
      else otherwise?.();
      return;
    }
    const { flags } = this;
    const registers = this.#registers;
    flags.fetch();
    const before = flags.state;
    const { facts } = registers;
    let still = facts;
    // What sets flags here does so in one of two cases: then the variable has to know.
    flags.tell();
    let changed = false;
    const branch = (body: () => void) => () => {
      flags.state = before;
      registers.facts = facts;
      body();
      still = commonFacts(still, registers.facts);
      if (flags.state === before) return;
      changed = true;
      flags.tell();
    };
    super.if(condition, branch(then), otherwise === undefined ? undefined : branch(otherwise));
    flags.state = changed ? undefined : before;
    registers.facts = still;
  }

  override ifRarely(condition: I32, then: () => void): void {
    if (this.#thorough) this.if(condition, then);
    else this.fn.if(condition, () => this.#exits.interpret("case"));
  }

  getRegister(register: number, bits: MemoryBits): I64 {
    return zeroExtend(this.#registers.general(register), bits);
  }

  setRegister(register: number, bits: MemoryBits, value: I64): void {
    this.#writeGeneral(register, 0, bits, value);
  }

  setVector(register: number, value: V128): void {
    this.fn.set(this.#registers.changeVector(register), value);
  }

  effectiveAddress(): I64 {
    const { address, addressSize } = this.#instruction;
    if (address === undefined) return i64.const(0);
    const { base, index, scale, displacement, ripRelative } = address;
    const constant = BigInt.asIntN(64, displacement + (ripRelative ? this.#next : 0n));
    const parts: I64[] = [];
    if (base >= 0) parts.push(this.#registers.general(base));
    if (index >= 0) parts.push(i64.shl(this.#registers.general(index), i64.const(scale)));
    if (constant !== 0n || parts.length === 0) parts.push(i64.const(constant));
    const sum = parts.reduce((all, part) => i64.add(all, part));
    return zeroExtend(sum, addressSize);
  }

  nextRip(): I64 {
    return i64.const(this.#next);
  }

  startRip(): I64 {
    const start = this.#next - BigInt(this.#instruction.length);
    return i64.const(BigInt.asUintN(this.long ? 64 : 32, start));
  }

  stackIndex(): I32 {
    return i32.const(this.#instruction.modRm & 7);
  }

  budget(): I32 {
    return this.#exits.budget();
  }

  jump(target: I64): void {
    this.#exits.jump(target);
  }

  fallbackUnless(condition: I32): void {
    if (condition.constant === undefined || condition.constant === 0) {
      this.fn.if(i32.eqz(condition), () => this.#exits.interpret("case"));
    }
  }

  /** The flags stay where they are: most code does not fault. */
  override faultIf(condition: I32): void {
    this.fallbackUnless(i32.eqz(condition));
  }

  fault(): void {
    this.#exits.interpret("case");
  }

  protected leaveFaulting(miss?: Miss): void {
    this.#exits.interpret("memory", miss);
  }

  protected immediate(): I64 {
    const instruction = this.#instruction;
    const { codeSize } = this.#mode;
    if (isRelative(instruction)) return i64.const(branchTarget(instruction, codeSize, this.#next));
    return i64.const(instruction.immediates[0] ?? 0n);
  }

  override push(bits: MemoryBits, value: I64, check?: () => void): void {
    this.access.area = "stack";
    super.push(bits, value, check);
  }

  override popAt(
    register: number,
    bits: MemoryBits,
    check?: (value: Local<"i64">) => void,
  ): Local<"i64"> {
    this.access.area = "stack";
    return super.popAt(register, bits, check);
  }

  override checkTarget(target: Local<"i64">): void {
    if (this.#expected !== undefined) {
      const wrong = i64.ne(target, i64.const(this.#expected));
      this.fn.if(wrong, () => this.#exits.interpret("stack"));
    } else if (this.long) super.checkTarget(target);
    else if (this.#mode.limit < FLAT_LIMIT || (target.width ?? 64) > 32) {
      const wrong = i64.gtU(target, i64.const(this.#mode.limit));
      this.fn.if(wrong, () => this.#exits.interpret("segment"));
    }
  }

  protected place(operand: Operand, write: boolean): Local<"i64"> {
    const { segment, address } = this.#instruction;
    const isStatic = address !== undefined && address.base < 0 && address.index < 0;
    this.access.area = isStatic ? "static" : address?.base === RSP ? "stack" : "general";
    return this.#linear(segment, this.let(this.effectiveAddress()), operand.bits / 8, write);
  }

  run(name: keyof StringRuns, source: I64, shift: I32): Local<"i64"> {
    const operands = [this.getRegister(RDI, 64), source, this.getRegister(RCX, 64)] as const;
    return this.let(callResult("i64", this.#runs[name], ...operands, shift));
  }

  operandAt(bytes: number, write: boolean): Local<"i64"> {
    return this.place({ kind: "memory", bits: 8 * bytes, field: 0 }, write);
  }

  x87(name: X87Function, ...operands: readonly Expression[]): Local<"i32"> {
    return this.let(callResult("i32", this.#x87(name), ...operands));
  }

  compareStrings(control: I32, ...operands: StringOperands): Local<"i32"> {
    return this.let(callResult("i32", this.#compareStrings, control, ...operands));
  }

  setState(bits: 16 | 64, offset: number, value: I64): void {
    this.fn.storeNarrow(bits, i32.const(0), value, offset);
  }

  spend(work: I64): void {
    this.#exits.spend(work);
  }

  pointedTo(register: number, segment: number, bytes: number, write: boolean): Local<"i64"> {
    this.access.area = "general";
    const offset = this.getRegister(register, this.#instruction.addressSize);
    return this.#linear(segment, this.let(offset), bytes, write);
  }

  wholeVector(register: number): readonly [V128, V128] {
    const upper = v128.load(i32.const(0), STATE.YMM_UPPER + 16 * register);
    return [this.#registers.vector(register), upper];
  }

  #linear(segment: number, offset: Local<"i64">, bytes: number, write: boolean): Local<"i64"> {
    if (!this.long) return this.inSegment(segment, offset, bytes, write);
    if (segment < SEGMENT_INDEX.fs) return offset;
    const base = i64.load(i32.const(0), segmentOffset(segment) + SEGMENT.BASE);
    return this.let(i64.add(offset, base));
  }

  protected override stackMask(): I64 {
    return i64.const(this.#mode.segments & WIDE_STACK ? 0xffff_ffff : 0xffff);
  }

  protected override inSegment(
    segment: number,
    offset: Local<"i64">,
    bytes: number,
    write: boolean,
  ): Local<"i64"> {
    if (knowsFlat(this.#mode.segments, segment)) return offset;
    const zero = i32.const(0);
    const at = segmentOffset(segment);
    const last = i64.add(offset, i64.const(bytes - 1));
    const limit = i64.load(zero, at + SEGMENT[write ? "WRITE_LAST" : "READ_LAST"]);
    this.fn.if(i64.gtS(last, limit), () => this.#exits.interpret("segment"));
    return this.let(zeroExtend(i64.add(offset, i64.load(zero, at + SEGMENT.BASE)), 32));
  }

  override mxcsrIs(mask: number, modes: number): I32 {
    const isAssumed = this.#mode.usualModes && mask === MODES && modes === DEFAULT_INEXACT;
    return isAssumed ? i32.const(1) : super.mxcsrIs(mask, modes);
  }

  /** What `usualModes` assumes. */
  hasUsualModes(): I32 {
    return super.mxcsrIs(MODES, DEFAULT_INEXACT);
  }

  override isKnownNormal(operand: Operand): boolean {
    if (operand.kind !== "xmm") return false;
    return this.#registers.isNormal(this.#vectorRegister(operand), operand.bits);
  }

  override assumeNormal(operand: Operand): void {
    if (operand.kind !== "xmm" || this.#thorough) return;
    this.#registers.setNormal(this.#vectorRegister(operand), operand.bits);
  }

  /** An element replaces that of a register without a way through general registers. */
  override writeVector(operand: Operand, value: V128, alignment?: "unaligned"): void {
    if (operand.kind !== "xmm" || operand.bits < 32) {
      super.writeVector(operand, value, alignment);
      return;
    }
    const register = this.#registers.changeVector(this.#vectorRegister(operand));
    this.fn.set(register, withLowest(register, value, operand.bits));
  }

  protected readRegister(operand: Operand): I64 {
    const slot = this.#slot(operand);
    const bits = operand.bits as MemoryBits;
    switch (operand.kind) {
      case "xmm":
        return zeroExtend(i64x2.extractLane(this.#vector(slot), 0), bits);
      case "mmx":
        return zeroExtend(i64.load(i32.const(0), slot), bits);
      default: {
        const local = this.#registers.general((slot - STATE.GPR) >> 3);
        return zeroExtend(isHigh(slot) ? i64.shrU(local, i64.const(8)) : local, bits);
      }
    }
  }

  protected writeRegister(operand: Operand, value: I64): void {
    const slot = this.#slot(operand);
    const bits = operand.bits as MemoryBits;
    switch (operand.kind) {
      case "xmm":
        this.#writeLow(slot, bits, value);
        return;
      case "mmx":
        this.fn.storeNarrow(bits, i32.const(slot), value);
        this.fn.storeNarrow(16, i32.const(slot), i64.const(0xffff), ABOVE_MMX);
        return;
      default:
        this.#writeGeneral((slot - STATE.GPR) >> 3, isHigh(slot) ? 8 : 0, bits, value);
    }
  }

  protected readVectorRegister(operand: Operand): V128 {
    const slot = this.#slot(operand);
    const bits = operand.bits as VectorBits;
    if (operand.kind === "mmx") return LOAD_VECTOR[bits](i32.const(slot));
    const whole = this.#vector(slot);
    if (bits === 128) return whole;
    return v128.and(whole, bits === 64 ? i64x2.const(-1, 0) : i32x4.const(-1, 0, 0, 0));
  }

  protected writeVectorRegister(operand: Operand, value: V128): void {
    this.fn.set(this.#registers.changeVector(this.#vectorRegister(operand)), value);
  }

  /** Not in variables: most code has none, and all ways out would have to store them. */
  protected upperHalf(operand: Operand): readonly [I32, number] {
    return [i32.const(0), this.#slot(operand) + STATE.YMM_UPPER - STATE.XMM];
  }

  #vector(slot: number): Local<"v128"> {
    return this.#registers.vector((slot - STATE.XMM) >> 4);
  }

  /** The low bits of an XMM register; the others stay. */
  #writeLow(slot: number, bits: MemoryBits, value: I64): void {
    const register = this.#registers.changeVector((slot - STATE.XMM) >> 4);
    if (bits === 64) this.fn.set(register, i64x2.replaceLane(register, 0, value));
    else if (bits === 32) this.fn.set(register, i32x4.replaceLane(register, 0, i32.wrap(value)));
    else {
      const mask = (1n << BigInt(bits)) - 1n;
      const kept = i64.and(i64x2.extractLane(register, 0), i64.const(~mask));
      const merged = i64.or(kept, i64.and(value, i64.const(mask)));
      this.fn.set(register, i64x2.replaceLane(register, 0, merged));
    }
  }

  /** 32 bits clear the upper half, fewer keep the rest. */
  #writeGeneral(register: number, shift: number, bits: MemoryBits, value: I64): void {
    const registers = this.#registers;
    if (bits >= 32) {
      registers.setGeneral(register, zeroExtend(value, bits));
      return;
    }
    const mask = ((1n << BigInt(bits)) - 1n) << BigInt(shift);
    const kept = i64.and(registers.general(register), i64.const(~mask));
    const placed = shift === 0 ? value : i64.shl(value, i64.const(shift));
    registers.setGeneral(register, i64.or(kept, i64.and(placed, i64.const(mask))));
  }

  #vectorRegister(operand: Operand): number {
    return (this.#slot(operand) - STATE.XMM) >> 4;
  }

  #slot(operand: Operand): number {
    const slot = this.#slots[operand.field];
    if (slot === undefined) throw new Error("an operand without a register");
    return slot;
  }
}

/** AH, CH, DH and BH are one byte up in their registers. */
const isHigh = (slot: number): boolean => (slot & 7) !== 0;
