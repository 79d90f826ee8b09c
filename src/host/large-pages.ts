import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa, MIB } from "../core/units.ts";
import { optionalAddon } from "./addon.ts";

interface PagesAddon {
  /** `native/pages_glue.cc` */
  readonly adviseLargePages: (bytes: Uint8Array) => boolean;
}

/** Most of what a small guest touches is that near to either end of RAM: there the host's pages stay small. */
const ENDS = 16 * MIB;

/**
 * Lets the host give a guest that uses much memory large pages of it: fewer first touches, each of which
 * is a fault, and fewer entries of the host's TLB. Where there are none everything stays as it is.
 */
export function useLargePages(memory: GuestMemory): void {
  const length = memory.size - 2 * ENDS;
  if (length <= 0) return;
  optionalAddon<PagesAddon>()?.adviseLargePages(memory.slice(gpa(ENDS), length));
}
