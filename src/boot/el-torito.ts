/**
 * "El Torito" Bootable CD-ROM Format Specification 1.0 (Phoenix and IBM, 1995): the boot record,
 * a volume descriptor that points to the boot catalog, and the catalog of 32-byte entries.
 */

import { GuestError } from "../core/errors.ts";
import { type ByteSource, readPart } from "./byte-source.ts";
import { viewOf } from "./data-view.ts";
import { decodeAscii, encodeUtf8, untilNul } from "./text.ts";

const SECTOR_SIZE = 2048;
/** §2.0: the boot record's sector; it must be the second volume descriptor. */
export const BOOT_RECORD_SECTOR = 17;

const BOOT_RECORD_ID = "EL TORITO SPECIFICATION";
const BOOT_RECORD_ID_OFFSET = 7;
const BOOT_RECORD_CATALOG_OFFSET = 0x47;

const ENTRY_SIZE = 32;
const VALIDATION_HEADER_ID = 0x01;
const BOOTABLE = 0x88;
const SECTION_HEADER_MORE = 0x90;
const SECTION_HEADER_LAST = 0x91;
const SECTION_ENTRY_EXTENSION = 0x44;

export const PLATFORM_X86 = 0x00;
export const PLATFORM_EFI = 0xef;

/** Boot media type, low four bits (§2.2). */
export const NO_EMULATION = 0;

/** A bootable or non-bootable image that the catalog names. */
export interface BootEntry {
  /** {@link PLATFORM_X86}, {@link PLATFORM_EFI}, or what the catalog says. */
  readonly platform: number;
  readonly bootable: boolean;
  /** {@link NO_EMULATION}, or 1 to 4 for floppy and hard disk images. */
  readonly mediaType: number;
  /** Real-mode segment to load at; 0 means 0x7c0. */
  readonly loadSegment: number;
  /** 512-byte sectors that the firmware loads. */
  readonly sectorCount: number;
  /** 2048-byte sector where the image starts. */
  readonly location: number;
}

/** @returns the boot catalog's sector, or `undefined` when there is no boot record */
export function parseBootRecord(sector: Uint8Array): number | undefined {
  if (
    sector.length < SECTOR_SIZE ||
    sector[0] !== 0 ||
    decodeAscii(sector.subarray(1, 6)) !== "CD001"
  ) {
    return undefined;
  }
  const identifier = sector.subarray(BOOT_RECORD_ID_OFFSET, BOOT_RECORD_ID_OFFSET + 32);
  if (decodeAscii(untilNul(identifier)).trimEnd() !== BOOT_RECORD_ID) return undefined;
  return viewOf(sector).getUint32(BOOT_RECORD_CATALOG_OFFSET, true);
}

export function serialiseBootRecord(catalogSector: number): Uint8Array {
  const sector = new Uint8Array(SECTOR_SIZE);
  sector.set(encodeUtf8("CD001"), 1);
  sector[6] = 1;
  sector.set(encodeUtf8(BOOT_RECORD_ID), BOOT_RECORD_ID_OFFSET);
  viewOf(sector).setUint32(BOOT_RECORD_CATALOG_OFFSET, catalogSector, true);
  return sector;
}

/**
 * @param sector the catalog's first 2048-byte sector; later ones are not looked at (63 entries)
 * @throws GuestError `image` when the validation entry is wrong
 */
export function parseBootCatalog(source: ByteSource, sector: number): BootEntry[] {
  const catalog = readPart(source, sector * SECTOR_SIZE, SECTOR_SIZE, "El Torito boot catalog");
  if (catalog[0] !== VALIDATION_HEADER_ID || catalog[0x1e] !== 0x55 || catalog[0x1f] !== 0xaa) {
    throw new GuestError("image", "El Torito boot catalog has no validation entry");
  }
  if (checksum(catalog.subarray(0, ENTRY_SIZE)) !== 0) {
    throw new GuestError("image", "El Torito boot catalog has a wrong checksum");
  }
  const entries = [parseEntry(catalog, ENTRY_SIZE, catalog[1] ?? 0)];
  let position = 2 * ENTRY_SIZE;
  while (position + ENTRY_SIZE <= catalog.length) {
    const kind = catalog[position] ?? 0;
    if (kind !== SECTION_HEADER_MORE && kind !== SECTION_HEADER_LAST) break;
    const platform = catalog[position + 1] ?? 0;
    const count = viewOf(catalog).getUint16(position + 2, true);
    position = parseSection(catalog, position + ENTRY_SIZE, count, platform, entries);
    if (kind === SECTION_HEADER_LAST) break;
  }
  return entries;
}

/** A catalog of one bootable entry for PC firmware, without emulation. */
export function serialiseBootCatalog(entry: {
  readonly location: number;
  readonly sectorCount: number;
  readonly loadSegment?: number;
}): Uint8Array {
  const catalog = new Uint8Array(SECTOR_SIZE);
  const fields = viewOf(catalog);
  catalog[0] = VALIDATION_HEADER_ID;
  catalog[1] = PLATFORM_X86;
  fields.setUint16(0x1e, 0xaa55, true);
  fields.setUint16(0x1c, -checksum(catalog.subarray(0, ENTRY_SIZE)) & 0xffff, true);

  catalog[ENTRY_SIZE] = BOOTABLE;
  catalog[ENTRY_SIZE + 1] = NO_EMULATION;
  fields.setUint16(ENTRY_SIZE + 2, entry.loadSegment ?? 0, true);
  fields.setUint16(ENTRY_SIZE + 6, entry.sectorCount, true);
  fields.setUint32(ENTRY_SIZE + 8, entry.location, true);
  return catalog;
}

function parseSection(
  catalog: Uint8Array,
  start: number,
  count: number,
  platform: number,
  entries: BootEntry[],
): number {
  let position = start;
  for (let remaining = count; remaining > 0; position += ENTRY_SIZE) {
    if (position + ENTRY_SIZE > catalog.length) return catalog.length;
    if (catalog[position] === SECTION_ENTRY_EXTENSION) continue;
    entries.push(parseEntry(catalog, position, platform));
    remaining--;
  }
  return position;
}

function parseEntry(catalog: Uint8Array, position: number, platform: number): BootEntry {
  const fields = viewOf(catalog);
  return {
    platform,
    bootable: catalog[position] === BOOTABLE,
    mediaType: (catalog[position + 1] ?? 0) & 0x0f,
    loadSegment: fields.getUint16(position + 2, true),
    sectorCount: fields.getUint16(position + 6, true),
    location: fields.getUint32(position + 8, true),
  };
}

/** §2.1: the sum of the entry's 16-bit words, which must be zero. */
function checksum(entry: Uint8Array): number {
  const fields = viewOf(entry);
  let sum = 0;
  for (let offset = 0; offset < entry.length; offset += 2) sum += fields.getUint16(offset, true);
  return sum & 0xffff;
}
