const NEWLINE = 0x0a;

/** Gathers single bytes into writes: a line, or a full buffer, or what there is at a flush. */
export class OutputBuffer {
  readonly #write: (bytes: Uint8Array) => void;
  readonly #buffer = new Uint8Array(4096);
  #length = 0;

  /** @param write must have used the bytes when it returns */
  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  put(byte: number): void {
    this.#buffer[this.#length++] = byte;
    if (byte === NEWLINE || this.#length === this.#buffer.length) this.flush();
  }

  flush(): void {
    if (this.#length === 0) return;
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    this.#write(bytes);
  }
}
