import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { socketAddon } from "../socket-addon.ts";

export const STDOUT = 1;
export const STDERR = 2;

/**
 * The process's standard output or error. It is written to directly, since loading Node's stream for it
 * takes longer than many a guest runs; from the first time that it does not take everything at
 * once, or fails, what is left and all that follows goes through the stream, which waits for slow
 * readers, and reports errors.
 */
export class StandardOutput {
  readonly #fd: typeof STDOUT | typeof STDERR;
  readonly #watchers = new Set<(cause: unknown) => void>();
  #opened = false;
  /** Undefined: it is the stream's turn. */
  #direct: DirectOutput | undefined;

  constructor(fd: typeof STDOUT | typeof STDERR) {
    this.#fd = fd;
  }

  /**
   * @param watcher hears, some time after the write, that the output cannot be written any more
   * @returns what ends that
   */
  watch(watcher: (cause: unknown) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Uses `data` before it returns. */
  write(data: Uint8Array | string): void {
    this.#open();
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    const written = this.#writeDirectly(bytes);
    // The stream may keep what it gets.
    if (written < bytes.length) this.#stream.write(Buffer.from(bytes.subarray(written)));
  }

  /** What to wait for before writing more; undefined if nothing. */
  drained(): Promise<void> | undefined {
    if (!this.#opened || this.#direct !== undefined) return undefined;
    const stream = this.#stream;
    if (!stream.writableNeedDrain) return undefined;
    return new Promise((resolve) => {
      stream.once("drain", resolve);
    });
  }

  get #stream(): NodeJS.WriteStream {
    return this.#fd === STDOUT ? process.stdout : process.stderr;
  }

  #open(): void {
    if (this.#opened) return;
    this.#opened = true;
    this.#direct = openDirectly(this.#fd);
    if (this.#direct === undefined) this.#useStream();
  }

  /** Returns how many bytes are written: all of them, or the rest is for the stream. */
  #writeDirectly(bytes: Uint8Array): number {
    if (this.#direct === undefined) return 0;
    const written = this.#direct.write(bytes);
    if (written < bytes.length) {
      this.#direct.close();
      this.#direct = undefined;
      this.#useStream();
    }
    return written;
  }

  #useStream(): void {
    this.#stream.on("error", (cause) => {
      for (const watcher of this.#watchers) watcher(cause);
    });
  }
}

interface DirectOutput {
  /** Returns how many bytes are written. Why not all, the stream will find. */
  write(bytes: Uint8Array): number;
  close(): void;
}

/**
 * Undefined where only the stream will do. A pipe is opened once more: a write to it must not block,
 * and whether it does is up to all who share what we have been given. A socket can be asked each time.
 */
function openDirectly(fd: number): DirectOutput | undefined {
  try {
    const stat = fstatSync(fd);
    // To a file or a terminal the stream, too, writes at once.
    if (stat.isFile() || stat.isCharacterDevice()) return descriptor(fd, () => {});
    if (stat.isSocket()) return socket(fd);
    if (!stat.isFIFO()) return undefined;
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    return descriptor(own, () => closeSync(own));
  } catch {
    return undefined;
  }
}

const descriptor = (fd: number, close: () => void): DirectOutput => ({
  write(bytes) {
    try {
      return writeSync(fd, bytes);
    } catch {
      return 0;
    }
  },
  close,
});

function socket(fd: number): DirectOutput | undefined {
  const addon = socketAddon();
  return addon && { write: (bytes) => Math.max(0, addon.sendNow(fd, bytes)), close: () => {} };
}
