import type { StringRuns } from "../emission/string-runs.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import type { Emitter, RegionEmitter, SystemEmitter, TranslationEmitter } from "./emitter.ts";
import type { Operand } from "./operand.ts";

export type Unit = "x87" | "mmx" | "sse" | "avx";

/** What a variant decides of an instruction. */
export type OfVariant = Pick<
  DecodedInstruction,
  "form" | "operandSize" | "addressSize" | "segment"
>;

/** Letters of the arithmetic flags: OF, SF, ZF, AF, PF, CF. */
export interface FlagUse {
  readonly read?: string;
  readonly written?: string;
  /** Undefined by the manual; what we leave there is documented by nobody and tested by nobody. */
  readonly undefined?: string;
}

/**
 * One instruction: its encodings, and what it means. The decoder, the interpreter, the disassembler
 * and the tests are all made from this.
 *
 * A form is `[prefix] opcode[/digit] operands [traits]`, for example `01 Ev,Gv`, `80/0 Eb,Ib` or
 * `66 0F 6F Vx,Wx`, with the operand codes of Intel SDM vol. 2D §A.2 (see `operand.ts`). The
 * prefix is NP, 66, F3 or F2 where it is part of the opcode. Traits: `64` only in 64-bit mode,
 * `no64` not in 64-bit mode, `d64` the operand size there is 64 (or 16), `f64` always 64, `W` with
 * REX.W only, `noW` without, `noB` without REX.B;
 * `mem` and `reg` the kind of ModRM.rm; `v` the meaning depends on the operand size.
 */
export interface Instruction {
  /** Unique in the table. */
  readonly name: string;
  /** What assemblers call it, where that is not the name. */
  readonly mnemonic?: string;
  readonly forms: readonly string[];
  readonly flags?: FlagUse;
  /** May have a LOCK prefix if its first operand is in memory. */
  readonly lock?: true;
  /** Takes REP prefixes: a string instruction. */
  readonly repeat?: true;
  /** Least privilege: the instruction raises #GP(0) above this level. */
  readonly cpl?: 0;
  /** Execution does not go on with the next record: a branch, or a change of mode. */
  readonly ends?: true;
  /**
   * The unit it belongs to, where no operand is an XMM register (SSE; AVX with a VEX prefix) or an MMX register: raises #UD
   * or #NM when CR0.EM, CR0.TS or CR4.OSFXSR say so.
   */
  readonly unit?: Unit;
  /** Code for stack accesses: it depends on the mode. */
  readonly stack?: true;
  /**
   * Uses rCX as wide as addresses are. The {@link meaning} is for where that is the operand size; with
   * an address size prefix it takes the {@link procedure}.
   */
  readonly counter?: true;
  /** The {@link meaning} is for addresses of 64 bits in 64-bit mode; others take the {@link procedure}. */
  readonly only64?: true;
  /** The operand size makes no difference to its code. */
  readonly sizeless?: true;
  /**
   * The interpreter gets its code when it first comes to such an instruction, in a module of its own:
   * what few guests execute would make every start longer. The interpreter's module has code of a few variants
   * that most C programs execute (`interpreter/frequent.ts`).
   */
  readonly late?: true;
  /** The meaning over an emitter: both the interpreter and the JIT are made from it. */
  readonly meaning?: (e: Emitter, ...operands: Operand[]) => void;
  /**
   * The meaning of what has operands that the interpreter's records have no room for, or needs functions
   * that few guests do: for the JIT, and the interpreter takes the {@link procedure}
   * if it does not have it {@link byVariant}. Not of string instructions that are repeated.
   */
  readonly translation?: (e: RegionEmitter, instruction: DecodedInstruction) => void;
  /**
   * The same function, if it asks the emitter for all that the variant does not decide: then the interpreter
   * has it as well, in a module that is instantiated when code has the first such instruction. With
   * {@link only64}, and of string instructions those in segments without a base.
   */
  readonly byVariant?: (e: TranslationEmitter, instruction: OfVariant) => void;
  /**
   * The meaning for the interpreter alone, of what changes what code is translated for: regions end
   * before it.
   */
  readonly interpretation?: (e: SystemEmitter, ...operands: Operand[]) => void;
  /**
   * Which function does a string instruction that is repeated, as far as that is quick: see
   * `repeatedBy`. The {@link procedure} does the rest.
   */
  readonly repetition?: keyof StringRuns;
  /**
   * Ends a block because of what might follow: where nothing does, a region goes on behind it. It
   * changes neither segments nor mappings.
   */
  readonly resumes?: true;
  /** Accesses a port: regions do so without the procedure where the guest plainly may. */
  readonly port?: "in" | "out";
  /**
   * The meaning as a procedure, for what is rare or intricate; beside a {@link meaning}, for the
   * cases that this one leaves to it (`Emitter.fallbackUnless`).
   */
  readonly procedure?: (context: ProcedureContext) => void;
}

/** Whether the interpreter has code of it; otherwise it is a procedure there. */
export const isInterpreted = ({ meaning, interpretation, byVariant }: Instruction): boolean =>
  meaning !== undefined || interpretation !== undefined || byVariant !== undefined;

/** A family of instructions: a file of `isa/`. */
export type Family = readonly Instruction[];
