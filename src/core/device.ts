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
/** What can say how it stands, for people: one line or more. Without effect on anything. */
export interface Describable {
  describe(): readonly string[];
}

export interface Resettable {
  reset(): void;
}

/** All ones in `size` bytes (1 to 4): what an access reads that nobody answers. */
export const floating = (size: number): number => 0xffff_ffff >>> (32 - size * 8);

/** Makes an access one byte at a time, where no single register answers all of it. */
export function readBytewise(device: BusDevice, offset: number, size: AccessSize): number {
  let value = 0;
  for (let i = 0; i < size; i++) value |= device.read(offset + i, 1) << (8 * i);
  return value >>> 0;
}

export function writeBytewise(
  device: BusDevice,
  offset: number,
  size: AccessSize,
  value: number,
): void {
  for (let i = 0; i < size; i++) device.write(offset + i, 1, (value >>> (8 * i)) & 0xff);
}
