import type { ConsoleBackend } from "../core/backends.ts";

/**
 * One console for two devices. What either writes comes out; what comes in goes to the second while
 * that is in use, else to the first.
 */
export class SharedConsole {
  readonly first: ConsoleBackend;
  readonly second: ConsoleBackend;
  #toFirst = (_bytes: Uint8Array): void => {};
  #toSecond = (_bytes: Uint8Array): void => {};

  constructor(backend: ConsoleBackend, secondInUse: () => boolean) {
    const shared = {
      transmit: (byte: number) => backend.transmit(byte),
      flush: () => backend.flush(),
      close: () => backend.close(),
    };
    this.first = {
      ...shared,
      connect: (receive) => {
        this.#toFirst = receive;
      },
    };
    this.second = {
      ...shared,
      connect: (receive) => {
        this.#toSecond = receive;
      },
    };
    backend.connect((bytes) => {
      if (secondInUse()) this.#toSecond(bytes);
      else this.#toFirst(bytes);
    });
  }
}
