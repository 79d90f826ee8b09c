/** The palette that a VGA's BIOS sets with a mode of 256 colours (IBM VGA; six bits a colour). */

import type { BusDevice } from "../../core/device.ts";

const DAC_WRITE_INDEX = 0x3c8;
const DAC_DATA = 0x3c9;
const COLOURS = 256;

/** A colour's bits are those of red, green and blue, and one for all of them; brown is dark yellow. */
const CGA = Array.from({ length: 16 }, (_, colour) => {
  const bright = (colour & 8) === 0 ? 0 : 21;
  const part = (bit: number): number => ((colour & bit) === 0 ? 0 : 42) + bright;
  return colour === 6 ? [42, 21, 0] : [part(4), part(2), part(1)];
});

const GREYS = [0, 5, 8, 11, 14, 17, 20, 24, 28, 32, 36, 40, 45, 50, 56, 63].map((grey) => [
  ...[grey, grey, grey],
]);

/** From the weakest part of a colour to its strongest: three brightnesses, three saturations each. */
const LEVELS = [
  ...[
    [0, 16, 31, 47, 63],
    [31, 39, 47, 55, 63],
    [45, 49, 54, 58, 63],
  ],
  ...[
    [0, 7, 14, 21, 28],
    [14, 17, 21, 24, 28],
    [20, 22, 24, 26, 28],
  ],
  ...[
    [0, 4, 8, 12, 16],
    [8, 10, 12, 14, 16],
    [11, 12, 13, 15, 16],
  ],
];

/** Once around from blue: the levels of one part. Red is first to rise, then blue falls, and so on. */
const RISE_AND_FALL = [
  ...[0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4],
  ...[4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0],
];
const HUES = RISE_AND_FALL.length;

const WHEELS = LEVELS.flatMap((levels) =>
  Array.from({ length: HUES }, (_, hue) =>
    [0, -8, 8].map(
      (shift) => levels[RISE_AND_FALL[(hue + shift + HUES) % HUES] as number] as number,
    ),
  ),
);

/** Red, green and blue of each colour; the last eight are black. */
export const VGA_PALETTE: readonly number[] = [...CGA, ...GREYS, ...WHEELS].flat();

/** Sets the colours of a mode with 256 of them. */
export function loadPalette(ports: BusDevice): void {
  ports.write(DAC_WRITE_INDEX, 1, 0);
  for (let i = 0; i < 3 * COLOURS; i++) ports.write(DAC_DATA, 1, VGA_PALETTE[i] ?? 0);
}
