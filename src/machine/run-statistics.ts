import type { VmExit } from "../core/cpu.ts";

/** Counts of one run. Times are in nanoseconds. */
export class RunStatistics {
  /** Accesses count as what they are, whether the guest was left for them or not. */
  readonly exits: Record<Exclude<VmExit["kind"], "accessed">, number> = {
    "port-read": 0,
    "port-write": 0,
    "mmio-read": 0,
    "mmio-write": 0,
    halt: 0,
    kicked: 0,
    "interrupt-window": 0,
    "priority-lowered": 0,
    shutdown: 0,
    "cannot-continue": 0,
    debug: 0,
  };
  interrupts = 0;
  resets = 0;
  /** In slices: guest and devices together. */
  busy = 0;
  /** Waiting for something to happen, the host's event loop included. */
  idle = 0;

  get totalExits(): number {
    return Object.values(this.exits).reduce((sum, count) => sum + count, 0);
  }
}
