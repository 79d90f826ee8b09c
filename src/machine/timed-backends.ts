import type { BlockBackend, ConsoleBackend, NetBackend } from "../core/backends.ts";
import type { Clock } from "../core/clock.ts";

/**
 * Puts a stopwatch between devices and what they are connected to, so that the time of a device is
 * not taken for that of a system call it asks for. What a back end hands to a device meanwhile
 * counts as the back end's.
 */
export class TimedBackends {
  readonly #clock: Clock;
  #elapsed = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Nanoseconds that devices have waited for back ends. */
  get elapsed(): number {
    return this.#elapsed;
  }

  net(backend: NetBackend): NetBackend {
    return {
      mtu: backend.mtu,
      offloads: backend.offloads ?? 0,
      transmit: this.#timed((frame: Uint8Array, header?: Uint8Array) =>
        backend.transmit(frame, header),
      ),
      connect: (receive) => backend.connect(receive),
      setGuestOffloads: (offloads) => backend.setGuestOffloads?.(offloads),
      resume: () => backend.resume(),
      poll: () => backend.poll?.() ?? false,
      close: () => backend.close(),
    };
  }

  block(backend: BlockBackend): BlockBackend {
    return {
      capacity: backend.capacity,
      readOnly: backend.readOnly,
      read: this.#timed((offset: number, into: Uint8Array) => backend.read(offset, into)),
      write: this.#timed((offset: number, from: Uint8Array) => backend.write(offset, from)),
      flush: this.#timed(() => backend.flush()),
      close: () => backend.close(),
    };
  }

  console(backend: ConsoleBackend): ConsoleBackend {
    return {
      ...(backend.terminal !== undefined && { terminal: backend.terminal }),
      transmit: this.#timed((byte: number) => backend.transmit(byte)),
      connect: (receive) => backend.connect(receive),
      // The run loop's call, not a device's.
      flush: () => backend.flush(),
      close: () => backend.close(),
    };
  }

  #timed<Args extends unknown[]>(call: (...args: Args) => void): (...args: Args) => void {
    return (...args) => {
      const start = this.#clock.now();
      try {
        call(...args);
      } finally {
        this.#elapsed += this.#clock.now() - start;
      }
    };
  }
}
