import type { ConsoleBackend } from "../../core/backends.ts";
import { ESCAPE_HELP, EscapeFilter } from "./escape.ts";
import { OutputBuffer } from "./output-buffer.ts";

/**
 * The process's standard input and output. On a terminal it is put into raw mode, so that each key
 * reaches the guest, and restored by {@link close} and in any case when the process exits.
 */
export class StdioConsole implements ConsoleBackend {
  readonly #output = new OutputBuffer((bytes) => this.#write(bytes));
  readonly #restoreOnExit = (): void => this.#setRaw(false);
  readonly #asked: (command: "quit" | "interrupt") => void;
  readonly #onGone: () => void;
  #detachInput: (() => void) | undefined;

  /**
   * @param asked called when the user asks for the end
   * @param gone called when nobody reads the output any more
   */
  constructor(asked: (command: "quit" | "interrupt") => void, gone: () => void) {
    this.#onGone = gone;
    process.stdout.on("error", this.#onGone);
    this.#asked = asked;
  }

  transmit(byte: number): void {
    this.#output.put(byte);
  }

  connect(receive: (bytes: Uint8Array) => void): void {
    const keys = new EscapeFilter((command) => {
      if (command === "help") process.stderr.write(`\n${ESCAPE_HELP}\n`);
      else this.#asked(command);
    });
    const terminal = process.stdin.isTTY === true;
    const onData = (chunk: Buffer): void => receive(terminal ? keys.filter(chunk) : chunk);
    // A closed or unreadable standard input is a keyboard that nobody touches.
    const ignore = (): void => {};
    process.once("exit", this.#restoreOnExit);
    this.#setRaw(true);
    process.stdin.on("data", onData).on("error", ignore);
    this.#detachInput = () => {
      process.stdin.off("data", onData).off("error", ignore);
      process.stdin.pause();
    };
  }

  flush(): void {
    this.#output.flush();
  }

  close(): void {
    this.flush();
    this.#detachInput?.();
    this.#detachInput = undefined;
    process.off("exit", this.#restoreOnExit);
    process.stdout.off("error", this.#onGone);
    this.#setRaw(false);
  }

  #setRaw(raw: boolean): void {
    if (process.stdin.isTTY === true) process.stdin.setRawMode(raw);
  }

  #write(bytes: Uint8Array): void {
    process.stdout.write(Buffer.from(bytes));
  }
}
