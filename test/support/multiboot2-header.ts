/** Builds the header of a Multiboot 2 kernel. */

import { alignUp, viewOf } from "../../src/boot/data-view.ts";

export interface HeaderTag {
  readonly type: number;
  readonly flags?: number;
  /** What follows the tag's type, flags and size. */
  readonly words: readonly number[];
}

const MAGIC = 0xe852_50d6;
const HEADER_SIZE = 16;

export function multiboot2Header(tags: readonly HeaderTag[]): Uint8Array {
  const all = [...tags, { type: 0, words: [] }];
  const sizes = all.map(({ words }) => 8 + 4 * words.length);
  const length = sizes.reduce((sum, size) => sum + alignUp(size, 8), HEADER_SIZE);
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint32(8, length, true);
  view.setUint32(12, -(MAGIC + length), true);
  let at = HEADER_SIZE;
  for (const [i, { type, flags = 0, words }] of all.entries()) {
    view.setUint16(at, type, true);
    view.setUint16(at + 2, flags, true);
    view.setUint32(at + 4, sizes[i] ?? 8, true);
    for (const [word, value] of words.entries()) view.setUint32(at + 8 + 4 * word, value, true);
    at += alignUp(sizes[i] ?? 8, 8);
  }
  return bytes;
}
