/** Width of one bus access, in bytes. Wider ones are split by the bus. */
export type AccessSize = 1 | 2 | 4;

/**
 * What decodes a range of I/O ports or of guest physical addresses. Offsets count from the range's
 * base; values are unsigned and `size` bytes wide. An access never leaves the range.
 */
export interface BusDevice {
  read(offset: number, size: AccessSize): number;
  write(offset: number, size: AccessSize, value: number): void;
}

/** Anything that goes back to its power-on state with the machine. */
export interface Resettable {
  reset(): void;
}

/** All ones in `size` bytes (1 to 4): what an access reads that nobody answers. */
export const floating = (size: number): number => 0xffff_ffff >>> (32 - size * 8);
