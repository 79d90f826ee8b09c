import type { NetBackend } from "../core/backends.ts";
import type { Clock } from "../core/clock.ts";
import { pcapFileHeader, pcapRecord } from "./pcap.ts";

/** Where a capture goes: any number of networks may share it. */
export class Capture {
  readonly #clock: Clock;
  readonly #sink: (bytes: Uint8Array) => void;

  /** @param sink gets the pieces of one capture file in order; they are not used again */
  constructor(clock: Clock, sink: (bytes: Uint8Array) => void) {
    this.#clock = clock;
    this.#sink = sink;
    sink(pcapFileHeader());
  }

  record(frame: Uint8Array): void {
    this.#sink(pcapRecord(this.#clock.wall(), frame));
  }

  /** `inner`, with what the guest sends and what it takes recorded. */
  wrap(inner: NetBackend): NetBackend {
    return {
      mtu: inner.mtu,
      transmit: (frame) => {
        this.record(frame);
        inner.transmit(frame);
      },
      connect: (receive) =>
        inner.connect((frame) => {
          const taken = receive(frame);
          if (taken) this.record(frame);
          return taken;
        }),
      resume: () => inner.resume(),
      poll: () => inner.poll?.() ?? false,
      close: () => inner.close(),
    };
  }
}
