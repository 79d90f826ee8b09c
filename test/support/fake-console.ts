import type { ConsoleBackend } from "../../src/core/backends.ts";

/** A console that remembers what the guest prints, and whose keyboard is the test. */
export class FakeConsole implements ConsoleBackend {
  text = "";
  flushes = 0;
  #receive: (bytes: Uint8Array) => void = () => {};

  transmit(byte: number): void {
    this.text += String.fromCharCode(byte);
  }

  connect(receive: (bytes: Uint8Array) => void): void {
    this.#receive = receive;
  }

  /** Types `text`, in ASCII. */
  receive(text: string): void {
    this.#receive(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
  }

  flush(): undefined {
    this.flushes++;
  }

  close(): void {}
}
