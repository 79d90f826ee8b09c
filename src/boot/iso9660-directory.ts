/** Directories of an ISO image: records (ECMA-119 §9.1) with their Rock Ridge fields. */

import { alignUp } from "./data-view.ts";
import { FLAG_DIRECTORY, RECORD_HEADER_SIZE, SECTOR_SIZE } from "./iso9660.ts";
import { setBoth16, setBoth32, shortDate } from "./iso9660-fields.ts";
import { type DirectoryNode, type FileNode, identifierOf, isDirectory } from "./iso9660-tree.ts";
import {
  CE_SIZE,
  concat,
  continuationField,
  type SystemUse,
  systemUse,
} from "./rock-ridge-writer.ts";

/** A record's length is one byte, and even. */
const MAX_RECORD = 254;

interface PendingRecord {
  readonly identifier: Uint8Array;
  readonly target: DirectoryNode | FileNode;
  readonly use: SystemUse;
}

/** The records of a directory in order (§9.3), their continuation areas not yet placed. */
function recordsOf(directory: DirectoryNode, date: Date): PendingRecord[] {
  const record = (
    identifier: Uint8Array,
    target: DirectoryNode | FileNode,
    name: string | undefined,
    announces = false,
  ): PendingRecord => {
    const attributes = {
      name,
      directory: isDirectory(target),
      links: target.links,
      date,
      announces,
    };
    const use = systemUse(attributes, MAX_RECORD - headerSize(identifier));
    return { identifier, target, use };
  };
  return [
    record(Uint8Array.of(0), directory, undefined, directory.parent === undefined),
    record(Uint8Array.of(1), directory.parent ?? directory, undefined),
    ...directory.children.map((child) => record(identifierOf(child), child, child.name)),
  ];
}

/** Bytes of a directory's extent, whole sectors, and of its continuation areas. */
export function measureDirectory(
  directory: DirectoryNode,
  date: Date,
): { readonly extent: number; readonly continuations: number } {
  let extent = 0;
  let continuations = 0;
  for (const { identifier, use } of recordsOf(directory, date)) {
    const field = use.continued.length > 0 ? CE_SIZE : 0;
    const length = recordSize(identifier, use.inRecord.length + field);
    extent = withinSector(extent, length) + length;
    if (use.continued.length > 0) {
      continuations = withinSector(continuations, use.continued.length) + use.continued.length;
    }
  }
  return { extent: alignUp(extent, SECTOR_SIZE), continuations };
}

/** Needs the sectors of the directory, its parent, its children and its continuation areas. */
export function serialiseDirectory(
  directory: DirectoryNode,
  date: Date,
): { readonly extent: Uint8Array; readonly continuations: Uint8Array } {
  const size = measureDirectory(directory, date);
  const extent = new Uint8Array(size.extent);
  const continuations = new Uint8Array(size.continuations);
  let position = 0;
  let continued = 0;
  for (const { identifier, target, use } of recordsOf(directory, date)) {
    let fields = use.inRecord;
    if (use.continued.length > 0) {
      continued = withinSector(continued, use.continued.length);
      const sector = directory.continuationSector + Math.floor(continued / SECTOR_SIZE);
      const field = continuationField(sector, continued % SECTOR_SIZE, use.continued.length);
      continuations.set(use.continued, continued);
      continued += use.continued.length;
      fields = concat([fields, field]);
    }
    const bytes = directoryRecord(identifier, target, date, fields);
    position = withinSector(position, bytes.length);
    extent.set(bytes, position);
    position += bytes.length;
  }
  return { extent, continuations };
}

/** ECMA-119 §9.1. */
export function directoryRecord(
  identifier: Uint8Array,
  target: DirectoryNode | FileNode,
  date: Date,
  systemUseFields: Uint8Array,
): Uint8Array {
  const record = new Uint8Array(recordSize(identifier, systemUseFields.length));
  record[0] = record.length;
  setBoth32(record, 2, target.sector);
  setBoth32(record, 10, isDirectory(target) ? target.size : target.data.length);
  record.set(shortDate(date), 18);
  record[25] = isDirectory(target) ? FLAG_DIRECTORY : 0;
  setBoth16(record, 28, 1);
  record[32] = identifier.length;
  record.set(identifier, RECORD_HEADER_SIZE);
  record.set(systemUseFields, headerSize(identifier));
  return record;
}

/** The identifier is padded so that the system use area starts at an even byte. */
const headerSize = (identifier: Uint8Array): number =>
  alignUp(RECORD_HEADER_SIZE + identifier.length, 2);

const recordSize = (identifier: Uint8Array, systemUseLength: number): number =>
  alignUp(headerSize(identifier) + systemUseLength, 2);

/** Where something of `length` bytes goes at or after `position` without crossing a sector. */
function withinSector(position: number, length: number): number {
  const room = SECTOR_SIZE - (position % SECTOR_SIZE);
  return length <= room ? position : position + room;
}
