/** Bytes and numbers as packets spell them: two digits a byte, in the order of memory. */

export const hexByte = (byte: number): string => byte.toString(16).padStart(2, "0");

export const toHex = (bytes: Uint8Array): string => Array.from(bytes, hexByte).join("");

/** Undefined for what is not an even number of digits. */
export function fromHex(text: string): Uint8Array | undefined {
  if (!/^([0-9a-f]{2})*$/i.test(text)) return undefined;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Text as UTF-8. */
export const textToHex = (text: string): string => toHex(utf8(text));

/** Text of bytes that are ASCII: others become question marks. */
export const hexToText = (hex: string): string | undefined => {
  const bytes = fromHex(hex);
  return bytes && Array.from(bytes, (b) => (b < 0x80 ? String.fromCharCode(b) : "?")).join("");
};

/** The encoding API is not in every host's types. */
export function utf8(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), continuation(code));
    else if (code < 0x1_0000) {
      bytes.push(0xe0 | (code >> 12), continuation(code >> 6), continuation(code));
    } else {
      bytes.push(0xf0 | (code >> 18), continuation(code >> 12));
      bytes.push(continuation(code >> 6), continuation(code));
    }
  }
  return Uint8Array.from(bytes);
}

const continuation = (code: number): number => 0x80 | (code & 0x3f);

/** A number in big-endian hexadecimal, as addresses and lengths are; undefined for what is none. */
export const parseNumber = (text: string | undefined): bigint | undefined =>
  text !== undefined && /^[0-9a-f]{1,16}$/i.test(text) ? BigInt(`0x${text}`) : undefined;

/** As {@link parseNumber}, for what is below 2^31. */
export function parseLength(text: string | undefined): number | undefined {
  const value = parseNumber(text);
  return value === undefined || value >= 1n << 31n ? undefined : Number(value);
}

export function littleEndian(value: bigint, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

export function fromLittleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
