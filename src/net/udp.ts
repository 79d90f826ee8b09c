import { checksum } from "./checksum.ts";
import { type Addresses, PROTOCOL_UDP, pseudoHeaderSum } from "./ipv4.ts";

export const UDP_HEADER_LENGTH = 8;

/** A UDP datagram (RFC 768). */
export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** Undefined when the length or the checksum is wrong. `payload` is a view of `bytes`. */
export function parseUdp(bytes: Uint8Array, addresses: Addresses): UdpDatagram | undefined {
  if (bytes.length < UDP_HEADER_LENGTH) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint16(4);
  if (length < UDP_HEADER_LENGTH || length > bytes.length) return undefined;
  const datagram = bytes.subarray(0, length);
  // Zero: the sender made no checksum.
  if (view.getUint16(6) !== 0 && checksumOf(datagram, addresses) !== 0) return undefined;
  return {
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    payload: datagram.subarray(UDP_HEADER_LENGTH),
  };
}

export function serialiseUdp(datagram: UdpDatagram, addresses: Addresses): Uint8Array {
  const bytes = new Uint8Array(UDP_HEADER_LENGTH + datagram.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, datagram.sourcePort);
  view.setUint16(2, datagram.destinationPort);
  view.setUint16(4, bytes.length);
  bytes.set(datagram.payload, UDP_HEADER_LENGTH);
  view.setUint16(6, checksumOf(bytes, addresses) || 0xffff);
  return bytes;
}

const checksumOf = (datagram: Uint8Array, addresses: Addresses): number =>
  checksum(datagram, pseudoHeaderSum(addresses, PROTOCOL_UDP, datagram.length));
