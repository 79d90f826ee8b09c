/** How an image is started: its kernel directly, or its boot loader by the BIOS. */

import { GuestError } from "../core/errors.ts";
import { type BootImage, findBootImage, isLinuxFloppy } from "./bios/boot-media.ts";
import { type LoadedImage, type LoadRequest, loadImage } from "./direct-boot.ts";
import { identify } from "./image.ts";
import { IsoVolume } from "./iso9660.ts";

export const BOOT_MODES = ["auto", "direct", "bios"] as const;
export type BootMode = (typeof BOOT_MODES)[number];

export type BootPlan =
  /** The kernel is in memory. */
  | { readonly kind: "direct"; readonly loaded: LoadedImage }
  | {
      readonly kind: "bios";
      readonly image: BootImage;
      /** Why not directly; undefined where nobody would expect it. */
      readonly reason: string | undefined;
    };

/**
 * `auto`: directly where this is a kernel, or a menu that we understand names one; else, and a kernel
 * with a floppy around it, as a PC would. The memory must be fresh.
 * @throws GuestError `image` with one line: what is in the way
 */
export function planBoot(request: LoadRequest, mode: BootMode): BootPlan {
  const hasArguments = request.commandLine.length > 0;
  if (mode === "bios") {
    const image = findBootImage(request.source);
    if (image === undefined) {
      const { description } = identify(request.source);
      throw new GuestError("image", `image is ${description}: nothing that a BIOS would boot`);
    }
    if (hasArguments) throw new GuestError("image", "a BIOS has no arguments to give to the guest");
    return { kind: "bios", image, reason: undefined };
  }
  const isAlone = !hasArguments && request.initrd === undefined;
  if (mode === "auto" && isAlone && isLinuxFloppy(request.source)) {
    const image = bootImageOrNone(request);
    if (image !== undefined) return { kind: "bios", image, reason: undefined };
  }
  try {
    return { kind: "direct", loaded: loadImage({ ...request, fresh: true }) };
  } catch (error) {
    if (!(error instanceof GuestError) || mode === "direct") throw error;
    const image = bootImageOrNone(request);
    if (image === undefined || hasArguments) throw error;
    return { kind: "bios", image, reason: image.kind === "cd" ? error.message : undefined };
  }
}

/** What is wrong with the boot record is not the error to tell: the kernel's is. */
function bootImageOrNone({ source }: LoadRequest): BootImage | undefined {
  try {
    const image = findBootImage(source);
    // A PC would try; the user rather wants to know.
    const truncated = image?.kind === "cd" && new IsoVolume(source).missingBytes > 0;
    return truncated ? undefined : image;
  } catch (error) {
    if (error instanceof GuestError) return undefined;
    throw error;
  }
}
