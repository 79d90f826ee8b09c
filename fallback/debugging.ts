import { type DebugExit, type DebugStops, NO_STOPS, type Watchpoint } from "../src/core/debug.ts";
import { isCanonical } from "./bits.ts";
import { Leave } from "./interpreter/host.ts";
import { linearOf } from "./memory/linear.ts";
import type { Mmu } from "./memory/mmu.ts";

/**
 * Where a debugger outside the guest has it stop. Nothing of it is in the guest's memory or
 * registers: breakpoints end blocks of translated code, which are left before the next one begins,
 * and pages with watched data are accessed through the MMU, which looks.
 */
export class Debugging {
  readonly #mmu: Mmu;
  readonly #onBreakpoints: () => void;
  #stops: DebugStops = NO_STOPS;
  #pending: DebugExit | undefined;
  #alone = false;

  /** @param onBreakpoints there are others now: what was translated is of no use */
  constructor(mmu: Mmu, onBreakpoints: () => void) {
    this.#mmu = mmu;
    this.#onBreakpoints = onBreakpoints;
  }

  set(stops: DebugStops): void {
    const before = this.#stops;
    this.#stops = stops;
    this.#pending = undefined;
    this.#alone = false;
    if (!sameAddresses(before.breakpoints, stops.breakpoints)) this.#onBreakpoints();
    if (before.watchpoints.length + stops.watchpoints.length === 0) return;
    this.#mmu.watchFromOutside(stops.watchpoints.map(watch).filter(({ length }) => length > 0));
  }

  /** The guest stops here, once devices have had what it left for. */
  get pending(): boolean {
    return this.#pending !== undefined;
  }

  take(): DebugExit | undefined {
    const exit = this.#pending;
    this.#pending = undefined;
    return exit;
  }

  /** Whether the next instruction is to be executed by itself. */
  get alone(): boolean {
    return this.#alone || this.#stops.step;
  }

  /** Whether there are breakpoints. */
  get breaks(): boolean {
    return this.#stops.breakpoints.size > 0;
  }

  /** Whether there is a breakpoint. @param linear address of an instruction */
  breaksAt(linear: bigint): boolean {
    return this.#stops.breakpoints.size > 0 && this.#stops.breakpoints.has(linear);
  }

  /**
   * The instruction at a linear address is about to be executed.
   * @returns whether the guest stops before it does: a step goes past a breakpoint that it begins at
   */
  stopsBefore(linear: bigint): boolean {
    if (this.#stops.step || !this.breaksAt(linear)) return false;
    this.#pending = { kind: "debug", cause: "breakpoint", watchpoint: undefined };
    return true;
  }

  /** As {@link stopsBefore}, out of translated code. @throws Leave */
  enter(linear: bigint): void {
    if (this.stopsBefore(linear)) throw new Leave();
  }

  /** The next instruction will access watched data: nothing of it has been executed. */
  holdForAccess(): void {
    this.#alone = true;
  }

  /** An instruction has been executed by itself, or its exception delivered. */
  executed(): void {
    this.#alone = false;
    this.noticeAccesses();
    if (!this.#stops.step || this.#pending !== undefined) return;
    this.#pending = { kind: "debug", cause: "step", watchpoint: undefined };
  }

  /** Whether watched data has been accessed. */
  noticeAccesses(): void {
    if (this.#stops.watchpoints.length === 0) return;
    const hits = this.#mmu.takeOutsideHits();
    const watchpoint = this.#stops.watchpoints.find((_, i) => (hits & (1 << i)) !== 0);
    if (watchpoint !== undefined)
      this.#pending = { kind: "debug", cause: "watchpoint", watchpoint };
  }
}

const watch = ({ address, length, kind }: Watchpoint, index: number) => ({
  bit: 1 << index,
  start: linearOf(address),
  // No access is to what is not canonical.
  length: isCanonical(address) ? length : 0,
  reads: kind !== "write",
  writes: kind !== "read",
});

const sameAddresses = (a: ReadonlySet<bigint>, b: ReadonlySet<bigint>): boolean =>
  a.size === b.size && [...a].every((address) => b.has(address));
