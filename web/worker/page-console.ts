import type { ConsoleBackend } from "../../src/core/backends.ts";

/** Bytes on the way to the page's terminal before the guest has to wait. */
const MAX_UNSHOWN = 256 * 1024;

/** The guest's console on the page's terminal. */
export class PageConsole implements ConsoleBackend {
  readonly terminal = true;
  readonly #send: (bytes: Uint8Array) => void;
  #gathered: number[] = [];
  #unshown = 0;
  #caughtUp = (): void => {};
  #receive = (_bytes: Uint8Array): void => {};

  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send;
  }

  transmit(byte: number): void {
    this.#gathered.push(byte);
  }

  connect(receive: (bytes: Uint8Array) => void): void {
    this.#receive = receive;
  }

  /** What was typed. */
  type(bytes: Uint8Array): void {
    this.#receive(bytes);
  }

  /** So much of the output has been shown. */
  shown(count: number): void {
    this.#unshown -= count;
    if (this.#unshown <= MAX_UNSHOWN) this.#caughtUp();
  }

  flush(): Promise<void> | undefined {
    if (this.#gathered.length > 0) {
      this.#unshown += this.#gathered.length;
      this.#send(Uint8Array.from(this.#gathered));
      this.#gathered = [];
    }
    if (this.#unshown <= MAX_UNSHOWN) return undefined;
    return new Promise((resolve) => {
      this.#caughtUp = resolve;
    });
  }

  close(): void {
    this.flush();
  }
}
