import type { GuestMemory } from "../../core/guest-memory.ts";
import { gpa } from "../../core/units.ts";
import type { Dma8237 } from "./dma8237.ts";

export interface DmaChannelOptions {
  readonly memory: GuestMemory;
  readonly controller: Dma8237;
  /** 0 to 3. */
  readonly channel: number;
  /** The upper part of addresses, bits 16 to 23. */
  readonly page: () => number;
}

/** A device's way to memory by one channel of a DMA controller. */
export class DmaChannel {
  readonly #options: DmaChannelOptions;

  constructor(options: DmaChannelOptions) {
    this.#options = options;
  }

  /** Whether the controller has come to the end of its count with the last bytes (its output TC). */
  ended = false;

  /**
   * From the device to memory, as far as the controller counts.
   * @returns how many bytes it took
   */
  put(bytes: Uint8Array): number {
    return this.#move(bytes.length, "write", (at, from, to) => {
      const { memory } = this.#options;
      // Without memory at the address nobody takes what is on the bus.
      if (memory.contains(at, to - from)) memory.write(gpa(at), bytes.subarray(from, to));
    });
  }

  /** From memory to the device. @returns how many bytes there were */
  take(into: Uint8Array): number {
    return this.#move(into.length, "read", (at, from, to) => {
      const { memory } = this.#options;
      if (memory.contains(at, to - from)) into.set(memory.slice(gpa(at), to - from), from);
      else into.fill(0xff, from, to);
    });
  }

  /** The address counts within its 16 bits: what crosses 64 KiB goes on where the page begins. */
  #move(
    length: number,
    kind: "read" | "write",
    copy: (at: number, from: number, to: number) => void,
  ): number {
    const { controller, channel, page } = this.#options;
    let done = 0;
    this.ended = false;
    while (done < length && !this.ended) {
      const run = controller.run(channel, kind, length - done);
      if (run === undefined) break;
      copy((page() << 16) | run.address, done, done + run.length);
      done += run.length;
      this.ended = run.ended;
    }
    return done;
  }
}
