/**
 * Boots an image without firmware: finds the kernel and its modules, puts them into guest memory
 * as a boot loader does, and says with which registers the guest starts.
 */

import type { Registers } from "../core/cpu.ts";
import { GuestError } from "../core/errors.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import type { GraphicsMode } from "./bios/vbe-modes.ts";
import type { ByteSource } from "./byte-source.ts";
import { identify, refuse } from "./image.ts";
import { defaultEntry, MENU_PATHS, readIsoMenu } from "./iso-menu.ts";
import { IsoVolume, truncationOf } from "./iso9660.ts";
import { loadLinux } from "./linux.ts";
import { loadLinuxElf } from "./linux-elf.ts";
import type { MenuFile } from "./menu.ts";
import { type BootFile, type BootFiles, loadMultiboot } from "./multiboot-load.ts";
import { loadPvh } from "./pvh.ts";
import { printable } from "./text.ts";

export interface LoadRequest {
  readonly source: ByteSource;
  /** Written only inside RAM, and only when everything fits. */
  readonly memory: GuestMemory;
  /** Arguments for the guest, put after those that the image's menu gives. */
  readonly commandLine: readonly string[];
  /** The first files of a Linux kernel; for a Multiboot kernel, one more module. */
  readonly initrd?: ByteSource | undefined;
  /**
   * Nobody has written to the memory yet: it is all zero. Looking whether it is takes the host a
   * page fault a page, which for a large bss is longer than all the rest.
   */
  readonly fresh?: boolean;
}

export interface LoadedImage {
  /** State in which the guest starts. */
  readonly registers: Registers;
  /** One line: what was loaded and where. */
  readonly description: string;
  /** To be called before every start, when the firmware's tables are in memory. */
  readonly complete?: () => void;
  /** The graphics mode that it wants to be started in, if there is a display. */
  readonly graphics?: GraphicsMode | undefined;
}

const MAX_MODULES = 256;

/**
 * @throws GuestError `image` with one line for whatever is wrong with the image; guest memory is
 *   then as it was, unless the source itself fails between two reads
 */
export function loadImage(request: LoadRequest): LoadedImage {
  const { source, memory, commandLine, initrd } = request;
  const { kind } = identify(source);
  const parts = { source, memory, commandLine: commandLine.join(" "), initrd };
  if (kind === "linux") return loadLinux(parts);
  if (kind === "linux-elf") return loadLinuxElf(parts);
  if (kind === "pvh") return loadPvh(parts);
  const { fresh = false } = request;
  const files = findBootFiles(source);
  const last: BootFile[] =
    initrd === undefined ? [] : [{ name: "initrd", source: initrd, arguments: "" }];
  const modules = [...files.modules, ...last];
  return loadMultiboot({ ...files, modules, memory, commandLine, fresh });
}

/** The kernel and its modules, in the order in which they are loaded. */
export function bootFiles(source: ByteSource): readonly ByteSource[] {
  const { kernel, modules } = findBootFiles(source);
  return [kernel.source, ...modules.map((module) => module.source)];
}

function findBootFiles(source: ByteSource): BootFiles {
  const identity = identify(source);
  if (identity.kind === "iso9660") return filesOfIso(new IsoVolume(source));
  if (identity.kind !== "multiboot") throw refuse("image", identity);
  return { kernel: { name: "kernel", source, arguments: "" }, modules: [], version: undefined };
}

function filesOfIso(volume: IsoVolume): BootFiles {
  if (volume.missingBytes > 0) throw new GuestError("image", truncationOf(volume));
  const menu = readIsoMenu(volume);
  if (menu === undefined) {
    throw new GuestError(
      "image",
      `ISO has no kernel to boot: none of ${MENU_PATHS.join(", ")} is in it`,
    );
  }
  const entry = defaultEntry(menu);
  if (entry.modules.length > MAX_MODULES) {
    throw new GuestError("image", `${menu.path} names ${entry.modules.length} modules`);
  }
  const open = ({ path, arguments: words }: MenuFile): BootFile => {
    const file = volume.find(path);
    if (file === undefined || file.directory) {
      const fault = file === undefined ? "is not in the ISO" : "is a directory";
      throw new GuestError("image", `${menu.path} names ${printable(path)}, which ${fault}`);
    }
    return { name: path, source: volume.open(file, path), arguments: words };
  };
  const kernel = open(entry.kernel);
  const identity = identify(kernel.source);
  if (identity.kind !== "multiboot") throw refuse(`${kernel.name} in the ISO`, identity);
  return { kernel, modules: entry.modules.map(open), version: entry.version };
}
