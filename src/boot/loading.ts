/** What every direct boot does: find places below 640 KiB, and copy files into guest memory. */

import { GuestError } from "../core/errors.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa, PAGE_SIZE } from "../core/units.ts";
import { type ByteSource, checkRange } from "./byte-source.ts";
import { CONVENTIONAL_END } from "./memory-map.ts";
import type { LoadSegment } from "./multiboot.ts";
import type { Placement } from "./placement.ts";

/** Lowest address for descriptor tables and boot information. */
const INFORMATION_START = 0x8000;

/** @throws GuestError `image` when there is no room */
export function placeLow(
  placement: Placement,
  length: number,
  what: string,
  alignment = 16,
): number {
  const address = placement.findFree(INFORMATION_START, length, alignment);
  if (address + length > CONVENTIONAL_END) {
    throw new GuestError("image", `no room below 640 KiB for the ${what} (${length} bytes)`);
  }
  placement.claim(address, length, what);
  return address;
}

/** @param fresh nobody has written to the memory yet: it is zero, and need not be looked at */
export function writeSegments(
  memory: GuestMemory,
  source: ByteSource,
  segments: readonly LoadSegment[],
  fresh = false,
): void {
  for (const { address, fileOffset, fileSize, memorySize } of segments) {
    if (fileSize > 0) copyFile(memory, address, source, fileOffset, fileSize);
    if (!fresh) clear(memory, address + fileSize, memorySize - fileSize);
  }
}

export function copyFile(
  memory: GuestMemory,
  address: number,
  source: ByteSource,
  offset: number,
  length: number,
): void {
  checkRange(source, offset, length, "file in the image");
  source.readInto(offset, memory.writableSlice(gpa(address), length));
}

/**
 * Makes memory zero without touching pages that are: they have no host pages behind them, and a large
 * bss should not change that.
 */
function clear(memory: GuestMemory, address: number, length: number): void {
  // Even looking at a page takes the host a moment.
  if (memory.fresh) return;
  for (let done = 0; done < length; ) {
    const size = Math.min(PAGE_SIZE - ((address + done) % PAGE_SIZE), length - done);
    const page = memory.slice(gpa(address + done), size);
    if (size < PAGE_SIZE || !isZeroPage(page)) page.fill(0);
    done += size;
  }
}

function isZeroPage(page: Uint8Array): boolean {
  const words = new Int32Array(page.buffer, page.byteOffset, PAGE_SIZE / 4);
  for (const word of words) if (word !== 0) return false;
  return true;
}
