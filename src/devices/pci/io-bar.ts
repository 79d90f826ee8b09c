import type { Bus } from "../../core/bus.ts";
import type { BusDevice } from "../../core/device.ts";
import { COMMAND_IO, type ConfigSpace } from "./config-space.ts";

const PORT_SPACE = 0x1_0000;

/** A range of I/O ports that moves with its base address register. */
export class IoBar {
  readonly index: number;
  readonly length: number;
  readonly #config: ConfigSpace;
  readonly #ports: Bus;
  readonly #device: BusDevice;
  #release: (() => void) | undefined;
  #claimedBase = 0;

  /**
   * @param index of the base address register, 0 to 5
   * @param length ports, a power of two, 4 to 256
   */
  constructor(config: ConfigSpace, index: number, length: number, ports: Bus, device: BusDevice) {
    config.defineIoBar(index, length);
    this.index = index;
    this.length = length;
    this.#config = config;
    this.#ports = ports;
    this.#device = device;
  }

  /** Gives up the range if the registers say another one by now. */
  releaseStale(): void {
    if (this.#release === undefined || this.#claimedBase === this.#wantedBase()) return;
    this.#release();
    this.#release = undefined;
  }

  /**
   * Claims the range that the registers say. If another device has any port of it, that one goes
   * on answering and this range is not decoded until it is free.
   */
  claim(): void {
    const base = this.#wantedBase();
    if (base === 0 || this.#release !== undefined) return;
    if (this.#ports.claimed(base, this.length)) return;
    this.#release = this.#ports.claim(base, this.length, this.#device);
    this.#claimedBase = base;
  }

  /** Zero: nowhere. Address 0 is what an unassigned register holds. */
  #wantedBase(): number {
    if ((this.#config.command & COMMAND_IO) === 0) return 0;
    const base = this.#config.ioBase(this.index);
    return base + this.length <= PORT_SPACE ? base : 0;
  }
}
