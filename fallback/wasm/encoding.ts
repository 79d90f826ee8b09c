/** Numbers and strings as WebAssembly's binary format has them (Core Specification §5.2). */

const LOCAL_GET = 0x20;
const LOCAL_SET = 0x21;
const LOCAL_TEE = 0x22;
const USUAL_CAPACITY = 4096;

/** Bytes to be appended to. */
export class ByteSink {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;
  /** Where the last `local.set` begins and ends, and of which variable it is. */
  #setFrom = 0;
  #setTo = -1;
  #setOf = -1;

  /** @param capacity how many bytes there is room for at first */
  constructor(capacity = USUAL_CAPACITY) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** What has been appended so far: valid until more is. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  push(byte: number): void {
    if (this.#length === this.#bytes.length) this.#growFor(1);
    this.#bytes[this.#length++] = byte;
  }

  append(bytes: ArrayLike<number>): void {
    const { length } = bytes;
    if (this.#length + length > this.#bytes.length) this.#growFor(length);
    if (length > 64) this.#bytes.set(bytes, this.#length);
    else for (let at = 0; at < length; at++) this.#bytes[this.#length + at] = bytes[at] as number;
    this.#length += length;
  }

  /** Appends `local.set`. */
  setVariable(variable: number): void {
    this.#setFrom = this.#length;
    this.#setOf = variable;
    this.push(LOCAL_SET);
    pushUnsigned(this, variable);
    this.#setTo = this.#length;
  }

  /** Appends `local.get`, which together with a `local.set` right before it is a `local.tee`. */
  getVariable(variable: number): void {
    if (this.#setTo === this.#length && this.#setOf === variable) {
      this.#bytes[this.#setFrom] = LOCAL_TEE;
      this.#setTo = -1;
      return;
    }
    this.push(LOCAL_GET);
    pushUnsigned(this, variable);
  }

  #growFor(more: number): void {
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more));
    larger.set(this.bytes);
    this.#bytes = larger;
  }
}

export function unsignedLeb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

/** Appends {@link unsignedLeb} of a value below 2^31. */
export function pushUnsigned(code: ByteSink, value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    code.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  code.push(rest);
}

const SMALL = 2 ** 30;
/** Five bytes of the encoding. */
const LOW_BITS = 35;

/** Appends a signed number. */
export function pushSigned(code: ByteSink, value: number | bigint): void {
  let rest = Number(value);
  if (!Number.isSafeInteger(rest)) {
    const all = BigInt(value);
    let low = Number(BigInt.asUintN(LOW_BITS, all));
    for (let bits = 0; bits < LOW_BITS; bits += 7) {
      code.push((low & 0x7f) | 0x80);
      low = Math.floor(low / 0x80);
    }
    rest = Number(all >> BigInt(LOW_BITS));
  }
  while (rest >= SMALL || rest < -SMALL) {
    code.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && low < 0x40) || (rest === -1 && low >= 0x40)) {
      code.push(low);
      return;
    }
    code.push(low | 0x80);
  }
}

/** A vector: its length, and its elements one after the other. */
export function vector(elements: readonly (readonly number[])[]): number[] {
  const bytes = unsignedLeb(elements.length);
  for (const element of elements) for (const byte of element) bytes.push(byte);
  return bytes;
}

/** A name of ASCII characters. */
export const asciiName = (text: string): number[] =>
  vector([...text].map((character) => [character.charCodeAt(0)]));
