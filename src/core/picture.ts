/** What a screen shows: {@link pixels} row by row, each three bytes, red, green and blue. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** Bits of a pixel in memory that stand for anything (VBE 3.0, "Function 01h"); 8 are an entry of the palette. */
export const DEPTHS = [8, 15, 16, 24, 32] as const;
export type Depth = (typeof DEPTHS)[number];

export const bytesPerPixel = (depth: Depth): number => Math.ceil(depth / 8);
