import { closeSync, openSync, writeSync } from "node:fs";
import type { ConsoleBackend } from "../../core/backends.ts";
import { HostError } from "../../core/errors.ts";
import { OutputBuffer } from "./output-buffer.ts";

/** Writes what the guest prints to a file; nothing is ever typed. */
export class FileConsole implements ConsoleBackend {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #output: OutputBuffer;

  /**
   * Empties the file first.
   * @param failed called when the file cannot be written any more
   * @throws HostError when it cannot be made
   */
  constructor(path: string, failed: (error: HostError) => void) {
    this.#path = path;
    try {
      this.#descriptor = openSync(path, "w");
    } catch (cause) {
      throw this.#refused("cannot write", cause);
    }
    this.#output = new OutputBuffer((bytes) => {
      try {
        for (let at = 0; at < bytes.length; ) {
          at += writeSync(this.#descriptor, bytes, at);
        }
      } catch (cause) {
        failed(this.#refused("writing failed on", cause));
      }
    });
  }

  transmit(byte: number): void {
    this.#output.put(byte);
  }

  connect(): void {}

  flush(): void {
    this.#output.flush();
  }

  close(): void {
    this.#output.flush();
    closeSync(this.#descriptor);
  }

  #refused(what: string, cause: unknown): HostError {
    return new HostError(`${what} the serial file ${this.#path}`, {
      errno: (cause as NodeJS.ErrnoException).code,
      cause,
    });
  }
}
