/** What a PC finds when it looks for something to boot: the image, and then the disks. */

import type { BlockBackend } from "../../core/backends.ts";
import { GuestError } from "../../core/errors.ts";
import { KIB } from "../../core/units.ts";
import type { ByteSource } from "../byte-source.ts";
import { identify } from "../image.ts";
import { isIso9660 } from "../iso9660.ts";
import {
  cdDrive,
  type Drive,
  FIRST_CD,
  FIRST_HARD_DISK,
  floppyDrive,
  floppyGeometry,
  hardDisk,
  isBootSector,
  LARGEST_FLOPPY,
  SMALLEST_DISK_BYTES,
  toldFloppySize,
} from "./drive.ts";
import { type ElToritoBoot, findElToritoBoot } from "./el-torito-boot.ts";
import { OverlayDisk } from "./overlay-disk.ts";

/** An image that a BIOS can boot. */
export type BootImage =
  | { readonly kind: "cd"; readonly source: ByteSource; readonly boot: ElToritoBoot }
  | { readonly kind: "floppy" | "disk"; readonly disk: OverlayDisk };

export interface BootMedia {
  /** By number: floppies first. */
  readonly drives: readonly Drive[];
  readonly cd: ElToritoBoot | undefined;
}

const SECTOR_SIZE = 512;

/**
 * @returns `undefined` when there is nothing in it for a BIOS
 * @throws GuestError `image` when there is, and it is broken
 */
export function findBootImage(source: ByteSource): BootImage | undefined {
  if (isIso9660(source)) {
    const boot = findElToritoBoot(source);
    return boot === undefined ? undefined : { kind: "cd", source, boot };
  }
  const { kind } = identify(source);
  if ((kind !== "other" && !isLinuxFloppy(source)) || !hasBootSector(source)) return undefined;
  const floppy = floppySize(source);
  if (floppy !== undefined) return { kind: "floppy", disk: new OverlayDisk(source, floppy) };
  const size = Math.max(source.size, SMALLEST_DISK_BYTES);
  return { kind: "disk", disk: new OverlayDisk(source, size) };
}

/** Bytes of the floppy that this is the image of; its end may have been left out, or be too long. */
function floppySize(source: ByteSource): number | undefined {
  if (floppyGeometry(source.size) !== undefined) return source.size;
  const isSmall = source.size <= LARGEST_FLOPPY * KIB;
  return isSmall ? toldFloppySize(source.read(0, SECTOR_SIZE)) : undefined;
}

/**
 * Whether a Linux kernel is at the beginning of a whole floppy, which may have more on it: kernels
 * before 2.6 had a boot sector that loads them from there.
 */
export const isLinuxFloppy = (source: ByteSource): boolean =>
  floppyGeometry(source.size) !== undefined && identify(source).kind === "linux";

const hasBootSector = (source: ByteSource): boolean =>
  source.size >= SECTOR_SIZE &&
  isBootSector(
    floppyGeometry(source.size) === undefined ? "disk" : "floppy",
    source.read(0, SECTOR_SIZE),
  );

/**
 * @param image undefined when a kernel was loaded without a BIOS
 * @param disks those of the machine besides the image; they follow it
 */
export function bootMedia(image: BootImage | undefined, disks: readonly BlockBackend[]): BootMedia {
  const cd = image?.kind === "cd" ? image.boot : undefined;
  const emulated = cd?.emulated;
  const floppies =
    image?.kind === "floppy"
      ? [floppyDrive(0, image.disk)]
      : emulated?.kind === "floppy"
        ? [emulated]
        : [];
  const first =
    image?.kind === "disk"
      ? [hardDisk(FIRST_HARD_DISK, image.disk)]
      : emulated?.kind === "disk"
        ? [emulated]
        : [];
  const next = FIRST_HARD_DISK + first.length;
  const hardDisks = [...first, ...disks.map((disk, i) => hardDisk(next + i, disk))];
  const cds = image?.kind === "cd" ? [cdDrive(FIRST_CD, discOf(image.source))] : [];
  return { drives: [...floppies, ...hardDisks, ...cds], cd };
}

/** A CD whose image this is. */
export const discOf = (source: ByteSource): Drive["disk"] => ({
  capacity: source.size,
  readOnly: true,
  read: (offset, into) => into.set(source.read(offset, into.length)),
  write: () => {
    throw new GuestError("driver", "a CD cannot be written");
  },
});
