/**
 * Text in images is bytes. The portable folders have no `TextDecoder` in their types, so the two
 * conversions that image formats need are here.
 */

export { encodeUtf8 } from "../core/utf8.ts";

const REPLACEMENT = 0xfffd;

/** UTF-8; every byte that is not part of a well-formed sequence becomes U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  const parts: string[] = [];
  let position = 0;
  while (position < bytes.length) {
    const { code, length } = decodeCodePoint(bytes, position);
    parts.push(String.fromCodePoint(code));
    position += length;
  }
  return parts.join("");
}

/** One byte, one character: identifiers and signatures that the formats define as ASCII. */
export const decodeAscii = (bytes: Uint8Array): string => {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
};

/** Up to the first NUL, as C strings end. */
export function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

const QUOTE_LIMIT = 80;

/**
 * A name from an image, fit for a one-line message: control characters replaced, length limited.
 */
export function printable(text: string, limit = QUOTE_LIMIT): string {
  // Nearly all are plain, and the other expression takes long to make.
  const clean = /^[ -~]*$/.test(text) ? text : text.replace(/\p{C}/gu, "?");
  return clean.length <= limit ? clean : `${clean.slice(0, limit)}…`;
}

/** The smallest code point that a sequence of this length may encode (no overlong forms). */
const MINIMUM = [0, 0, 0x80, 0x800, 0x1_0000];

function decodeCodePoint(bytes: Uint8Array, position: number): { code: number; length: number } {
  const first = bytes[position] ?? 0;
  if (first < 0x80) return { code: first, length: 1 };
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  let code = first & (0x7f >> length);
  for (let index = 1; index < length; index++) {
    const byte = bytes[position + index] ?? 0;
    if ((byte & 0xc0) !== 0x80) return { code: REPLACEMENT, length: 1 };
    code = (code << 6) | (byte & 0x3f);
  }
  const valid =
    first >= 0xc2 &&
    first <= 0xf4 &&
    code >= (MINIMUM[length] ?? 0) &&
    code <= 0x10_ffff &&
    (code < 0xd800 || code > 0xdfff);
  return valid ? { code, length } : { code: REPLACEMENT, length: 1 };
}
