import { GuestError } from "../core/errors.ts";
import { writeIso9660 } from "./iso9660-writer.ts";
import { encodeUtf8 } from "./text.ts";

export interface UnikernelParts {
  /** Multiboot kernel that starts the kernel proper. */
  readonly loader: Uint8Array;
  /** Its module. */
  readonly kernel: Uint8Array;
  /** El Torito boot block: what PC firmware loads and runs. */
  readonly bootBlock: Uint8Array;
  /** Arguments for the guest; none unless given. */
  readonly commandLine?: readonly string[] | undefined;
  /** Also the title in the menu; `SOLO5` unless given. */
  readonly volumeId?: string | undefined;
  /** Of all files; a fixed one unless given. */
  readonly date?: Date | undefined;
}

const DEFAULT_VOLUME_ID = "SOLO5";

export const LOADER_PATH = "/boot/loader";
export const KERNEL_PATH = "/boot/kernel";
export const MENU_PATH = "/boot/grub/menu.lst";
export const BOOT_BLOCK_PATH = "/boot/solo5.boot";

/**
 * Packs a unikernel into a bootable ISO image. The same parts give the same bytes.
 * @throws GuestError `image` when the boot block is empty or too large, or an argument holds a
 *   line break, which a menu cannot say
 */
export function packUnikernelIso(parts: UnikernelParts): Uint8Array {
  const volumeId = parts.volumeId ?? DEFAULT_VOLUME_ID;
  const menu = menuText(volumeId, parts.commandLine ?? []);
  return writeIso9660({
    files: [
      { path: LOADER_PATH, data: parts.loader },
      { path: KERNEL_PATH, data: parts.kernel },
      { path: MENU_PATH, data: encodeUtf8(menu) },
      { path: BOOT_BLOCK_PATH, data: parts.bootBlock },
    ],
    volumeId,
    date: parts.date,
    boot: { path: BOOT_BLOCK_PATH },
  });
}

function menuText(title: string, commandLine: readonly string[]): string {
  if ([title, ...commandLine].some((text) => /[\r\n]/.test(text))) {
    throw new GuestError(
      "image",
      "a title or an argument with a line break does not fit into a menu",
    );
  }
  const kernelLine = ["kernel", LOADER_PATH, ...commandLine].join(" ");
  return `default 0\ntimeout 0\n\ntitle ${title}\n${kernelLine}\nmodule ${KERNEL_PATH}\n`;
}
