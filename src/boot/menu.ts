/** A boot menu, whichever GRUB it was written for. */

/** A file to load. */
export interface MenuFile {
  /** From the root of the image, without a device in front. */
  readonly path: string;
  /** The rest of the line, blanks at both ends taken off. */
  readonly arguments: string;
}

export interface MenuEntry {
  readonly title: string;
  readonly kernel: MenuFile | undefined;
  readonly modules: readonly MenuFile[];
  /** Of the Multiboot protocol; undefined without a kernel. */
  readonly version: 1 | 2 | undefined;
  /** A command of this entry that is not Multiboot: `linux`, `chainloader`. */
  readonly unsupported: string | undefined;
}

export interface Menu {
  readonly entries: readonly MenuEntry[];
  /** Index of the entry that boots unattended; inside `entries` unless that is empty. */
  readonly defaultIndex: number;
}

/** Takes a device off: `(cd)/boot/loader` is `/boot/loader`. */
export function withoutDevice(path: string): string {
  const end = path.startsWith("(") ? path.indexOf(")") + 1 : 0;
  const rest = path.slice(end);
  return rest.startsWith("/") ? rest : `/${rest}`;
}
