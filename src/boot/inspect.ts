/** Describes an image: what is in it, and what booting it would do. */

import { GuestError } from "../core/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { type BootEntry, parseBootCatalog } from "./el-torito.ts";
import { type ElfSegment, isElf, parseElf, readNotes } from "./elf.ts";
import { identify } from "./image.ts";
import { MENU_PATHS, readIsoMenu } from "./iso-menu.ts";
import { IsoVolume, SECTOR_SIZE, truncationOf } from "./iso9660.ts";
import type { MenuEntry } from "./menu.ts";
import { findMultibootHeader, type MultibootHeader } from "./multiboot.ts";
import { readAbi, type Solo5Abi } from "./solo5/abi.ts";
import { type Manifest, readManifest } from "./solo5/manifest.ts";

export interface ImageReport {
  /** A noun phrase: `an ISO 9660 image`. */
  readonly kind: string;
  /** Bytes. */
  readonly size: number;
  readonly iso: IsoReport | undefined;
  readonly elf: ElfReport | undefined;
  readonly multiboot: MultibootHeader | undefined;
  readonly solo5: Solo5Report | undefined;
  /** What is wrong with the image, one line each. */
  readonly problems: readonly string[];
}

export interface Solo5Report {
  readonly abi: Solo5Abi | undefined;
  readonly manifest: Manifest | undefined;
}

export interface IsoReport {
  readonly volumeId: string;
  /** Bytes of the volume, as it says itself. */
  readonly volumeSize: number;
  readonly rockRidge: boolean;
  /** Entries of the El Torito boot catalog. */
  readonly bootEntries: readonly BootEntry[];
  readonly menuPath: string | undefined;
  readonly menuEntries: readonly MenuEntry[];
  /** Index in `menuEntries`. */
  readonly defaultEntry: number;
  readonly files: readonly IsoFileReport[];
}

export interface IsoFileReport {
  readonly path: string;
  readonly size: number;
  /** For the kernels and modules of the menu: what they are. */
  readonly kind: string | undefined;
}

export interface ElfReport {
  readonly class: 32 | 64;
  readonly machine: number;
  readonly type: number;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly notes: readonly {
    readonly name: string;
    readonly type: number;
    /** Bytes of its description. */
    readonly size: number;
  }[];
}

/** Never fails on what the image holds: faults are in `problems`. */
export function inspectImage(source: ByteSource): ImageReport {
  const problems: string[] = [];
  const attempt = <Value>(read: () => Value): Value | undefined => attemptInto(problems, read);
  const { kind, description } = identify(source);
  const isIso = kind === "iso9660";
  return {
    kind: description,
    size: source.size,
    iso: isIso ? attempt(() => inspectIso(source, problems)) : undefined,
    elf: isElf(source) ? attempt(() => inspectElf(source)) : undefined,
    solo5: isElf(source) ? attempt(() => inspectSolo5(source)) : undefined,
    multiboot: kind === "multiboot" ? findMultibootHeader(source) : undefined,
    problems,
  };
}

function inspectIso(source: ByteSource, problems: string[]): IsoReport {
  const attempt = <Value>(read: () => Value): Value | undefined => attemptInto(problems, read);
  const volume = new IsoVolume(source);
  if (volume.missingBytes > 0) problems.push(truncationOf(volume));
  const found = attempt(() => readIsoMenu(volume));
  const menuEntries = found?.menu.entries ?? [];
  const { bootCatalog } = volume;
  const catalog =
    bootCatalog === undefined ? [] : attempt(() => parseBootCatalog(source, bootCatalog));
  // With a boot loader of its own, the BIOS starts it.
  const startable = found !== undefined || catalog?.some(({ bootable }) => bootable) === true;
  if (!startable && problems.length === 0) {
    problems.push(`ISO has no kernel to boot: none of ${MENU_PATHS.join(", ")} is in it`);
  }
  const files: IsoFileReport[] = [];
  attempt(() => {
    const named = bootFilesOf(volume, menuEntries);
    for (const { path, entry } of volume.walk()) {
      if (entry.directory) continue;
      const isBootFile = named.has(entry.location);
      const kind = isBootFile
        ? attempt(() => identify(volume.open(entry, path)).description)
        : undefined;
      files.push({ path, size: entry.size, kind });
    }
  });
  return {
    volumeId: volume.volumeId,
    volumeSize: volume.sectors * SECTOR_SIZE,
    rockRidge: volume.rockRidge,
    bootEntries: catalog ?? [],
    menuPath: found?.path,
    menuEntries,
    defaultEntry: found?.menu.defaultIndex ?? 0,
    files,
  };
}

/** Sectors of the files that the menu names. */
function bootFilesOf(volume: IsoVolume, entries: readonly MenuEntry[]): ReadonlySet<number> {
  const paths = entries.flatMap(({ kernel, modules }) =>
    [kernel, ...modules].flatMap((file) => (file === undefined ? [] : [file.path])),
  );
  const found = [...new Set(paths)].map((path) => volume.find(path)?.location);
  return new Set(found.filter((location) => location !== undefined));
}

function inspectElf(source: ByteSource): ElfReport {
  const elf = parseElf(source);
  const notes = readNotes(source, elf).map(({ name, type, description }) => ({
    name,
    type,
    size: description.length,
  }));
  const { machine, type, entry, segments } = elf;
  return { class: elf.class, machine, type, entry, segments, notes };
}

/** Also of images that a boot loader loads: `undefined` for one without anything of Solo5's. */
function inspectSolo5(source: ByteSource): Solo5Report | undefined {
  const elf = parseElf(source);
  const abi = readAbi(source, elf);
  const manifest = readManifest(source, elf);
  return abi === undefined && manifest === undefined ? undefined : { abi, manifest };
}

function attemptInto<Value>(problems: string[], read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    problems.push(error.message);
    return undefined;
  }
}
