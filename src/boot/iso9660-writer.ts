/**
 * Writer of ISO 9660 images (ECMA-119, level 1 names) with Rock Ridge and an El Torito boot
 * catalog. The same input gives the same bytes.
 *
 * ```
 * sector  0..15  system area, zeros
 *        16      primary volume descriptor
 *        17      boot record (bootable images)
 *                terminator
 *                path tables, little endian and big endian
 *                directories, each followed by its continuation areas
 *                boot catalog (bootable images)
 *                files, in the order of the path table's directories
 *                padding
 * ```
 */

import { assert, GuestError } from "../core/errors.ts";
import { alignUp, viewOf } from "./data-view.ts";
import { serialiseBootCatalog, serialiseBootRecord } from "./el-torito.ts";
import {
  DESCRIPTOR_PRIMARY,
  DESCRIPTOR_TERMINATOR,
  FIRST_DESCRIPTOR_SECTOR,
  SECTOR_SIZE,
  STANDARD_IDENTIFIER,
} from "./iso9660.ts";
import { directoryRecord, measureDirectory, serialiseDirectory } from "./iso9660-directory.ts";
import { longDate, setBoth16, setBoth32, setText } from "./iso9660-fields.ts";
import { toDCharacters } from "./iso9660-names.ts";
import {
  buildTree,
  type DirectoryNode,
  type FileNode,
  type IsoFile,
  identifierOf,
} from "./iso9660-tree.ts";
import { concat } from "./rock-ridge-writer.ts";

export type { IsoFile } from "./iso9660-tree.ts";

export interface IsoOptions {
  readonly files: readonly IsoFile[];
  /** At most 32 characters; others than `A` to `Z`, `0` to `9` and `_` are replaced. */
  readonly volumeId?: string | undefined;
  /** Of everything in the image; 1980-01-01 unless given. Years 1900 to 2155. */
  readonly date?: Date | undefined;
  readonly boot?: BootOptions | undefined;
}

/** El Torito boot without emulation: the firmware loads the file and jumps to it. */
export interface BootOptions {
  /** Path of a file in `files`. All of it is loaded. */
  readonly path: string;
  /** Real-mode segment; 0x7c0 unless given. */
  readonly loadSegment?: number | undefined;
  /**
   * Whether to write the boot information table at byte 8 of the file, as `mkisofs` does: sectors
   * of the volume descriptor and of the file, length, checksum.
   */
  readonly informationTable?: boolean | undefined;
}

const DEFAULT_DATE = new Date(Date.UTC(1980, 0, 1));
const DEFAULT_VOLUME_ID = "CDROM";
const BOOT_SECTOR_SIZE = 512;
/** Drives and GRUB legacy read ahead to the end of a track, 63 sectors at most. */
const PADDING_SECTORS = 64;

const BOOT_INFORMATION_OFFSET = 8;
const BOOT_INFORMATION_SIZE = 56;
const CHECKSUM_START = BOOT_INFORMATION_OFFSET + BOOT_INFORMATION_SIZE;

/**
 * @throws GuestError `image` when the boot file is empty or larger than firmware can load
 * @throws Bug when a path is given twice, is empty, or the boot file is not among the
 *   files
 */
export function writeIso9660(options: IsoOptions): Uint8Array {
  const tree = buildTree(options.files);
  const date = options.date ?? DEFAULT_DATE;
  const bootFile = tree.files.find(({ path }) => path === options.boot?.path);
  assert(
    options.boot === undefined || bootFile !== undefined,
    `boot file ${options.boot?.path} is not in the ISO`,
  );

  let next = FIRST_DESCRIPTOR_SECTOR + (bootFile === undefined ? 2 : 3);
  const allocate = (bytes: number): number => {
    const sector = next;
    next += Math.ceil(bytes / SECTOR_SIZE);
    return sector;
  };
  const pathTableSize = buildPathTable(tree.directories, true).length;
  const pathTables = { little: allocate(pathTableSize), big: allocate(pathTableSize) };
  for (const directory of tree.directories) {
    const { extent, continuations } = measureDirectory(directory, date);
    directory.size = extent;
    directory.sector = allocate(extent);
    directory.continuationSector = allocate(continuations);
  }
  const catalogSector = bootFile === undefined ? 0 : allocate(SECTOR_SIZE);
  for (const file of tree.files) file.sector = allocate(file.data.length);
  next += PADDING_SECTORS;

  const image = new Uint8Array(next * SECTOR_SIZE);
  const put = (sector: number, bytes: Uint8Array): void => image.set(bytes, sector * SECTOR_SIZE);
  const [root] = tree.directories;
  assert(root !== undefined, "an ISO has a root directory");
  const volumeId = options.volumeId ?? DEFAULT_VOLUME_ID;
  put(
    FIRST_DESCRIPTOR_SECTOR,
    primaryDescriptor({ volumeId, sectors: next, pathTables, pathTableSize, root, date }),
  );
  let terminator = FIRST_DESCRIPTOR_SECTOR + 1;
  if (bootFile !== undefined) put(terminator++, serialiseBootRecord(catalogSector));
  put(terminator, descriptorHeader(DESCRIPTOR_TERMINATOR));
  put(pathTables.little, buildPathTable(tree.directories, true));
  put(pathTables.big, buildPathTable(tree.directories, false));
  for (const directory of tree.directories) {
    const { extent, continuations } = serialiseDirectory(directory, date);
    put(directory.sector, extent);
    put(directory.continuationSector, continuations);
  }
  for (const file of tree.files) put(file.sector, file.data);
  if (bootFile !== undefined) {
    const sectorCount = Math.ceil(bootFile.data.length / BOOT_SECTOR_SIZE);
    if (sectorCount === 0 || sectorCount > 0xffff) {
      throw new GuestError("image", `boot block has ${bootFile.data.length} bytes`);
    }
    const loadSegment = options.boot?.loadSegment ?? 0;
    put(
      catalogSector,
      serialiseBootCatalog({ location: bootFile.sector, sectorCount, loadSegment }),
    );
    if (options.boot?.informationTable === true) writeBootInformation(image, bootFile);
  }
  return image;
}

