/** What a debugger asks of a processor, and what the processor tells it. */

/** Which accesses a watchpoint stops at. */
export type WatchKind = "write" | "read" | "access";

export interface Watchpoint {
  /** Linear. */
  readonly address: bigint;
  /** Bytes, above 0; any number, at any alignment. */
  readonly length: number;
  readonly kind: WatchKind;
}

/** Where the guest is to stop. */
export interface DebugStops {
  /** Linear addresses of instructions: the guest stops before it executes one of them. */
  readonly breakpoints: ReadonlySet<bigint>;
  /** The guest stops after the instruction that makes such an access. */
  readonly watchpoints: readonly Watchpoint[];
  /**
   * To stop after one instruction, whether or not a breakpoint is at it. Delivering what precedes
   * it, or its own exception, is part of it: the guest then stops in the handler.
   */
  readonly step: boolean;
}

/** Where a guest runs that nobody debugs. */
export const NO_STOPS: DebugStops = { breakpoints: new Set(), watchpoints: [], step: false };

export const stopsAnywhere = ({ breakpoints, watchpoints, step }: DebugStops): boolean =>
  step || breakpoints.size > 0 || watchpoints.length > 0;

/** The guest stopped where a debugger had asked for it. */
export interface DebugExit {
  readonly kind: "debug";
  /** RIP is at the breakpoint; or behind the instruction that was stepped or made the access. */
  readonly cause: "breakpoint" | "watchpoint" | "step";
  /** Which; undefined for the other causes. */
  readonly watchpoint: Watchpoint | undefined;
}

/** Linear address of the instruction that comes next. */
export const instructionAddress = (registers: {
  readonly rip: bigint;
  readonly efer: bigint;
  readonly cs: { readonly base: bigint; readonly attributes: number };
}): bigint => {
  const { rip, efer, cs } = registers;
  if ((efer & EFER_LMA) !== 0n && (cs.attributes & ATTRIBUTE_LONG) !== 0) return rip;
  return BigInt.asUintN(32, cs.base + rip);
};

const EFER_LMA = 1n << 10n;
/** Of a code segment's attributes: 64-bit code. */
const ATTRIBUTE_LONG = 1 << 13;
