import type { StringRuns } from "../emission/string-runs.ts";
import type { X87Function } from "../emission/x87-functions.ts";
import type { Expression, I32, I64, V128, ValueType } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import type { FlagEmitter } from "./flag-emitter.ts";
import type { Operand } from "./operand.ts";
import type { StringOperands } from "./string-comparison.ts";

export type MemoryBits = 8 | 16 | 32 | 64;

/** Which place of those that a relative branch names: its target, or what follows it. */
export type KnownWay = "target" | "next";

/**
 * What instructions are described in. A meaning calls these methods once; what they append to is
 * the interpreter's handler of that variant, or a region of the JIT.
 *
 * Integers are i64 and zero-extended from their width, unless a name says otherwise. An expression
 * is used once: {@link let} makes it a local, which may be used again. A fault leaves the code at
 * once; so everything that may fault comes before the first write.
 */
export interface Emitter {
  /** Operand size of this variant in bits. */
  readonly bits: MemoryBits;
  /** Whether the variant is for 64-bit mode: for instructions that use the stack. */
  readonly long: boolean;
  readonly flags: FlagEmitter;

  let<Type extends ValueType>(value: Expression<Type>): Local<Type>;
  /** As {@link let}, for what is to be set again. */
  variable<Type extends ValueType>(value: Expression<Type>): Local<Type>;
  /** A variable to be {@link set}. */
  local<Type extends ValueType>(type: Type): Local<Type>;
  set<Type extends ValueType>(local: Local<Type>, value: Expression<Type>): void;
  if(condition: I32, then: () => void, otherwise?: () => void): void;
  /**
   * The same for what seldom is so, and before anything is changed: code that is made for speed may
   * leave the whole instruction to somebody else instead.
   */
  ifRarely(condition: I32, then: () => void): void;

  /** An integer operand, or the low bits of an XMM or MMX register: zero-extended. */
  read(operand: Operand): Local<"i64">;
  /** The same, sign-extended from the operand's width. */
  readSigned(operand: Operand): Local<"i64">;
  /**
   * Upper bits of `value` do not matter. 32-bit registers are zero-extended; XMM registers keep
   * what is above the operand's width.
   */
  write(operand: Operand, value: I64): void;
  /** Read, change, write; memory is checked for writing first. Returns what was written. */
  modify(operand: Operand, change: (old: Local<"i64">) => I64): void;
  /** The offset that a memory operand names (LEA), not cut to any width. */
  effectiveAddress(operand: Operand): I64;

  /**
   * An XMM or MMX register or memory, 32, 64 or 128 bits wide, with zeros above.
   * @param alignment 128 bits of memory must be aligned, else #GP(0), if not said otherwise
   */
  readVector(operand: Operand, alignment?: "unaligned"): Local<"v128">;
  /**
   * The same, and of 256 bits the lower and the upper half.
   * @param alignment memory must have that of its width, else #GP(0), if it is given
   */
  readHalves(operand: Operand, alignment?: "aligned"): readonly Local<"v128">[];
  /**
   * All of a YMM register, one half or both: the rest becomes zero. Or memory of 128 or 256 bits,
   * all of which may be written before any is.
   */
  writeHalves(operand: Operand, halves: readonly V128[], alignment?: "aligned"): void;
  /** The upper half of each YMM register that the mode has becomes zero. */
  clearUpperHalves(): void;
  /** The low bits of `value`; XMM registers keep what is above the operand's width. */
  writeVector(operand: Operand, value: V128, alignment?: "unaligned"): void;
  /** The control and status register of SSE. */
  mxcsr(): I32;
  /** Whether MXCSR, of the bits in `mask`, has just those in `modes`. */
  mxcsrIs(mask: number, modes: number): I32;
  /** Whether the lowest element of an XMM register operand is known to be a normal number. */
  isKnownNormal(operand: Operand): boolean;
  /** {@link ifRarely} has seen to it that it is one, where it did not go on itself. */
  assumeNormal(operand: Operand): void;

  /** A general register by number. @param bits 8 means the low byte */
  getRegister(register: number, bits: MemoryBits): I64;
  setRegister(register: number, bits: MemoryBits, value: I64): void;
  /** The same of an XMM register. */
  setVector(register: number, value: V128): void;

