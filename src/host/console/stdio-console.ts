import { isatty } from "node:tty";
import type { ConsoleBackend } from "../../core/backends.ts";
import { OutputBuffer } from "../../core/output-buffer.ts";
import { ESCAPE_HELP, type EscapeCommand, EscapeFilter } from "./escape.ts";
import { mayBeTerminal, StandardInput } from "./standard-input.ts";
import { STDOUT, type StandardOutput } from "./standard-output.ts";

export interface StdioConsoleOptions {
  readonly output: StandardOutput;
  /** Called when the user asks for the end, for a core or a picture of the screen. */
  readonly asked: (command: Exclude<EscapeCommand, "help">) => void;
  /** Shows the user some lines about the keys. */
  readonly help: (text: string) => void;
  /** Called when nobody reads the output any more. */
  readonly gone: () => void;
}

/** The process's standard input and output. On a terminal, the escape keys are taken out. */
export class StdioConsole implements ConsoleBackend {
  readonly terminal: boolean = mayBeTerminal(STDOUT) && isatty(STDOUT);
  readonly #options: StdioConsoleOptions;
  readonly #output: OutputBuffer;
  readonly #unwatch: () => void;
  #input: StandardInput | undefined;

  constructor(options: StdioConsoleOptions) {
    this.#options = options;
    this.#unwatch = options.output.watch(options.gone);
    this.#output = new OutputBuffer((bytes) => options.output.write(bytes));
  }

  transmit(byte: number): void {
    this.#output.put(byte);
  }

  connect(receive: (bytes: Uint8Array) => void): void {
    const { asked, help } = this.#options;
    const keys = new EscapeFilter((command) => {
      if (command === "help") help(`\n${ESCAPE_HELP}\n`);
      else asked(command);
    });
    const input = new StandardInput((bytes) =>
      receive(input.isTerminal ? keys.filter(bytes) : bytes),
    );
    this.#input = input;
    input.open();
  }

  flush(): Promise<void> | undefined {
    this.#output.flush();
    return this.#options.output.drained();
  }

  close(): void {
    this.#output.flush();
    this.#input?.close();
    this.#input = undefined;
    this.#unwatch();
  }
}
