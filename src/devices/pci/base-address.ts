import type { Bus } from "../../core/bus.ts";
import type { BusDevice } from "../../core/device.ts";
import { COMMAND_IO, COMMAND_MEMORY, type ConfigSpace } from "./config-space.ts";

/** I/O ports, or physical addresses below 4 GiB. */
export type AddressSpace = "io" | "memory";

const SPACE_END: Readonly<Record<AddressSpace, number>> = { io: 0x1_0000, memory: 2 ** 32 };
const COMMAND_ENABLE: Readonly<Record<AddressSpace, number>> = {
  io: COMMAND_IO,
  memory: COMMAND_MEMORY,
};

export interface BaseAddressOptions {
  readonly config: ConfigSpace;
  /** Which base address register, 0 to 5. */
  readonly index: number;
  readonly space: AddressSpace;
  /** Ports (4 to 256) or bytes (at least 16), a power of two. */
  readonly length: number;
  /** The bus of that address space. */
  readonly bus: Bus;
  readonly device: BusDevice;
}

/** A range of addresses that moves with its base address register (PCI Local Bus 3.0 §6.2.5). */
export class BaseAddress {
  readonly index: number;
  readonly space: AddressSpace;
  readonly length: number;
  readonly #options: BaseAddressOptions;
  #release: (() => void) | undefined;
  #claimedBase = 0;

  constructor(options: BaseAddressOptions) {
    const { config, index, space, length } = options;
    if (space === "io") config.defineIoBar(index, length);
    else config.defineMemoryBar(index, length);
    this.index = index;
    this.space = space;
    this.length = length;
    this.#options = options;
  }

  /** Gives up the range if the registers say another one by now. */
  releaseStale(): void {
    if (this.#release === undefined || this.#claimedBase === this.#wantedBase()) return;
    this.#release();
    this.#release = undefined;
  }

  /**
   * Claims the range that the registers say. If another device has any address of it, that one goes
   * on answering and this range is not decoded until it is free.
   */
  claim(): void {
    const { bus, device } = this.#options;
    const base = this.#wantedBase();
    if (base === 0 || this.#release !== undefined) return;
    if (bus.claimed(base, this.length)) return;
    this.#release = bus.claim(base, this.length, device);
    this.#claimedBase = base;
  }

  /** Zero: nowhere. Address 0 is what an unassigned register holds. */
  #wantedBase(): number {
    const { config } = this.#options;
    if ((config.command & COMMAND_ENABLE[this.space]) === 0) return 0;
    const base = config.barBase(this.index);
    return base + this.length <= SPACE_END[this.space] ? base : 0;
  }
}
