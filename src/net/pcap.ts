import { SECOND } from "../core/units.ts";

/**
 * Capture files as libpcap, tcpdump and Wireshark read them (pcap-savefile(5); IETF draft
 * "PCAP Capture File Format"), little-endian, with nanosecond timestamps.
 */

const MAGIC_NANOSECONDS = 0xa1b2_3c4d;
const VERSION_MAJOR = 2;
const VERSION_MINOR = 4;
const LINKTYPE_ETHERNET = 1;
/** Longest frame recorded; libpcap's own maximum. */
const SNAP_LENGTH = 262_144;

const FILE_HEADER_LENGTH = 24;
const RECORD_HEADER_LENGTH = 16;

/** What the file starts with. */
export function pcapFileHeader(): Uint8Array {
  const bytes = new Uint8Array(FILE_HEADER_LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC_NANOSECONDS, true);
  view.setUint16(4, VERSION_MAJOR, true);
  view.setUint16(6, VERSION_MINOR, true);
  // Offsets 8 and 12, time zone and accuracy, are always zero.
  view.setUint32(16, SNAP_LENGTH, true);
  view.setUint32(20, LINKTYPE_ETHERNET, true);
  return bytes;
}

/** What a record holds of its frame. */
export const recordedFrame = (record: Uint8Array): Uint8Array =>
  record.subarray(RECORD_HEADER_LENGTH);

/**
 * One frame, to be appended.
 * @param wall civil time in nanoseconds since 1970
 * @param frame Ethernet frame without FCS
 */
export function pcapRecord(wall: number, frame: Uint8Array): Uint8Array {
  const captured = Math.min(frame.length, SNAP_LENGTH);
  const bytes = new Uint8Array(RECORD_HEADER_LENGTH + captured);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(wall / SECOND), true);
  view.setUint32(4, wall % SECOND, true);
  view.setUint32(8, captured, true);
  view.setUint32(12, frame.length, true);
  bytes.set(frame.subarray(0, captured), RECORD_HEADER_LENGTH);
  return bytes;
}
