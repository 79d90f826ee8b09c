import { MAC_LENGTH, type MacAddress } from "./mac.ts";

export const ETHERNET_HEADER_LENGTH = 14;

/** EtherTypes (IANA, IEEE 802 numbers). */
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;

/** An Ethernet II frame, without preamble and FCS (IEEE 802.3 §3.2.6, type interpretation). */
export interface EthernetFrame {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  /** EtherType, 0 to 0xffff. Below 0x600 it is a length, of protocols nobody uses here. */
  readonly type: number;
  /** May be padded at its end. */
  readonly payload: Uint8Array;
}

/** The fields are views of `bytes`. Undefined when it is too short. */
export function parseEthernet(bytes: Uint8Array): EthernetFrame | undefined {
  if (bytes.length < ETHERNET_HEADER_LENGTH) return undefined;
  return {
    destination: bytes.subarray(0, MAC_LENGTH),
    source: bytes.subarray(MAC_LENGTH, 2 * MAC_LENGTH),
    type: ((bytes[12] as number) << 8) | (bytes[13] as number),
    payload: bytes.subarray(ETHERNET_HEADER_LENGTH),
  };
}

export function serialiseEthernet(frame: EthernetFrame): Uint8Array {
  const bytes = new Uint8Array(ETHERNET_HEADER_LENGTH + frame.payload.length);
  writeEthernetHeader(bytes, frame);
  bytes.set(frame.payload, ETHERNET_HEADER_LENGTH);
  return bytes;
}

/** Fills in the header of a frame whose payload is in `bytes`. */
export function writeEthernetHeader(
  bytes: Uint8Array,
  { destination, source, type }: Omit<EthernetFrame, "payload">,
): void {
  bytes.set(destination, 0);
  bytes.set(source, MAC_LENGTH);
  bytes[12] = type >>> 8;
  bytes[13] = type & 0xff;
}
