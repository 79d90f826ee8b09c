import type { ByteSource } from "../../boot/byte-source.ts";
import type { ProcessorState } from "../../core/processor-state.ts";
import type { Resumption } from "../../machine/run-control.ts";

/** A file that the debugger may read, and no other. */
export interface OfferedFile {
  readonly path: string;
  readonly bytes: ByteSource;
}

/** A range of linear addresses with the same rights. */
export interface Region {
  readonly start: bigint;
  readonly size: bigint;
  /** Some of `r`, `w` and `x`; empty where nothing is mapped. */
  readonly permissions: string;
}

/** What a session debugs. All but {@link standing} and {@link stop} only while it stands still. */
export interface DebugTarget {
  /** Whether the guest stands still. */
  readonly standing: boolean;
  /** The program with its symbols, where there is one. */
  readonly executable: OfferedFile | undefined;
  readState(): ProcessorState;
  writeState(state: ProcessorState): void;
  /** By linear address; fewer bytes than asked for where there is no memory. */
  readMemory(linear: bigint, length: number): Uint8Array;
  /** @returns whether all of it is there; if not, nothing is written */
  writeMemory(linear: bigint, bytes: Uint8Array): boolean;
  region(linear: bigint): Region;
  /** Makes the guest stand still soon. */
  stop(): void;
  resume(resumption: Resumption): void;
  /** The guest goes on without a debugger, whether it stands or not. */
  release(): void;
  /** Takes the machine back to the start of the image; the guest still stands. */
  reset(): void;
  /** Ends the run. */
  kill(): void;
  /** @returns what the command has to say */
  monitor(command: string): string;
  /** Whether interrupts come in while the guest is stepped. */
  readonly interruptsWhileStepping: boolean;
}
