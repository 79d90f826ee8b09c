import type { NetBackend } from "../core/backends.ts";
import type { Clock } from "../core/clock.ts";
import { completeChecksum } from "./partial-checksum.ts";
import { pcapFileHeader, pcapRecord, recordedFrame } from "./pcap.ts";

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

  /** @param header says which checksum the frame lacks: the record has it */
  record(frame: Uint8Array, header?: Uint8Array): void {
    const record = pcapRecord(this.#clock.wall(), frame);
    if (header !== undefined) completeChecksum(recordedFrame(record), header);
    this.#sink(record);
  }

  /** `inner`, with what the guest sends and what it takes recorded. */
  wrap(inner: NetBackend): NetBackend {
    return {
      mtu: inner.mtu,
      offloads: inner.offloads ?? 0,
      transmit: (frame, header) => {
        this.record(frame, header);
        inner.transmit(frame, header);
      },
      connect: (receive) =>
        inner.connect((frame, header) => {
          const taken = receive(frame, header);
          if (taken) this.record(frame, header);
          return taken;
        }),
      setGuestOffloads: (offloads) => inner.setGuestOffloads?.(offloads),
      resume: () => inner.resume(),
      poll: () => inner.poll?.() ?? false,
      close: () => inner.close(),
    };
  }
}
