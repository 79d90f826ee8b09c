/** What the page and the worker that runs the guest tell each other. */

import type { BootMode } from "../src/boot/boot-plan.ts";
import type { Picture } from "../src/core/picture.ts";

/** What to run, as the page's form says. */
export interface Guest {
  readonly image: Blob;
  /** First files of a Linux kernel, or a Multiboot kernel's module. */
  readonly initrd?: Blob | undefined;
  /** What the guest writes to them is forgotten at the end. */
  readonly disks: readonly Blob[];
  readonly memoryMib: number;
  readonly bootMode: BootMode;
  readonly guestArguments: readonly string[];
}

export type ToWorker =
  | { readonly kind: "start"; readonly guest: Guest }
  /** What was typed. */
  | { readonly kind: "input"; readonly bytes: Uint8Array }
  /** Counts to the right and up, and the buttons that are pressed: see `Ps2Mouse.move`. */
  | { readonly kind: "mouse"; readonly x: number; readonly y: number; readonly buttons: number }
  /** So many bytes of output are on the screen. */
  | { readonly kind: "shown"; readonly count: number }
  /** The last picture is on the screen. */
  | { readonly kind: "painted" }
  /** To be answered by the guest at 10.0.0.2. */
  | { readonly kind: "ping" }
  | { readonly kind: "stop" };

export type ToPage =
  | { readonly kind: "output"; readonly bytes: Uint8Array }
  /** What the guest's display shows; undefined: text, which is output. */
  | { readonly kind: "picture"; readonly picture: Picture | undefined }
  /** A line of the monitor's own. */
  | { readonly kind: "notice"; readonly line: string }
  /** @property statistics lines as `--stats` prints them; none of a guest that did not run */
  | { readonly kind: "ended"; readonly how: string; readonly statistics: readonly string[] };
