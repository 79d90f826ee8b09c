import { GuestError } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { type Gpa, gpa, hex } from "../../core/units.ts";

/**
 * Where a hypercall may leave something for the guest: in RAM, and not on a page that the guest
 * itself may not write, or the monitor would do it for the guest.
 * @throws GuestError `memory`
 */
export function writablePointer(memory: GuestMemory, address: number, length: number): Gpa {
  // Bounds first: what is in RAM is compared without rounding.
  memory.slice(gpa(address), length);
  const denied = memory.protections.find(
    ({ start, end, write }) => !write && address < end && address + length > start,
  );
  if (denied !== undefined) {
    throw new GuestError(
      "memory",
      `guest address ${hex(address)} and the ${length} bytes from it may not be written`,
    );
  }
  return gpa(address);
}

/** The bytes themselves, to be filled. @throws GuestError `memory` */
export const writableBytes = (memory: GuestMemory, address: number, length: number): Uint8Array =>
  memory.writableSlice(writablePointer(memory, address, length), length);
