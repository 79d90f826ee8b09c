import type { VmExit } from "../src/core/cpu.ts";
import type { AccessSize } from "../src/core/device.ts";
import { FallbackExits } from "./exits.ts";
import { type MmioAccess, type MmioLog, MmioNeeded } from "./memory/mmio.ts";

/** What the instruction under way leaves the guest for, until the run loop has been told. */
export class Departure {
  readonly exits = new FallbackExits();
  #exit: VmExit | undefined;
  /** The access outside RAM that a device is being asked for. */
  #mmio: MmioAccess | undefined;
  /** What is then done instead of the instruction, which has asked its port already. */
  #again: (() => void) | undefined;

  get pending(): boolean {
    return this.#exit !== undefined;
  }

  /** @param exit one of {@link exits} */
  leaveFor(exit: VmExit): void {
    this.#exit = exit;
  }

  /** Returns what is pending, and forgets it. */
  take(): VmExit | undefined {
    const exit = this.#exit;
    this.#exit = undefined;
    return exit;
  }

  forget(): void {
    this.#exit = undefined;
    this.#mmio = undefined;
    this.#again = undefined;
  }

  portIn(port: number, bytes: number, deliver: (value: number) => void): void {
    const { portRead } = this.exits;
    portRead.port = port;
    portRead.size = bytes as AccessSize;
    portRead.deliver = (value) => this.#deliverInput(value, deliver);
    this.#exit = portRead;
  }

  portOut(port: number, bytes: number, value: number): void {
    const { portWrite } = this.exits;
    portWrite.port = port;
    portWrite.size = bytes as AccessSize;
    portWrite.written = value;
    this.#exit = portWrite;
  }

  /** The instruction is abandoned until a device has answered. */
  access(needed: MmioNeeded): void {
    const exit = needed.write ? this.exits.mmioWrite : this.exits.mmioRead;
    exit.set(needed);
    this.#exit = exit;
    this.#mmio = needed;
  }

  /**
   * An access outside RAM has its answer: it goes into the log.
   * @returns whether its instruction has to be executed again
   */
  completeAccess(log: MmioLog): boolean {
    const access = this.#mmio;
    // Nobody has been asked before the exit has been taken.
    if (access === undefined || this.pending) return false;
    this.#mmio = undefined;
    const { data } = access.write ? this.exits.mmioWrite : this.exits.mmioRead;
    const answer = new DataView(data.buffer).getBigUint64(0, true);
    const value = access.write ? access.value : BigInt.asUintN(8 * access.size, answer);
    log.complete(access, value);
    log.rewind();
    const again = this.#again;
    if (again === undefined) return true;
    this.#again = undefined;
    again();
    if (this.#mmio === undefined) log.clear();
    return false;
  }

  /**
   * INS has its value; its destination may be a device's memory, which is then to be written.
   * @param deliver changes nothing before it writes
   */
  #deliverInput(value: number, deliver: (value: number) => void): void {
    try {
      deliver(value);
    } catch (error) {
      if (!(error instanceof MmioNeeded)) throw error;
      this.access(error);
      this.#again = () => this.#deliverInput(value, deliver);
    }
  }
}
