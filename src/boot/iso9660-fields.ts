/** Field encodings of ECMA-119 §7 and §8.4.26, and of the Rock Ridge fields that use them. */

import { viewOf } from "./data-view.ts";

/** §7.2.3: both byte orders. */
export function setBoth16(bytes: Uint8Array, offset: number, value: number): void {
  const view = viewOf(bytes);
  view.setUint16(offset, value, true);
  view.setUint16(offset + 2, value, false);
}

/** §7.3.3: both byte orders. */
export function setBoth32(bytes: Uint8Array, offset: number, value: number): void {
  const view = viewOf(bytes);
  view.setUint32(offset, value, true);
  view.setUint32(offset + 4, value, false);
}

export function both32(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  setBoth32(bytes, 0, value);
  return bytes;
}

/** §9.1.5: seven bytes, in UTC. */
export const shortDate = (date: Date): Uint8Array =>
  Uint8Array.of(
    date.getUTCFullYear() - 1900,
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    0,
  );

/** §8.4.26.1: sixteen digits, and the offset from UTC in quarters of an hour. */
export function longDate(date: Date | undefined): Uint8Array {
  const bytes = new Uint8Array(17);
  const digits =
    date === undefined ? "0".repeat(16) : `${date.toISOString().replace(/\D/g, "").slice(0, 16)}`;
  setText(bytes, 0, 16, digits);
  return bytes;
}

/** §7.4.3.2: filled up with blanks. ASCII only. */
export function setText(bytes: Uint8Array, offset: number, length: number, text: string): void {
  for (let index = 0; index < length; index++) {
    bytes[offset + index] = index < text.length ? text.charCodeAt(index) : 0x20;
  }
}
