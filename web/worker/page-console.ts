import type { ConsoleBackend } from "../../src/core/backends.ts";
import { OutputBuffer } from "../../src/core/output-buffer.ts";

/** Bytes on the way to the page's terminal before the guest has to wait. */
const MAX_UNSHOWN = 256 * 1024;

/** The guest's console on the page's terminal. */
export class PageConsole implements ConsoleBackend {
  readonly terminal = true;
  readonly #output: OutputBuffer;
  #unshown = 0;
  #caughtUp = (): void => {};
  #receive = (_bytes: Uint8Array): void => {};

  constructor(send: (bytes: Uint8Array) => void) {
    this.#output = new OutputBuffer((bytes) => {
      this.#unshown += bytes.length;
      // A message takes all of the buffer that its bytes are a part of.
      send(bytes.slice());
    });
  }

  transmit(byte: number): void {
    this.#output.put(byte);
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
    this.#output.flush();
    if (this.#unshown <= MAX_UNSHOWN) return undefined;
    return new Promise((resolve) => {
      this.#caughtUp = resolve;
    });
  }

  close(): void {
    this.#output.flush();
  }
}
