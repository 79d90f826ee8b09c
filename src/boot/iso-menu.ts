/** The boot menu of an ISO image: where it is, and what it boots unattended. */

import { GuestError } from "../core/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { parseGrubCfg } from "./grub-cfg.ts";
import type { IsoVolume } from "./iso9660.ts";
import type { Menu, MenuEntry, MenuFile } from "./menu.ts";
import { parseMenuLst } from "./menu-lst.ts";
import { decodeUtf8, printable } from "./text.ts";

/** Where boot loaders look, GRUB legacy's file first: ours is the simpler to read. */
export const MENU_PATHS = [
  "/boot/grub/menu.lst",
  "/boot/grub/grub.cfg",
  "/boot/grub/grub.conf",
  "/boot/grub2/grub.cfg",
] as const;

const MAX_MENU_SIZE = 65_536;

export interface IsoMenu {
  readonly path: string;
  readonly menu: Menu;
}

/**
 * The first of {@link MENU_PATHS} on the volume.
 * @returns `undefined` when none is there
 * @throws GuestError `image` when it cannot be read
 */
export function readIsoMenu(volume: IsoVolume): IsoMenu | undefined {
  for (const path of MENU_PATHS) {
    const entry = volume.find(path);
    if (entry === undefined || entry.directory) continue;
    const text = readText(volume.open(entry, path), path);
    const menu = path.endsWith(".cfg") ? parseGrubCfg(text) : parseMenuLst(text);
    return { path, menu };
  }
  return undefined;
}

function readText(source: ByteSource, path: string): string {
  if (source.size > MAX_MENU_SIZE) {
    throw new GuestError("image", `menu ${path} is too large: ${source.size} bytes`);
  }
  return decodeUtf8(source.read(0, source.size));
}

/**
 * The entry that boots unattended.
 * @param path of the menu, for messages
 * @throws GuestError `image` when it is not a Multiboot kernel's
 */
export function defaultEntry({ path, menu }: IsoMenu): MenuEntry & { readonly kernel: MenuFile } {
  const entry = menu.entries[menu.defaultIndex];
  if (entry === undefined) throw new GuestError("image", `menu ${path} has no entries`);
  const where = `entry "${printable(entry.title)}" of ${path}`;
  if (entry.unsupported !== undefined) {
    throw new GuestError(
      "image",
      `${where} uses ${entry.unsupported}: only Multiboot kernels are supported`,
    );
  }
  if (entry.kernel === undefined) throw new GuestError("image", `${where} names no kernel`);
  return { ...entry, kernel: entry.kernel };
}
