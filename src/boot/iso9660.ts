/**
 * Reader of ISO 9660 (ECMA-119) with Rock Ridge names: what a boot loader needs, and no more.
 * Joliet, multi-extent and interleaved files are not read.
 */

import { GuestError } from "../core/errors.ts";
import { type ByteSource, readPart, WindowSource } from "./byte-source.ts";
import { viewOf } from "./data-view.ts";
import { BOOT_RECORD_SECTOR, parseBootRecord } from "./el-torito.ts";
import { findSystemUse, readAlternateName } from "./rock-ridge.ts";
import { decodeAscii, printable } from "./text.ts";

export const SECTOR_SIZE = 2048;
/** ECMA-119 §6.2.1: sectors 0 to 15 belong to the system. */
export const FIRST_DESCRIPTOR_SECTOR = 16;
export const DESCRIPTOR_PRIMARY = 1;
export const DESCRIPTOR_TERMINATOR = 255;
export const STANDARD_IDENTIFIER = "CD001";

/** File flags of a directory record (ECMA-119 §9.1.6). */
export const FLAG_DIRECTORY = 0x02;
const FLAG_ASSOCIATED = 0x04;
const FLAG_MULTI_EXTENT = 0x80;

export const RECORD_HEADER_SIZE = 33;

const MAX_DESCRIPTORS = 64;
const MAX_DIRECTORY_SIZE = 4 * 1024 * 1024;
const MAX_DIRECTORY_RECORDS = 16_384;
const MAX_WALKED_ENTRIES = 16_384;
const MAX_DEPTH = 64;

export interface IsoEntry {
  /** The Rock Ridge name, or the ISO name without its version. */
  readonly name: string;
  /** Name as recorded, version included: `LOADER.;1`. */
  readonly isoName: string;
  readonly directory: boolean;
  /** First sector. */
  readonly location: number;
  /** Bytes. */
  readonly size: number;
  /** Why its data cannot be read, if they cannot. */
  readonly unsupported: string | undefined;
}

/** Whether a primary volume descriptor is where it must be. */
export function isIso9660(source: ByteSource): boolean {
  const start = FIRST_DESCRIPTOR_SECTOR * SECTOR_SIZE + 1;
  if (source.size < start + STANDARD_IDENTIFIER.length) return false;
  return decodeAscii(source.read(start, STANDARD_IDENTIFIER.length)) === STANDARD_IDENTIFIER;
}

export class IsoVolume {
  readonly volumeId: string;
  readonly systemId: string;
  /** Sectors of the whole volume, as it says itself. */
  readonly sectors: number;
  readonly rockRidge: boolean;
  readonly root: IsoEntry;
  /** Sector of the El Torito boot catalog. */
  readonly bootCatalog: number | undefined;

  readonly #source: ByteSource;
  readonly #systemUseSkip: number | undefined;
  readonly #directories = new Map<number, readonly IsoEntry[]>();

