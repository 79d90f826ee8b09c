import type { DebugStops, WatchKind, Watchpoint } from "../../core/debug.ts";

/** Numbers of the types in `Z` packets (GDB manual, appendix E.2). */
const SOFTWARE = 0;
const HARDWARE = 1;
const WATCH_KINDS: Readonly<Record<number, WatchKind>> = { 2: "write", 3: "read", 4: "access" };

/** Enough for anybody; a client gone mad does not fill memory. */
const MAX_BREAKPOINTS = 10_000;
const MAX_WATCHPOINTS = 16;
const MAX_WATCHED_BYTES = 1 << 20;

/** What a session has asked to stop at. */
export class BreakpointTable {
  readonly #software = new Set<bigint>();
  readonly #hardware = new Set<bigint>();
  #watchpoints: readonly Watchpoint[] = [];

  /** @returns `full`, or `unknown` for a type that there is not; setting twice is setting once */
  insert(type: number, address: bigint, length: number): "done" | "full" | "unknown" {
    const addresses = this.#addresses(type);
    if (addresses !== undefined) {
      if (addresses.size >= MAX_BREAKPOINTS && !addresses.has(address)) return "full";
      addresses.add(address);
      return "done";
    }
    const kind = WATCH_KINDS[type];
    if (kind === undefined) return "unknown";
    this.remove(type, address, length);
    if (length === 0 || length > MAX_WATCHED_BYTES) return "full";
    if (this.#watchpoints.length >= MAX_WATCHPOINTS) return "full";
    this.#watchpoints = [...this.#watchpoints, { address, length, kind }];
    return "done";
  }

  /** @returns whether there is such a type */
  remove(type: number, address: bigint, length: number): boolean {
    const addresses = this.#addresses(type);
    if (addresses !== undefined) {
      addresses.delete(address);
      return true;
    }
    const kind = WATCH_KINDS[type];
    this.#watchpoints = this.#watchpoints.filter(
      (one) => one.address !== address || one.length !== length || one.kind !== kind,
    );
    return kind !== undefined;
  }

  /** What the processor is to stop at. */
  stops(step: boolean): DebugStops {
    return {
      breakpoints: new Set([...this.#software, ...this.#hardware]),
      watchpoints: this.#watchpoints,
      step,
    };
  }

  /** As stop replies call the breakpoint at an address: of hardware only if it is nothing else. */
  kindAt(address: bigint): "swbreak" | "hwbreak" {
    return this.#hardware.has(address) && !this.#software.has(address) ? "hwbreak" : "swbreak";
  }

  #addresses(type: number): Set<bigint> | undefined {
    if (type === SOFTWARE) return this.#software;
    return type === HARDWARE ? this.#hardware : undefined;
  }
}