  /** Linear address of a memory operand. @param write whether it is going to be written */
  address(operand: Operand, write: boolean): Local<"i64">;
  /** Memory by linear address. */
  load(address: Local<"i64">, bits: MemoryBits): Local<"i64">;
  /** As {@link load}, where the memory is going to be written. */
  loadForWrite(address: Local<"i64">, bits: MemoryBits): Local<"i64">;
  store(address: Local<"i64">, bits: MemoryBits, value: I64): void;

  /** Stack accesses of `bits`, with the stack pointer updated only if they succeed. */
  /** @param check before the stack pointer moves; memory has been written then */
  push(bits: MemoryBits, value: I64, check?: () => void): void;
  /** @param check of the value, before the stack pointer moves */
  pop(bits: MemoryBits, check?: (value: Local<"i64">) => void): Local<"i64">;
  /** The same with another register as the stack pointer, which RSP is then set by (LEAVE). */
  popAt(register: number, bits: MemoryBits): Local<"i64">;

  /** Offset of the next instruction in the code segment. */
  nextRip(): I64;
  /** #GP(0) unless the code segment has the offset. */
  checkTarget(target: Local<"i64">): void;
  /** Goes on at an offset in the code segment: the last statement. @param way if it is always the same one */
  jump(target: I64, way?: KnownWay): void;

  /** Calls the function of `buildStringComparison`: for instructions that are `late`. */
  compareStrings(control: I32, ...operands: StringOperands): Local<"i32">;

  /** All of RFLAGS but the arithmetic flags. */
  systemFlags(): I32;
  setSystemFlags(flags: I32): void;
  /** Sets 32 or 64 bits of the processor's state, by the value's type. @param offset from `STATE` */
  setField(offset: number, value: I32 | I64): void;
  /** Instructions that the budget has behind the last of the block. */
  budget(): I32;

  /** Leaves the instruction to its procedure unless `condition`; nothing is changed yet. */
  fallbackUnless(condition: I32): void;
  fault(vector: number, errorCode?: number): void;
  faultIf(condition: I32, vector: number, errorCode?: number): void;
}

/** For what has no place in the interpreter's records, or few guests need: see `Instruction.byVariant`. */
export interface TranslationEmitter extends Emitter {
  /**
   * Linear address of what a register points to in a segment, cut to the address size.
   * @param segment index as in `SEGMENT_INDEX`
   * @param bytes that are going to be accessed
   */
  pointedTo(register: number, segment: number, bytes: number, write: boolean): Local<"i64">;
  /** Linear address of the memory operand. @param bytes that are going to be accessed */
  operandAt(bytes: number, write: boolean): Local<"i64">;
  /** Offset in the code segment of the instruction itself. */
  startRip(): I64;
  /** The i of ST(i). */
  stackIndex(): I32;
  /** Calls a function of `X87Functions`. */
  x87(name: X87Function, ...operands: readonly Expression[]): Local<"i32">;
  /** Sets a field of the processor's state. @param offset one of `STATE` */
  setState(bits: 16 | 64, offset: number, value: I64): void;
}

/** Where instructions are known while code is made: see `Instruction.translation`. */
export interface RegionEmitter extends TranslationEmitter {
  /** Both halves of a YMM register by number. */
  wholeVector(register: number): readonly [V128, V128];
}

/** Where what code is translated for may change: see `Instruction.interpretation`. */
export interface SystemEmitter extends Emitter {
  /**
   * Loads a segment register, where that has no consequences beside those that generated code sees.
   * @returns 0 if the procedure has to: then nothing is changed
   */
  loadSegment(register: Operand, selector: I64): I32;
  /** Whether a control register is CR0. */
  isCr0(register: Operand): I32;
  /** Goes to the far pointer in the instruction; as {@link loadSegment}. */
  farJump(): I32;
  /** INT and IRET in real mode; as {@link loadSegment}. */
  interrupt(vector: I64): I32;
  interruptReturn(): I32;
  /** Goes on where the processor's state says: the last statement. */
  leaveBlock(): void;
}

/** What a string instruction with a repeat prefix is made of: see `emitRepetition`. */
export interface RepetitionEmitter extends Pick<Emitter, "getRegister" | "let" | "setRegister"> {
  /** Calls a function of `StringRuns`. @param source, shift as it takes them */
  run(name: keyof StringRuns, source: I64, shift: I32): Local<"i64">;
  /** Takes from the budget what an instruction does besides itself. @param work in instructions */
  spend(work: I64): void;
}
