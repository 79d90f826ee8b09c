import { closeSync, writeSync } from "node:fs";
import { HostError } from "../core/errors.ts";
import { errnoOf } from "./errno.ts";
import type { OutputFile } from "./output-files.ts";

const BUFFER_SIZE = 64 * 1024;
/** How long a captured frame may wait before others can read it, in milliseconds. */
const MAX_DELAY = 200;

/**
 * Where a capture is written to. A write that fails ends the capture and not the guest: it is
 * reported once, and what comes later is thrown away.
 */
export class PcapFile {
  readonly path: string;
  readonly #onError: (error: HostError) => void;
  readonly #buffer = new Uint8Array(BUFFER_SIZE);
  #fd: number | undefined;
  #length = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param file closed by {@link close} */
  constructor(file: OutputFile, onError: (error: HostError) => void) {
    this.path = file.path;
    this.#fd = file.fd;
    this.#onError = onError;
  }

  /** Appends `bytes`. */
  write(bytes: Uint8Array): void {
    if (this.#fd === undefined) return;
    if (this.#length + bytes.length > BUFFER_SIZE) this.flush();
    if (bytes.length > BUFFER_SIZE) {
      this.#writeOut(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    this.#timer ??= setTimeout(() => this.flush(), MAX_DELAY).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const length = this.#length;
    this.#length = 0;
    this.#writeOut(this.#buffer.subarray(0, length));
  }

  /** Any number of times. */
  close(): void {
    this.flush();
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #writeOut(bytes: Uint8Array): void {
    if (this.#fd === undefined) return;
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
    } catch (cause) {
      closeSync(this.#fd);
      this.#fd = undefined;
      this.#onError(
        new HostError(`the capture ${this.path} ends here`, {
          errno: errnoOf(cause),
          remedy: "it cannot be written any further",
          cause,
        }),
      );
    }
  }
}
