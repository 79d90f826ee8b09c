import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";

const STDOUT = 1;

/**
 * The process's standard output. It is written to directly, since loading Node's stream for it
 * takes longer than many a guest runs; from the first time that it does not take everything at
 * once, or fails, what is left and all that follows goes through the stream, which waits for slow
 * readers, and reports errors.
 */
export class StandardOutput {
  readonly #watchers = new Set<(cause: unknown) => void>();
  #opened = false;
  /** Undefined: it is the stream's turn. */
  #direct: DirectOutput | undefined;

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
    if (written < bytes.length) process.stdout.write(Buffer.from(bytes.subarray(written)));
  }

  /** What to wait for before writing more; undefined if nothing. */
  drained(): Promise<void> | undefined {
    if (!this.#opened || this.#direct !== undefined) return undefined;
    if (!process.stdout.writableNeedDrain) return undefined;
    return new Promise((resolve) => {
      process.stdout.once("drain", resolve);
    });
  }

  #open(): void {
    if (this.#opened) return;
    this.#opened = true;
    this.#direct = openDirectly();
    if (this.#direct === undefined) this.#useStream();
  }

  /** Returns how many bytes are written: all of them, or the rest is for the stream. */
  #writeDirectly(bytes: Uint8Array): number {
    if (this.#direct === undefined) return 0;
    const written = tryToWrite(this.#direct.fd, bytes);
    if (written < bytes.length) {
      this.#direct.close();
      this.#direct = undefined;
      this.#useStream();
    }
    return written;
  }

  #useStream(): void {
    process.stdout.on("error", (cause) => {
      for (const watcher of this.#watchers) watcher(cause);
    });
  }
}

interface DirectOutput {
  readonly fd: number;
  close(): void;
}

/**
 * Undefined where only the stream will do. A pipe is opened once more: a write to it must not block,
 * and whether it does is up to all who share what we have been given.
 */
function openDirectly(): DirectOutput | undefined {
  try {
    const stat = fstatSync(STDOUT);
    // To a file or a terminal the stream, too, writes at once.
    if (stat.isFile() || stat.isCharacterDevice()) return { fd: STDOUT, close: () => {} };
    if (!stat.isFIFO()) return undefined;
    const fd = openSync("/proc/self/fd/1", constants.O_WRONLY | constants.O_NONBLOCK);
    return { fd, close: () => closeSync(fd) };
  } catch {
    return undefined;
  }
}

/** Returns how many bytes are written. Why not all, the stream will find. */
function tryToWrite(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes);
  } catch {
    return 0;
  }
}
