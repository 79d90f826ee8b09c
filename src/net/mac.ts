/** An Ethernet address: six bytes. */
export type MacAddress = Uint8Array;

export const MAC_LENGTH = 6;

const PATTERN = /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i;

/** The inverse of {@link formatMac}; hyphens and capitals are understood too. */
export function parseMac(text: string): MacAddress | undefined {
  if (!PATTERN.test(text)) return undefined;
  return Uint8Array.from(text.split(/[:-]/), (byte) => Number.parseInt(byte, 16));
}

/** For example `52:54:00:12:34:56`. */
export const formatMac = (mac: MacAddress): string =>
  Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");

export function sameMac(one: MacAddress, other: MacAddress): boolean {
  for (let i = 0; i < MAC_LENGTH; i++) if (one[i] !== other[i]) return false;
  return true;
}

export const BROADCAST_MAC: MacAddress = new Uint8Array(MAC_LENGTH).fill(0xff);

/** Whether frames to `mac` are meant for a group: bit 0 of the first byte (IEEE 802 §8.2.2). */
export const isGroupMac = (mac: MacAddress): boolean => ((mac[0] ?? 0) & 1) !== 0;

/**
 * The address of the guest's device `index` when nobody chose one. The same on every run, and
 * QEMU's for its first devices, so that static neighbours keep working: 52:54:00:12:34:56 onwards.
 */
export function defaultMac(index: number): MacAddress {
  const low = (0x12_3456 + index) & 0xff_ffff;
  return Uint8Array.of(0x52, 0x54, 0x00, low >>> 16, (low >>> 8) & 0xff, low & 0xff);
}
