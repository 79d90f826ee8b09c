import { ETHERTYPE_IPV4 } from "./ethernet.ts";
import type { Ipv4Address } from "./ipv4.ts";
import { MAC_LENGTH, type MacAddress } from "./mac.ts";

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

const HARDWARE_ETHERNET = 1;
const ADDRESS_LENGTH = 4;
const ARP_LENGTH = 28;

/** An ARP packet for IPv4 over Ethernet (RFC 826, "Packet format"). */
export interface ArpPacket {
  /** {@link ARP_REQUEST}, {@link ARP_REPLY}, or a number that neither of them is. */
  readonly operation: number;
  readonly senderMac: MacAddress;
  readonly senderAddress: Ipv4Address;
  readonly targetMac: MacAddress;
  readonly targetAddress: Ipv4Address;
}

/** Undefined when it is too short or about other protocols. The MACs are views of `bytes`. */
export function parseArp(bytes: Uint8Array): ArpPacket | undefined {
  if (bytes.length < ARP_LENGTH) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(0) !== HARDWARE_ETHERNET || view.getUint16(2) !== ETHERTYPE_IPV4) {
    return undefined;
  }
  if (view.getUint8(4) !== MAC_LENGTH || view.getUint8(5) !== ADDRESS_LENGTH) return undefined;
  return {
    operation: view.getUint16(6),
    senderMac: bytes.subarray(8, 14),
    senderAddress: view.getUint32(14) as Ipv4Address,
    targetMac: bytes.subarray(18, 24),
    targetAddress: view.getUint32(24) as Ipv4Address,
  };
}

export function serialiseArp(packet: ArpPacket): Uint8Array {
  const bytes = new Uint8Array(ARP_LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, HARDWARE_ETHERNET);
  view.setUint16(2, ETHERTYPE_IPV4);
  view.setUint8(4, MAC_LENGTH);
  view.setUint8(5, ADDRESS_LENGTH);
  view.setUint16(6, packet.operation);
  bytes.set(packet.senderMac, 8);
  view.setUint32(14, packet.senderAddress);
  bytes.set(packet.targetMac, 18);
  view.setUint32(24, packet.targetAddress);
  return bytes;
}
