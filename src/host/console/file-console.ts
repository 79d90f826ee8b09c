import { closeSync, writeSync } from "node:fs";
import type { ConsoleBackend } from "../../core/backends.ts";
import { HostError } from "../../core/errors.ts";
import { OutputBuffer } from "../../core/output-buffer.ts";
import { errnoOf } from "../errno.ts";
import type { OutputFile } from "../output-files.ts";

/** Writes what the guest prints to a file; nothing is ever typed. */
export class FileConsole implements ConsoleBackend {
  readonly #file: OutputFile;
  readonly #output: OutputBuffer;

  /**
   * @param file closed by {@link close}
   * @param failed called when the file cannot be written any more
   */
  constructor(file: OutputFile, failed: (error: HostError) => void) {
    this.#file = file;
    this.#output = new OutputBuffer((bytes) => {
      try {
        for (let at = 0; at < bytes.length; ) {
          at += writeSync(file.fd, bytes, at);
        }
      } catch (cause) {
        failed(
          new HostError(`writing failed on the serial file ${file.path}`, {
            errno: errnoOf(cause),
            cause,
          }),
        );
      }
    });
  }

  transmit(byte: number): void {
    this.#output.put(byte);
  }

  connect(): void {}

  flush(): undefined {
    this.#output.flush();
  }

  close(): void {
    this.#output.flush();
    closeSync(this.#file.fd);
  }
}
