import type { PortAccess } from "../src/core/cpu.ts";
import type { AccessSize } from "../src/core/device.ts";
import type { Departure } from "./departure.ts";

/**
 * Ports as instructions access them: a device that can be asked without leaving the guest is, any
 * other once the guest has been left.
 */
export class Ports {
  readonly #departure: Departure;
  readonly #now: (() => number) | undefined;
  #access: PortAccess | undefined;
  /** Nanoseconds that devices have taken within the guest, if they are counted. */
  time = 0;

  /** @param now nanoseconds, if the time of devices is to be counted */
  constructor(departure: Departure, now: (() => number) | undefined) {
    this.#departure = departure;
    this.#now = now;
  }

  connect(access: PortAccess): void {
    this.#access = access;
  }

  /**
   * @param bytes 1, 2 or 4
   * @returns undefined if the guest has to be left for it
   */
  read(port: number, bytes: number): number | undefined {
    const access = this.#access;
    if (access === undefined || access.leaves(port)) return undefined;
    const start = this.#now?.() ?? 0;
    const value = access.read(port, bytes as AccessSize);
    this.#accessed(access, start);
    return value;
  }

  /** @returns false if the guest has to be left for it */
  write(port: number, bytes: number, value: number): boolean {
    const access = this.#access;
    if (access === undefined || access.leaves(port)) return false;
    const start = this.#now?.() ?? 0;
    access.write(port, bytes as AccessSize, value);
    this.#accessed(access, start);
    return true;
  }

  #accessed(access: PortAccess, start: number): void {
    if (this.#now !== undefined) this.time += this.#now() - start;
    if (!access.settled) this.#departure.leaveFor(this.#departure.exits.accessed);
  }
}
