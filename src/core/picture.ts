/** What a screen shows: {@link pixels} row by row, each three bytes, red, green and blue. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}
