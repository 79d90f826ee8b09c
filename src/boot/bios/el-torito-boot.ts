/** What the firmware does with an entry of an El Torito boot catalog (specification 1.0, §2 to §4). */

import { GuestError } from "../../core/errors.ts";
import { type ByteSource, WindowSource } from "../byte-source.ts";
import { viewOf } from "../data-view.ts";
import { type BootEntry, NO_EMULATION, PLATFORM_X86, parseBootCatalog } from "../el-torito.ts";
import { IsoVolume } from "../iso9660.ts";
import { type Drive, FIRST_CD, FIRST_HARD_DISK, floppyDrive, hardDisk } from "./drive.ts";

const CD_SECTOR_SIZE = 2048;
const VIRTUAL_SECTOR_SIZE = 512;
const DEFAULT_SEGMENT = 0x7c0;

/** Boot media types (§2.2). */
const EMULATED_FLOPPY_BYTES: Readonly<Record<number, number>> = {
  1: 1200 * 1024,
  2: 1440 * 1024,
  3: 2880 * 1024,
};
const HARD_DISK = 4;

const PACKET_SIZE = 0x13;

export interface ElToritoBoot {
  /** Real-mode segment that the first sectors are loaded to. */
  readonly segment: number;
  /** The bytes to load there. */
  readonly program: ByteSource;
  /** What DL is at the start. */
  readonly driveNumber: number;
  /** With emulation: the drive that the image stands for. */
  readonly emulated: Drive | undefined;
  /** INT 13h AH=4Bh (§4.2.1). */
  specificationPacket(): Uint8Array;
}

/**
 * The bootable entry for a PC that the catalog names first.
 * @returns `undefined` when there is no boot record, or nothing bootable for a PC
 * @throws GuestError `image` when the catalog or the entry is broken
 */
export function findElToritoBoot(source: ByteSource): ElToritoBoot | undefined {
  const { bootCatalog } = new IsoVolume(source);
  if (bootCatalog === undefined) return undefined;
  const entry = parseBootCatalog(source, bootCatalog).find(
    ({ bootable, platform }) => bootable && platform === PLATFORM_X86,
  );
  return entry === undefined ? undefined : prepare(source, entry);
}

function prepare(source: ByteSource, entry: BootEntry): ElToritoBoot {
  const start = entry.location * CD_SECTOR_SIZE;
  const emulated = emulatedDrive(source, entry, start);
  // Emulation starts as a disk does, with its first sector.
  const sectors = emulated === undefined ? Math.max(1, entry.sectorCount) : 1;
  const length = Math.min(sectors * VIRTUAL_SECTOR_SIZE, source.size - start);
  const driveNumber = emulated?.number ?? FIRST_CD;
  return {
    segment: entry.loadSegment === 0 ? DEFAULT_SEGMENT : entry.loadSegment,
    program: new WindowSource(source, start, length, "El Torito boot image"),
    driveNumber,
    emulated,
    specificationPacket: () => specificationPacket(entry, driveNumber, emulated),
  };
}

function emulatedDrive(source: ByteSource, entry: BootEntry, start: number): Drive | undefined {
  const { mediaType } = entry;
  if (mediaType === NO_EMULATION) return undefined;
  const floppy = EMULATED_FLOPPY_BYTES[mediaType];
  if (floppy === undefined && mediaType !== HARD_DISK) {
    throw new GuestError("image", `El Torito boot entry has unknown media type ${mediaType}`);
  }
  const length = Math.min(floppy ?? source.size, source.size - start);
  const image = new WindowSource(source, start, length, "El Torito disk image");
  const disk = {
    // A disk has whole sectors; what the CD does not have of them reads as zeros.
    capacity: floppy ?? Math.ceil(length / VIRTUAL_SECTOR_SIZE) * VIRTUAL_SECTOR_SIZE,
    readOnly: true,
    read: (offset: number, into: Uint8Array): void => {
      const there = Math.max(0, Math.min(into.length, length - offset));
      if (there > 0) into.set(image.read(offset, there));
      into.fill(0, there);
    },
    write: (): void => {},
  };
  return floppy === undefined ? hardDisk(FIRST_HARD_DISK, disk) : floppyDrive(0, disk);
}

function specificationPacket(
  entry: BootEntry,
  driveNumber: number,
  emulated: Drive | undefined,
): Uint8Array {
  const packet = new Uint8Array(PACKET_SIZE);
  const view = viewOf(packet);
  packet[0] = PACKET_SIZE;
  packet[1] = entry.mediaType;
  packet[2] = driveNumber;
  view.setUint32(4, entry.location, true);
  view.setUint16(0x0c, entry.loadSegment, true);
  view.setUint16(0x0e, entry.sectorCount, true);
  if (emulated !== undefined) {
    const last = emulated.geometry.cylinders - 1;
    packet[0x10] = last & 0xff;
    packet[0x11] = ((last >> 2) & 0xc0) | emulated.geometry.sectors;
    packet[0x12] = emulated.geometry.heads - 1;
  }
  return packet;
}