  /** @throws GuestError `image` when there is no usable primary volume descriptor */
  constructor(source: ByteSource) {
    this.#source = source;
    const descriptor = readPrimaryDescriptor(source);
    const view = viewOf(descriptor);
    const blockSize = view.getUint16(128, true);
    if (blockSize !== SECTOR_SIZE) {
      throw new GuestError("image", `ISO has logical blocks of ${blockSize} bytes, not 2048`);
    }
    this.systemId = decodeAscii(descriptor.subarray(8, 40)).trimEnd();
    this.volumeId = decodeAscii(descriptor.subarray(40, 72)).trimEnd();
    this.sectors = view.getUint32(80, true);

    const rootRecord = parseRecord(descriptor.subarray(156, 190));
    if (rootRecord === undefined || (rootRecord.flags & FLAG_DIRECTORY) === 0) {
      throw new GuestError("image", "ISO has no root directory record");
    }
    this.root = toEntry(rootRecord, "/");
    const self = parseRecord(this.#readDirectory(this.root).subarray(0, SECTOR_SIZE));
    this.#systemUseSkip = self === undefined ? undefined : findSystemUse(self.systemUse);
    this.rockRidge = this.#systemUseSkip !== undefined;
    this.bootCatalog = readBootCatalogSector(source);
  }

  /** Bytes that the volume claims and the image lacks, unless nothing is recorded there: padding. */
  get missingBytes(): number {
    const missing = Math.max(0, this.sectors * SECTOR_SIZE - this.#source.size);
    return missing > 0 && this.#reachesPastEnd() ? missing : 0;
  }

  /**
   * The entries of a directory, without "." and "..".
   * @throws GuestError `image` when the directory is malformed or cut off
   */
  list(directory: IsoEntry): readonly IsoEntry[] {
    const known = this.#directories.get(directory.location);
    if (known !== undefined) return known;
    const entries = this.#parseDirectory(directory);
    this.#directories.set(directory.location, entries);
    return entries;
  }

  /**
   * Looks a path up from the root: `/boot/loader`. An exact name wins; otherwise case is ignored,
   * and the ISO name serves as well as the Rock Ridge one.
   */
  find(path: string): IsoEntry | undefined {
    let entry: IsoEntry | undefined = this.root;
    for (const component of path.split("/")) {
      if (component === "" || component === ".") continue;
      if (!entry?.directory) return undefined;
      entry = findByName(this.list(entry), component);
    }
    return entry;
  }

  /**
   * @param path for messages
   * @throws GuestError `image` when the file is cut off, or recorded in a way we do not read
   */
  open(entry: IsoEntry, path: string): ByteSource {
    if (entry.unsupported !== undefined) {
      throw new GuestError("image", `${printable(path)} in the ISO ${entry.unsupported}`);
    }
    return new WindowSource(
      this.#source,
      entry.location * SECTOR_SIZE,
      entry.size,
      `truncated ISO: file ${printable(path)}`,
    );
  }

  #reachesPastEnd(): boolean {
    try {
      for (const { entry } of this.walk()) {
        if (entry.location * SECTOR_SIZE + entry.size > this.#source.size) return true;
      }
      return false;
    } catch (error) {
      if (error instanceof GuestError) return true;
      throw error;
    }
  }

  /** Every entry below the root, parents first; at most 16,384 of them, each directory once. */
  *walk(): Generator<{ readonly path: string; readonly entry: IsoEntry }> {
    const seen = new Set([this.root.location]);
    const pending: { path: string; entry: IsoEntry; depth: number }[] = [];
    const push = (directory: IsoEntry, path: string, depth: number): void => {
      const entries = [...this.list(directory)].reverse();
      for (const entry of entries) pending.push({ path: `${path}/${entry.name}`, entry, depth });
    };
    push(this.root, "", 1);
    for (let count = 0; count < MAX_WALKED_ENTRIES; count++) {
      const next = pending.pop();
      if (next === undefined) return;
      yield next;
      const { entry, path, depth } = next;
      if (!entry.directory || depth >= MAX_DEPTH || seen.has(entry.location)) continue;
      seen.add(entry.location);
      push(entry, path, depth + 1);
    }
  }

  #readDirectory(directory: IsoEntry): Uint8Array {
    if (directory.size > MAX_DIRECTORY_SIZE) {
      throw new GuestError(
        "image",
        `ISO directory ${printable(directory.name)} claims ${directory.size} bytes`,
      );
    }
    return readPart(
      this.#source,
      directory.location * SECTOR_SIZE,
      directory.size,
      `truncated ISO: directory ${printable(directory.name)}`,
    );
  }

  #parseDirectory(directory: IsoEntry): IsoEntry[] {
    const bytes = this.#readDirectory(directory);
    const entries: IsoEntry[] = [];
    let position = 0;
    while (position < bytes.length && entries.length < MAX_DIRECTORY_RECORDS) {
      const sectorEnd = position - (position % SECTOR_SIZE) + SECTOR_SIZE;
      const record = parseRecord(bytes.subarray(position, Math.min(sectorEnd, bytes.length)));
      if (record === undefined) {
        if (bytes[position] !== 0) throw malformedRecord(directory, position);
        // No record crosses a sector: the rest of this one is padding (ECMA-119 §6.8.1.1).
        position = sectorEnd;
        continue;
      }
      position += record.length;
      if (isSelfOrParent(record) || (record.flags & FLAG_ASSOCIATED) !== 0) continue;
      entries.push(toEntry(record, this.#nameOf(record)));
    }
    return entries;
  }

  #nameOf(record: DirectoryRecord): string {
    if (this.#systemUseSkip !== undefined) {
      const area = record.systemUse.subarray(this.#systemUseSkip);
      const name = readAlternateName(this.#source, area);
      if (name !== undefined && name !== "") return name;
    }
    return withoutVersion(decodeAscii(record.identifier));
  }
}

/** One line for a volume that is not all there. */
export const truncationOf = (volume: IsoVolume): string =>
  `truncated ISO: ${volume.missingBytes} of ${volume.sectors * SECTOR_SIZE} bytes are missing at the end`;

interface DirectoryRecord {
  readonly length: number;
  readonly location: number;
  readonly size: number;
  readonly flags: number;
  readonly interleaved: boolean;
  readonly identifier: Uint8Array;
  readonly systemUse: Uint8Array;
}

/**
 * ECMA-119 §9.1.
 * @param bytes from the record's start to its sector's end
 * @returns `undefined` when no whole record is there
 */
function parseRecord(bytes: Uint8Array): DirectoryRecord | undefined {
  const length = bytes[0] ?? 0;
  if (length <= RECORD_HEADER_SIZE || length > bytes.length) return undefined;
  const identifierLength = bytes[32] ?? 0;
  const identifierEnd = RECORD_HEADER_SIZE + identifierLength;
  if (identifierLength === 0 || identifierEnd > length) return undefined;
  const view = viewOf(bytes);
  const padding = 1 - (identifierLength % 2);
  return {
    length,
    // The extended attribute record, if any, comes before the data (§9.1.3).
    location: view.getUint32(2, true) + (bytes[1] ?? 0),
    size: view.getUint32(10, true),
    flags: bytes[25] ?? 0,
    interleaved: bytes[26] !== 0,
    identifier: bytes.subarray(RECORD_HEADER_SIZE, identifierEnd),
    systemUse: bytes.subarray(Math.min(identifierEnd + padding, length), length),
  };
}

function toEntry(record: DirectoryRecord, name: string): IsoEntry {
  return {
    name,
    isoName: decodeAscii(record.identifier),
    directory: (record.flags & FLAG_DIRECTORY) !== 0,
    location: record.location,
    size: record.size,
    unsupported: record.interleaved
      ? "is interleaved, which is not supported"
      : (record.flags & FLAG_MULTI_EXTENT) !== 0
        ? "has several extents, which is not supported"
        : undefined,
  };
}

/** §7.6.2: the identifiers of a directory itself and of its parent are the bytes 0 and 1. */
const isSelfOrParent = (record: DirectoryRecord): boolean =>
  record.identifier.length === 1 && (record.identifier[0] ?? 0) <= 1;

const withoutVersion = (name: string): string => name.replace(/;\d*$/, "").replace(/\.$/, "");

function findByName(entries: readonly IsoEntry[], name: string): IsoEntry | undefined {
  const folded = name.toLowerCase();
  return (
    entries.find((entry) => entry.name === name) ??
    entries.find((entry) => entry.name.toLowerCase() === folded) ??
    entries.find((entry) => withoutVersion(entry.isoName).toLowerCase() === folded)
  );
}

function malformedRecord(directory: IsoEntry, position: number): GuestError {
  return new GuestError(
    "image",
    `ISO directory ${printable(directory.name)} has a malformed record at byte ${position}`,
  );
}

function readPrimaryDescriptor(source: ByteSource): Uint8Array {
  for (let index = 0; index < MAX_DESCRIPTORS; index++) {
    const offset = (FIRST_DESCRIPTOR_SECTOR + index) * SECTOR_SIZE;
    const what = "truncated ISO: volume descriptor";
    const sector = readPart(source, offset, SECTOR_SIZE, what);
    if (decodeAscii(sector.subarray(1, 6)) !== STANDARD_IDENTIFIER) break;
    if (sector[0] === DESCRIPTOR_PRIMARY) return sector;
    if (sector[0] === DESCRIPTOR_TERMINATOR) break;
  }
  throw new GuestError("image", "ISO has no primary volume descriptor");
}

function readBootCatalogSector(source: ByteSource): number | undefined {
  const offset = BOOT_RECORD_SECTOR * SECTOR_SIZE;
  if (offset + SECTOR_SIZE > source.size) return undefined;
  return parseBootRecord(source.read(offset, SECTOR_SIZE));
}
