/** Little-endian fields of varying length, one after the other. */
export class ByteWriter {
  #bytes = new Uint8Array(1024);
  #length = 0;

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** LEB128, up to 2^53. */
  number(value: number): void {
    let rest = value;
    do {
      const low = rest % 0x80;
      rest = Math.floor(rest / 0x80);
      this.raw(Uint8Array.of(rest === 0 ? low : low | 0x80));
    } while (rest !== 0);
  }

  /** 64 bits, unsigned. */
  big(value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.raw(bytes);
  }

  /** Bytes with their length. */
  block(bytes: Uint8Array): void {
    this.number(bytes.length);
    this.raw(bytes);
  }

  /** What to change in `from` to make it `to`; both are equally long. */
  difference(from: Uint8Array, to: Uint8Array): void {
    let last = 0;
    for (let at = 0; at < to.length; at++) {
      const start = at;
      while (at < to.length && from[at] !== to[at]) at++;
      if (at === start) continue;
      this.number(at - start);
      this.number(start - last);
      this.raw(to.subarray(start, at));
      last = at;
    }
    this.number(0);
  }

  #reserve(length: number): void {
    if (this.#length + length <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + length));
    grown.set(this.bytes);
    this.#bytes = grown;
  }
}

/** Reads what a {@link ByteWriter} wrote. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  raw(length: number): Uint8Array {
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    if (bytes.length !== length) throw new Error("the file ends too early");
    this.#at += length;
    return bytes;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.raw(1)[0] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  big(): bigint {
    const bytes = this.raw(8);
    return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  }

  block(): Uint8Array {
    return this.raw(this.number());
  }

  /** @returns a changed copy of `from` */
  difference(from: Uint8Array): Uint8Array<ArrayBuffer> {
    const to = new Uint8Array(from);
    let last = 0;
    for (let length = this.number(); length !== 0; length = this.number()) {
      const start = last + this.number();
      to.set(this.raw(length), start);
      last = start + length;
    }
    return to;
  }
}
