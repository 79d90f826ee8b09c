import { checksum } from "./checksum.ts";
import { type Addresses, PROTOCOL_UDP, pseudoHeaderSum } from "./ipv4.ts";
import { partialChecksum, UDP_CHECKSUM } from "./partial-checksum.ts";

export const UDP_HEADER_LENGTH = 8;

/** A UDP datagram (RFC 768). */
export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/**
 * Undefined when the length or the checksum is wrong. `payload` is a view of `bytes`.
 * @param partial the checksum is not made yet
 */
export function parseUdp(
  bytes: Uint8Array,
  addresses: Addresses,
  partial = false,
): UdpDatagram | undefined {
  if (bytes.length < UDP_HEADER_LENGTH) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint16(4);
  if (length < UDP_HEADER_LENGTH || length > bytes.length) return undefined;
  const datagram = bytes.subarray(0, length);
  // Zero: the sender made no checksum.
  const has = !partial && view.getUint16(UDP_CHECKSUM) !== 0;
  if (has && checksumOf(datagram, addresses) !== 0) return undefined;
  return {
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    payload: datagram.subarray(UDP_HEADER_LENGTH),
  };
}

/** @param partial the checksum is left to who gets it */
export function serialiseUdp(
  datagram: UdpDatagram,
  addresses: Addresses,
  partial = false,
): Uint8Array {
  const bytes = new Uint8Array(UDP_HEADER_LENGTH + datagram.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, datagram.sourcePort);
  view.setUint16(2, datagram.destinationPort);
  view.setUint16(4, bytes.length);
  bytes.set(datagram.payload, UDP_HEADER_LENGTH);
  const sum = partial
    ? partialChecksum(pseudoHeaderSum(addresses, PROTOCOL_UDP, bytes.length))
    : checksumOf(bytes, addresses) || 0xffff;
  view.setUint16(UDP_CHECKSUM, sum);
  return bytes;
}

const checksumOf = (datagram: Uint8Array, addresses: Addresses): number =>
  checksum(datagram, pseudoHeaderSum(addresses, PROTOCOL_UDP, datagram.length));
