/**
 * The fixed disk parameter table, to which the vectors of INT 41h and 46h point for the first and
 * the second hard disk: drivers older than IDENTIFY DEVICE know the geometry from there (IBM PC AT
 * Technical Reference, "Fixed Disk Parameters"; EDD 3.0, "Fixed disk parameter table" for what a
 * BIOS adds that translates).
 */

import { type AtaGeometry, ataGeometry, controlByte } from "../../core/ata-geometry.ts";
import type { Drive, Geometry } from "./drive.ts";

export const TABLE_SIZE = 16;
/** How many disks have one. */
export const TABLES = 2;

const NO_PRECOMPENSATION = 0xffff;
/** What says that there are both geometries, the BIOS's and the disk's. */
const TRANSLATED = 0xa0;

export function fixedDiskTable({ geometry, disk }: Drive): Uint8Array {
  const bytes = new Uint8Array(TABLE_SIZE);
  const view = new DataView(bytes.buffer);
  const physical = ataGeometry(disk.capacity);
  view.setUint16(0, geometry.cylinders, true);
  view.setUint8(2, geometry.heads);
  view.setUint16(5, NO_PRECOMPENSATION, true);
  view.setUint8(8, controlByte(physical.heads));
  view.setUint16(12, physical.cylinders, true);
  view.setUint8(14, geometry.sectors);
  if (isSame(geometry, physical)) return bytes;
  view.setUint8(3, TRANSLATED);
  view.setUint8(4, physical.sectors);
  view.setUint16(9, physical.cylinders, true);
  view.setUint8(11, physical.heads);
  // All of them together are nothing.
  view.setUint8(15, -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff);
  return bytes;
}

const isSame = (one: Geometry, other: AtaGeometry): boolean =>
  one.cylinders === other.cylinders && one.heads === other.heads && one.sectors === other.sectors;
