import type { CpuException } from "../exceptions.ts";
import type { JitHost } from "../jit/support-instance.ts";
import type { JitSurroundings } from "../jit/surroundings.ts";
import type { CodePlace } from "./code-place.ts";
import type { DecodedInstruction } from "./decoder.ts";
import type { CodeSource } from "./translator.ts";

/** What the interpreter needs of the processor around it. Faults are thrown as CpuException. */
export interface EngineHost extends CodeSource {
  /** Where STATE.RIP is. */
  place(): CodePlace;
  /** Puts what is loaded into STATE.SCRATCH. */
  load(low: number, high: number, bytes: number, forWrite: boolean): void;
  /** Stores what is in STATE.SCRATCH. */
  store(low: number, high: number, bytes: number): void;
  /**
   * An access through a segment, outside 64-bit mode, that is not plainly permitted.
   * @param index of the segment register
   */
  checkSegment(index: number, offset: number, bytes: number, write: boolean): void;
  /** Executes an instruction that has no code. STATE.RIP is behind it. */
  procedure(instruction: DecodedInstruction): void;
  /**
   * Executes IN or OUT, if nothing has to be looked at before. STATE.RIP is behind it.
   * @returns whether it has
   */
  accessPort(instruction: DecodedInstruction): boolean;
  /** For the regions of the JIT. */
  readonly jit: JitHost &
    Pick<JitSurroundings, "wordAt" | "moveWindow"> & {
      /** How often memory that was in a window may have ceased to qualify. */
      windowLosses(): number;
    };
  /**
   * After an instruction that ends a block: brings what code is translated for up to date.
   * @param resumes whether the instruction is one of those that change nothing of it
   * @returns whether nothing else has to be looked at before the next instruction
   */
  goesOn(resumes: boolean): boolean;
  /** Brings what code is translated for up to date. */
  synchronise(): void;
  /** As `Processor.settleShadow` and `keepShadow`. */
  settleShadow(budget: number): void;
  keepShadow(budget: number): void;
  /** Turns what was thrown by any of the above into a fault; rethrows what is none. */
  asFault(thrown: unknown): CpuException | Leave | NonCanonical;
  /** #SS(0) or #GP(0). */
  nonCanonical(instruction: DecodedInstruction, access: NonCanonical): CpuException;
}

/** Thrown for an address that is not canonical: the fault depends on the instruction. */
export class NonCanonical {
  readonly isStore: boolean;

  constructor(isStore: boolean) {
    this.isStore = isStore;
  }
}

/** Thrown to leave the guest at the instruction under way, which will be executed again. */
export class Leave {}
