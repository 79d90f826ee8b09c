/** Cylinders, heads and sectors a track of a disk at the AT's interface. */
export interface AtaGeometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

const SECTOR_SIZE = 512;
/** The geometry of disks that are too large for any (ATA/ATAPI-6 §6.2.1, annex C). */
export const HEADS = 16;
export const SECTORS_PER_TRACK = 63;
const MAX_CYLINDERS = 16_383;

/** What a disk says of itself until a driver says something else. */
export function ataGeometry(
  bytes: number,
  heads = HEADS,
  sectors = SECTORS_PER_TRACK,
): AtaGeometry {
  const cylinders = Math.floor(bytes / SECTOR_SIZE / (heads * sectors));
  return { cylinders: Math.min(MAX_CYLINDERS, cylinders), heads, sectors };
}

const NO_RETRIES = 0xc0;
const MANY_HEADS = 1 << 3;

/** As drivers of the AT give it to the disk: no retries; whether there are more than eight heads. */
export const controlByte = (heads: number): number => NO_RETRIES | (heads > 8 ? MANY_HEADS : 0);
