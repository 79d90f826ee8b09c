import type { Clock } from "../src/core/clock.ts";
import type { Registers } from "../src/core/cpu.ts";
import type { DecodedInstruction } from "./interpreter/decoder.ts";
import type { OpcodeMap } from "./isa/opcode-map.ts";
import type { JitOptions } from "./jit/jit.ts";

export interface FallbackCpuOptions {
  /** Laid out as `state.ts` says: the processor's part, then guest RAM. */
  readonly memory: WebAssembly.Memory;
  /** Bytes of guest RAM. */
  readonly ramSize: number;
  /** The table of instructions, and the interpreter made of it by `buildInterpreter`. */
  readonly map: OpcodeMap;
  readonly interpreter: WebAssembly.Module;
  /** Makes the interpreter whose frequent handlers are inline, for long runs; undefined: it is the first already. */
  readonly inlineInterpreter: (() => WebAssembly.Module) | undefined;
  /** Whether the memory is a shared one. */
  readonly shared?: boolean;
  /** Undefined: everything is interpreted. */
  readonly jit?: JitOptions | undefined;
  readonly clock: Clock;
  /** Whether the host's event loop has work: looked at several times a millisecond. */
  readonly hostWaits: () => boolean;
  /** Whether to measure where the time goes. */
  readonly timed?: boolean;
  /**
   * Hears what a slice of execution took, in nanoseconds, and may ask where the guest stands: a few
   * times a millisecond while it runs.
   */
  readonly profile?: ((elapsed: number, registers: () => Registers) => void) | undefined;
  /** The time stamp counter before the guest writes it; the clock's nanoseconds unless given. */
  readonly timeStamp?: () => bigint;
  /** 64 random bits for the guest; the host's unless given. */
  readonly random?: () => bigint;
  /**
   * Hears how many instructions have been executed, each of which takes a nanosecond: the clock
   * goes by it. Then slices end exactly at their deadlines, and the host does not break them off.
   */
  readonly executed?: (instructions: number) => void;
  /**
   * Which instructions another processor is to execute. At them, and at what is no instruction
   * here, `run` comes back with `cannot-continue`. Without this, what is none raises #UD. What changes
   * the answer is to be among them: it holds until {@link FallbackCpu.writeState}.
   */
  readonly leaves?: (instruction: DecodedInstruction, xcr0: bigint) => boolean;
}
