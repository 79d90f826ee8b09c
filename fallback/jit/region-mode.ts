/** What instructions of a region are translated for, and how their code leaves it. */
import type { Miss } from "../emission/guest-access.ts";
import type { SegmentTraits } from "../segment-traits.ts";
import type { I32, I64 } from "../wasm/expression.ts";
import type { ExitReason } from "./exit-records.ts";
import type { KnownWindows } from "./known-windows.ts";
import type { StackFrame } from "./stack-frame.ts";

/** How the code of an instruction leaves it. */
export interface InstructionExits {
  /** The instruction has to be interpreted: it faults, or an access needs TypeScript. */
  interpret(reason: ExitReason, miss?: Miss): void;
  /** @param target offset in the code segment */
  jump(target: I64): void;
  /** As `Emitter.budget` and `RegionEmitter.spend`. */
  budget(): I32;
  spend(work: I64): void;
}

/** What the code of a region is translated for. */
export interface RegionMode {
  readonly codeSize: 16 | 32 | 64;
  /** The last offset in the code segment. */
  readonly limit: bigint;
  readonly segments: SegmentTraits;
  /** MXCSR rounds and masks as usual, and a result has been inexact before. */
  readonly usualModes: boolean;
  readonly frame: StackFrame | undefined;
  /** Undefined: windows are looked at for each access. */
  readonly windows: KnownWindows | undefined;
}
