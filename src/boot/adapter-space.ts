/**
 * C0000h to DFFFFh: where a PC has the ROMs of its adapters (IBM PC AT Technical Reference, "Memory
 * map"). DOS's memory managers look there for room, and take what is neither RAM nor ROM.
 */

import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa, KIB } from "../core/units.ts";
import { checksum } from "./acpi/tables.ts";
import { encodeUtf8 } from "./text.ts";

const START = 0xc_0000;
const END = 0xe_0000;
/** The ROM of a VGA, which programs take for granted. */
const VIDEO_ROM_SIZE = 32 * KIB;
const ROM_UNIT = 512;
const RETF = 0xcb;
/** By it programs know a display adapter after the CGA's time. */
const ADAPTER_NAME = { offset: 0x1e, text: "IBM compatible" };

/**
 * Nobody drives the bus where no adapter is, so all ones are read there. This is memory that cannot be
 * written, as no processor of ours has to leave the guest to read that. To be called before there is
 * a processor.
 */
export function prepareAdapterSpace(memory: GuestMemory): void {
  memory.fill(gpa(START + VIDEO_ROM_SIZE), END - START - VIDEO_ROM_SIZE, 0xff);
  memory.write(gpa(START), videoRomHeader());
  memory.protections = [{ start: START, end: END, read: true, write: false, execute: true }];
}

/** An expansion ROM's header and its initialisation, which does nothing; the rest is zeros. */
function videoRomHeader(): Uint8Array {
  const header = new Uint8Array(64);
  header.set([0x55, 0xaa, VIDEO_ROM_SIZE / ROM_UNIT, RETF]);
  header.set(encodeUtf8(ADAPTER_NAME.text), ADAPTER_NAME.offset);
  // The sum of the ROM's bytes is zero.
  header[header.length - 1] = checksum(header);
  return header;
}