interface VolumeFields {
  readonly volumeId: string;
  readonly sectors: number;
  readonly pathTables: { readonly little: number; readonly big: number };
  readonly pathTableSize: number;
  readonly root: DirectoryNode;
  readonly date: Date;
}

function descriptorHeader(type: number): Uint8Array {
  const sector = new Uint8Array(SECTOR_SIZE);
  sector[0] = type;
  setText(sector, 1, 5, STANDARD_IDENTIFIER);
  sector[6] = 1;
  return sector;
}

/** ECMA-119 §8.4. */
function primaryDescriptor(volume: VolumeFields): Uint8Array {
  const sector = descriptorHeader(DESCRIPTOR_PRIMARY);
  setText(sector, 8, 32, "");
  setText(sector, 40, 32, toDCharacters(volume.volumeId));
  setBoth32(sector, 80, volume.sectors);
  setBoth16(sector, 120, 1);
  setBoth16(sector, 124, 1);
  setBoth16(sector, 128, SECTOR_SIZE);
  setBoth32(sector, 132, volume.pathTableSize);
  viewOf(sector).setUint32(140, volume.pathTables.little, true);
  viewOf(sector).setUint32(148, volume.pathTables.big, false);
  sector.set(directoryRecord(Uint8Array.of(0), volume.root, volume.date, new Uint8Array(0)), 156);
  // Volume set, publisher, preparer, application, and three files: none.
  setText(sector, 190, 4 * 128 + 3 * 37, "");
  sector.set(longDate(volume.date), 813);
  sector.set(longDate(volume.date), 830);
  sector.set(longDate(undefined), 847);
  sector.set(longDate(undefined), 864);
  sector[881] = 1;
  return sector;
}

/** §9.4: directories by level, parent and name, which is the order of the tree's list. */
function buildPathTable(directories: readonly DirectoryNode[], littleEndian: boolean): Uint8Array {
  const numbers = new Map(directories.map((directory, index) => [directory, index + 1]));
  const records = directories.map((directory) => {
    const identifier = identifierOf(directory);
    const record = new Uint8Array(8 + identifier.length + (identifier.length % 2));
    const view = viewOf(record);
    record[0] = identifier.length;
    view.setUint32(2, directory.sector, littleEndian);
    view.setUint16(6, numbers.get(directory.parent ?? directory) ?? 1, littleEndian);
    record.set(identifier, 8);
    return record;
  });
  return concat(records);
}

/** mkisofs(8), "EL TORITO BOOT INFORMATION TABLE": the checksum is over what follows the table. */
function writeBootInformation(image: Uint8Array, file: FileNode): void {
  const start = file.sector * SECTOR_SIZE;
  const padded = image.subarray(start, start + alignUp(file.data.length, 4));
  if (padded.length < CHECKSUM_START) {
    throw new GuestError("image", "boot block has no room for a boot information table");
  }
  const view = viewOf(padded);
  let checksum = 0;
  for (let offset = CHECKSUM_START; offset < padded.length; offset += 4) {
    checksum = (checksum + view.getUint32(offset, true)) >>> 0;
  }
  padded.fill(0, BOOT_INFORMATION_OFFSET, CHECKSUM_START);
  view.setUint32(BOOT_INFORMATION_OFFSET, FIRST_DESCRIPTOR_SECTOR, true);
  view.setUint32(BOOT_INFORMATION_OFFSET + 4, file.sector, true);
  view.setUint32(BOOT_INFORMATION_OFFSET + 8, file.data.length, true);
  view.setUint32(BOOT_INFORMATION_OFFSET + 12, checksum, true);
}
