import { HostError } from "../core/errors.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { type Gpa, gpa } from "../core/units.ts";
import { loadAddon } from "./addon.ts";

interface PagesAddon {
  /** `native/pages_glue.cc` */
  readonly touchedPages: (bytes: Uint8Array) => Uint8Array;
}

/**
 * Which of the guest's pages anybody has ever looked at or written to. The others are zero, and the
 * host has no memory for them yet: merely reading them would change that.
 * @returns whether the page at an address is one; where the host does not tell, all are
 */
export function touchedPages(memory: GuestMemory): (address: Gpa) => boolean {
  try {
    const touched = loadAddon<PagesAddon>().touchedPages(memory.slice(gpa(0), memory.extent));
    const pageSize = memory.extent / touched.length;
    return (address) => touched[Math.floor(address / pageSize)] !== 0;
  } catch (error) {
    if (error instanceof HostError || isSystemError(error)) return () => true;
    throw error;
  }
}

/** No addon, or no `/proc`. */
const isSystemError = (error: unknown): boolean =>
  error instanceof Error && typeof (error as NodeJS.ErrnoException).errno === "number";
