/** Reads what `encoding.ts` writes. */
export class WasmReader {
  readonly #bytes: Uint8Array;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  byte(): number {
    const byte = this.done ? undefined : this.#bytes[this.#at++];
    if (byte === undefined) throw new Error("the module is cut off");
    return byte;
  }

  bytes(length: number): Uint8Array {
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  unsigned(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  signed(): bigint {
    let value = 0n;
    for (let bits = 0; ; ) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << BigInt(bits);
      bits += 7;
      if (byte < 0x80) return BigInt.asIntN(bits, value);
    }
  }

  name(): string {
    return String.fromCharCode(...this.bytes(this.unsigned()));
  }

  /** What a length and as many bytes contain. */
  part(): WasmReader {
    const length = this.unsigned();
    const part = new WasmReader(this.#bytes, this.#at, this.#at + length);
    this.#at += length;
    return part;
  }
}
