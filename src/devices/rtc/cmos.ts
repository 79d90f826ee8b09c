import { type AtaGeometry, controlByte } from "../../core/ata-geometry.ts";
import { KIB, MIB } from "../../core/units.ts";

/** Where a PC's BIOS keeps the configuration in the clock's battery-backed memory. */
const FLOPPY_TYPES = 0x10;
/** Of two hard disks, four bits each; "more than 14" is in a byte of its own. */
const DISK_TYPES = 0x12;
const EXTENDED_TYPES = [0x19, 0x1a] as const;
const TYPE_EXTENDED = 0x0f;
/** The type whose geometry is here too, and where. */
const TYPE_USER = 47;
const USER_TYPES = [0x1b, 0x24] as const;
const EQUIPMENT = 0x14;
const EQUIPMENT_FLOPPY = 1 << 0;
const EQUIPMENT_FPU = 1 << 1;
const BASE_MEMORY = 0x15;
const EXTENDED_MEMORY = 0x17;
const CHECKSUM = 0x2e;
const CHECKSUM_FIRST = 0x10;
const CHECKSUM_LAST = 0x2d;
/** The extended memory that the power-on test found. */
const EXTENDED_MEMORY_FOUND = 0x30;
/** Memory above 16 MiB in units of 64 KiB. */
const HIGH_MEMORY = 0x34;

export const CMOS_SIZE = 128;

/**
 * The memory as a BIOS leaves it on a PC with `memoryBytes` of RAM below 4 GiB.
 * @param floppyType of drive 0, as this memory has it; 0 for none
 * @param hardDisks of which it has the first two
 */
export const configuredCmos = (
  memoryBytes: number,
  floppyType = 0,
  hardDisks: readonly AtaGeometry[] = [],
): Uint8Array => {
  const bytes = new Uint8Array(CMOS_SIZE);
  const word = (at: number, value: number): void => {
    const capped = Math.max(0, Math.min(0xffff, Math.floor(value)));
    bytes[at] = capped & 0xff;
    bytes[at + 1] = capped >> 8;
  };
  bytes[FLOPPY_TYPES] = floppyType << 4;
  bytes[EQUIPMENT] = EQUIPMENT_FPU | (floppyType === 0 ? 0 : EQUIPMENT_FLOPPY);
  for (const [i, disk] of hardDisks.slice(0, USER_TYPES.length).entries()) {
    bytes[DISK_TYPES] = (bytes[DISK_TYPES] ?? 0) | (TYPE_EXTENDED << (i === 0 ? 4 : 0));
    bytes[EXTENDED_TYPES[i] as number] = TYPE_USER;
    bytes.set(userType(disk), USER_TYPES[i]);
  }
  word(BASE_MEMORY, Math.min(640, memoryBytes / KIB));
  word(EXTENDED_MEMORY, (memoryBytes - MIB) / KIB);
  word(EXTENDED_MEMORY_FOUND, (memoryBytes - MIB) / KIB);
  word(HIGH_MEMORY, (memoryBytes - 16 * MIB) / (64 * KIB));
  const sum = bytes
    .subarray(CHECKSUM_FIRST, CHECKSUM_LAST + 1)
    .reduce((total, byte) => total + byte, 0);
  // The checksum, alone here, has its high byte first.
  bytes[CHECKSUM] = sum >> 8;
  bytes[CHECKSUM + 1] = sum & 0xff;
  return bytes;
};

/** Cylinders, heads, no precompensation, control byte, landing zone, sectors. */
function userType({ cylinders, heads, sectors }: AtaGeometry): number[] {
  const word = [cylinders & 0xff, cylinders >> 8];
  return [...word, heads, 0xff, 0xff, controlByte(heads), ...word, sectors];
}
