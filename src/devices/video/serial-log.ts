const SIZE = 8192;
/** What terminals take for orders (ECMA-48), and what is no letter on both. */
const ESCAPES = new RegExp(`${String.fromCharCode(0x1b)}\\[[0-9;?]*[@-~]`, "g");
const NO_LETTERS = /[^!-~]/g;

/** What the serial port sent lately: a guest may write the same to the screen. */
export class SerialLog {
  readonly #bytes = new Uint8Array(SIZE);
  /** How many bytes there have been. */
  count = 0;

  add(byte: number): void {
    this.#bytes[this.count++ % SIZE] = byte;
  }

  /** A test for a row of the screen: whether its letters came here, in one line or two. */
  knows(): (row: string) => boolean {
    const end = this.count % SIZE;
    const order = [...this.#bytes.subarray(end), ...this.#bytes.subarray(0, end)];
    const sent = String.fromCharCode(...order)
      .replace(ESCAPES, "")
      .replace(NO_LETTERS, "");
    return (row) => sent.includes(row.replace(NO_LETTERS, ""));
  }
}
