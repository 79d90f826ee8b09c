import type { BlockBackend } from "../../core/backends.ts";

/** Cylinders, heads and sectors a track: what the oldest disk services count in. */
export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

/** A disk as INT 13h has it. */
export interface Drive {
  /** 0 and 1 for floppies, from 0x80 for hard disks, from 0xe0 for CDs. */
  readonly number: number;
  readonly kind: "floppy" | "disk" | "cd";
  /** Bytes: 512, or 2048 for a CD. */
  readonly sectorSize: number;
  readonly geometry: Geometry;
  readonly disk: Pick<BlockBackend, "capacity" | "readOnly" | "read" | "write">;
}

export const FIRST_HARD_DISK = 0x80;
export const FIRST_CD = 0xe0;

const SECTOR_SIZE = 512;
const CD_SECTOR_SIZE = 2048;

/** By size in KiB. */
const FLOPPIES: Readonly<Record<number, Geometry>> = {
  160: { cylinders: 40, heads: 1, sectors: 8 },
  180: { cylinders: 40, heads: 1, sectors: 9 },
  320: { cylinders: 40, heads: 2, sectors: 8 },
  360: { cylinders: 40, heads: 2, sectors: 9 },
  640: { cylinders: 80, heads: 2, sectors: 8 },
  720: { cylinders: 80, heads: 2, sectors: 9 },
  1200: { cylinders: 80, heads: 2, sectors: 15 },
  1440: { cylinders: 80, heads: 2, sectors: 18 },
  1680: { cylinders: 80, heads: 2, sectors: 21 },
  1720: { cylinders: 82, heads: 2, sectors: 21 },
  2880: { cylinders: 80, heads: 2, sectors: 36 },
};
export const LARGEST_FLOPPY = 2880;

/** @returns `undefined` for a size that no floppy has */
export const floppyGeometry = (bytes: number): Geometry | undefined => FLOPPIES[bytes / 1024];

/** Of a boot sector with the BIOS parameter block of FAT, little endian. */
const BPB = {
  BYTES_PER_SECTOR: 0x0b,
  TOTAL_SECTORS: 0x13,
  SECTORS_PER_TRACK: 0x18,
  HEADS: 0x1a,
} as const;

/** Bytes of the floppy that a boot sector says it is on. @returns `undefined` if it says no such thing */
export function toldFloppySize(bootSector: Uint8Array): number | undefined {
  const word = (at: number): number => (bootSector[at] ?? 0) | ((bootSector[at + 1] ?? 0) << 8);
  const size = word(BPB.TOTAL_SECTORS) * SECTOR_SIZE;
  const geometry = floppyGeometry(size);
  const fits =
    word(BPB.BYTES_PER_SECTOR) === SECTOR_SIZE &&
    word(BPB.SECTORS_PER_TRACK) === geometry?.sectors &&
    word(BPB.HEADS) === geometry.heads;
  return fits ? size : undefined;
}

/** What is below is ADD, which no boot sector begins with. */
const FIRST_OPCODE = 6;
const COMPARED_WORDS = 8;

/**
 * The signature that hard disks and later floppies have; or, on a floppy, what the AT's BIOS looked
 * for, since floppies had no signature then: a first byte that is no ADD, and words that are not all one.
 */
export function isBootSector(kind: Drive["kind"], sector: Uint8Array): boolean {
  if (sector[510] === 0x55 && sector[511] === 0xaa) return true;
  if (kind !== "floppy" || (sector[0] ?? 0) < FIRST_OPCODE) return false;
  const words = sector.subarray(0, 2 * COMPARED_WORDS);
  return words.some((byte, i) => byte !== words[i & 1]);
}

export function floppyDrive(number: number, disk: Drive["disk"]): Drive {
  const geometry = floppyGeometry(disk.capacity) ?? (FLOPPIES[LARGEST_FLOPPY] as Geometry);
  return { number, kind: "floppy", sectorSize: SECTOR_SIZE, geometry, disk };
}

const MAX_CYLINDERS = 1024;
const SECTORS_PER_TRACK = 63;
/** As BIOSes translate: the fewest of these that leave 1024 cylinders at most. */
const HEADS = [16, 32, 64, 128, 255];

/** What {@link hardDisk} says of the smallest one: a cylinder. */
export const SMALLEST_DISK_BYTES = (HEADS[0] as number) * SECTORS_PER_TRACK * SECTOR_SIZE;

export function hardDisk(number: number, disk: Drive["disk"]): Drive {
  const total = Math.floor(disk.capacity / SECTOR_SIZE);
  const fits = (heads: number): boolean => total <= heads * SECTORS_PER_TRACK * MAX_CYLINDERS;
  const heads = HEADS.find(fits) ?? 255;
  const cylinders = Math.floor(total / (heads * SECTORS_PER_TRACK));
  const geometry = {
    cylinders: Math.min(MAX_CYLINDERS, Math.max(1, cylinders)),
    heads,
    sectors: SECTORS_PER_TRACK,
  };
  return { number, kind: "disk", sectorSize: SECTOR_SIZE, geometry, disk };
}

export const cdDrive = (number: number, disk: Drive["disk"]): Drive => ({
  number,
  kind: "cd",
  sectorSize: CD_SECTOR_SIZE,
  geometry: { cylinders: 0, heads: 0, sectors: 0 },
  disk,
});
