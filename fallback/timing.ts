import type { GuestTime, VmExit } from "../src/core/cpu.ts";
import type { Engine } from "./interpreter/engine.ts";
import type { Ports } from "./ports.ts";
import { TimeShares } from "./time-shares.ts";

/** Where the time of a run goes, in nanoseconds. */
export class Timing {
  readonly times = { cpu: 0, exits: 0 };
  readonly #engine: Engine;
  readonly #ports: Ports;
  readonly #now: () => number;
  readonly #shares = new TimeShares();
  /** When the guest left for a device; 0 if it did not. */
  #leftAt = 0;
  /** Of instructions in regions, and of the JIT's and devices' time: what {@link #shares} knows of. */
  #seen = { inRegions: 0, translating: 0, inDevices: 0 };

  constructor(engine: Engine, ports: Ports, now: () => number) {
    this.#engine = engine;
    this.#ports = ports;
    this.#now = now;
  }

  /** Measures a run of the guest until it leaves. */
  run(run: () => VmExit): VmExit {
    const start = this.#now();
    if (this.#leftAt !== 0) this.times.exits += start - this.#leftAt;
    const before = this.#ports.time;
    const exit = run();
    const end = this.#now();
    const inDevices = this.#ports.time - before;
    this.times.cpu += end - start - inDevices;
    this.times.exits += inDevices;
    this.#leftAt = DEVICE_EXITS.has(exit.kind) ? end : 0;
    return exit;
  }

  /** Another processor has run since the guest left for a device. */
  forget(): void {
    this.#leftAt = 0;
  }

  /** Takes account of a slice. @param elapsed with the time of devices in it */
  slice(instructions: number, elapsed: number): void {
    const { inRegions } = this.#engine;
    const { time: inDevices } = this.#ports;
    const translating = this.#translating;
    const translated = inRegions - this.#seen.inRegions;
    const others = translating - this.#seen.translating + inDevices - this.#seen.inDevices;
    this.#seen = { inRegions, translating, inDevices };
    this.#shares.add(translated, instructions - translated, elapsed - others);
  }

  get guestTime(): GuestTime {
    const { interpreted, time } = this.#shares;
    return {
      translated: time * (1 - interpreted),
      interpreted: time * interpreted,
      translating: this.#seen.translating,
    };
  }

  get #translating(): number {
    return this.#engine.jit?.figures.time ?? 0;
  }
}

const DEVICE_EXITS: ReadonlySet<VmExit["kind"]> = new Set([
  ...(["port-read", "port-write", "mmio-read", "mmio-write"] as const),
]);
