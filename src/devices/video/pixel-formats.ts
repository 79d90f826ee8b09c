/** How pixels lie in video memory (VESA BIOS Extension 3.0, "Return VBE Mode Information"). */

import { DEPTHS, type Depth } from "../../core/picture.ts";

export const isDepth = (bits: number): bits is Depth =>
  (DEPTHS as readonly number[]).includes(bits);

/** Of 256 colours, red, green and blue, eight bits each. */
export type Palette = Uint8Array;

/** @returns what puts the pixel at an offset of some memory into red, green and blue */
export function pixelReader(
  depth: Depth,
  memory: Uint8Array,
  palette: Palette,
): (from: number, into: Uint8Array, at: number) => void {
  const word = (from: number): number =>
    (memory[from] as number) | ((memory[from + 1] as number) << 8);
  switch (depth) {
    case 8:
      return (from, into, at) => {
        const entry = 3 * (memory[from] as number);
        for (let part = 0; part < 3; part++) into[at + part] = palette[entry + part] as number;
      };
    case 15:
      return (from, into, at) => {
        const value = word(from);
        into[at] = wide(value >> 10, 5);
        into[at + 1] = wide(value >> 5, 5);
        into[at + 2] = wide(value, 5);
      };
    case 16:
      return (from, into, at) => {
        const value = word(from);
        into[at] = wide(value >> 11, 5);
        into[at + 1] = wide(value >> 5, 6);
        into[at + 2] = wide(value, 5);
      };
    default:
      return (from, into, at) => {
        into[at] = memory[from + 2] as number;
        into[at + 1] = memory[from + 1] as number;
        into[at + 2] = memory[from] as number;
      };
  }
}

/** A colour's lower bits as eight: all ones stay all ones. */
export function wide(value: number, bits: 5 | 6): number {
  const colour = value & ((1 << bits) - 1);
  return (colour << (8 - bits)) | (colour >> (2 * bits - 8));
}
