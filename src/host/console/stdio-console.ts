import type { ConsoleBackend } from "../../core/backends.ts";
import { ESCAPE_HELP, EscapeFilter } from "./escape.ts";
import { OutputBuffer } from "./output-buffer.ts";
import { StandardInput } from "./standard-input.ts";

/** The process's standard input and output. On a terminal, the escape keys are taken out. */
export class StdioConsole implements ConsoleBackend {
  readonly #output = new OutputBuffer((bytes) => this.#write(bytes));
  readonly #asked: (command: "quit" | "interrupt") => void;
  readonly #onGone: () => void;
  #input: StandardInput | undefined;

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
    const input = new StandardInput((bytes) =>
      receive(input.isTerminal ? keys.filter(bytes) : bytes),
    );
    this.#input = input;
    input.open();
  }

  flush(): Promise<void> | undefined {
    this.#output.flush();
    if (!process.stdout.writableNeedDrain) return undefined;
    return new Promise((resolve) => {
      process.stdout.once("drain", resolve);
    });
  }

  close(): void {
    this.flush();
    this.#input?.close();
    this.#input = undefined;
    process.stdout.off("error", this.#onGone);
  }

  #write(bytes: Uint8Array): void {
    process.stdout.write(Buffer.from(bytes));
  }
}
