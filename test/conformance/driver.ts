import type { CpuState } from "./cpu-state.ts";

export type Mode = 64 | 32;

/** One instruction and what it starts from, in the world of `environment.ts`. */
export interface Snippet {
  readonly mode: Mode;
  /** 1 to 15 bytes, at CODE. */
  readonly code: Uint8Array;
  /** RIP is CODE. In 32-bit mode the upper halves of the general registers are zero. */
  readonly state: CpuState;
}

export interface Fault {
  /** 0 to 31. */
  readonly vector: number;
  /** For the vectors that push one. */
  readonly errorCode?: number;
  /** For page faults. */
  readonly cr2?: bigint;
}

/**
 * Where the instruction left the processor: RIP at the next instruction to execute, or where the
 * fault's frame has it. A branch to where no code can be fetched has succeeded: the fault that
 * follows belongs to the next instruction. A repeated string instruction runs to its end.
 */
export interface SnippetResult {
  readonly state: CpuState;
  readonly fault?: Fault | undefined;
}

/** What every processor under test implements. */
export interface SnippetCpu {
  readonly name: string;
  /**
   * Executes one instruction. The snippet's own state must stay as it is; the result's may be another's
   * with the next call.
   */
  run(snippet: Snippet): SnippetResult;
  /** {@link run} is about to be called for each of these, of which there are {@link BATCH} at most. */
  prepare?(snippets: readonly Snippet[]): void;
}

/** A processor whose results are true by definition; faster in batches. */
export interface Judge {
  readonly name: string;
  /** Modes in which the results can be trusted. */
  readonly modes: readonly Mode[];
  /** @returns one result for each snippet, in order; undefined for one that it does not come back from */
  runAll(snippets: readonly Snippet[]): (SnippetResult | undefined)[];
  /**
   * The same for {@link BATCH} snippets at most, if it can do that on its own: begins, and returns what
   * waits for the results. Until that has been called nothing else may be asked of it.
   */
  start?(snippets: readonly Snippet[]): () => (SnippetResult | undefined)[];
}

/** Snippets that a judge is given at once, and that a processor under test is prepared for at once. */
export const BATCH = 2048;

/** Vectors that push an error code (Intel SDM vol. 3A table 6-1). */
export const PUSHES_ERROR_CODE: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21]);
export const DEBUG = 1;
export const BREAKPOINT = 3;
export const PAGE_FAULT = 14;
/** Bit of a page fault's error code: an instruction fetch. */
export const FETCH = 1 << 4;
