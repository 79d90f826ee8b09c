import { checksum } from "./checksum.ts";
import { type Ipv4Address, PROTOCOL_UDP } from "./ipv4.ts";

const HEADER_LENGTH = 8;
const PSEUDO_HEADER_LENGTH = 12;

/** A UDP datagram (RFC 768). */
export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** The addresses of the packet around it, which the checksum covers. */
interface Addresses {
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
}

/** Undefined when the length or the checksum is wrong. `payload` is a view of `bytes`. */
export function parseUdp(bytes: Uint8Array, addresses: Addresses): UdpDatagram | undefined {
  if (bytes.length < HEADER_LENGTH) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint16(4);
  if (length < HEADER_LENGTH || length > bytes.length) return undefined;
  const datagram = bytes.subarray(0, length);
  // Zero: the sender made no checksum.
  if (view.getUint16(6) !== 0 && checksum(withPseudoHeader(datagram, addresses)) !== 0) {
    return undefined;
  }
  return {
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    payload: datagram.subarray(HEADER_LENGTH),
  };
}

export function serialiseUdp(datagram: UdpDatagram, addresses: Addresses): Uint8Array {
  const bytes = new Uint8Array(HEADER_LENGTH + datagram.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, datagram.sourcePort);
  view.setUint16(2, datagram.destinationPort);
  view.setUint16(4, bytes.length);
  bytes.set(datagram.payload, HEADER_LENGTH);
  view.setUint16(6, checksum(withPseudoHeader(bytes, addresses)) || 0xffff);
  return bytes;
}

function withPseudoHeader(datagram: Uint8Array, { source, destination }: Addresses): Uint8Array {
  const bytes = new Uint8Array(PSEUDO_HEADER_LENGTH + datagram.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, source);
  view.setUint32(4, destination);
  view.setUint8(9, PROTOCOL_UDP);
  view.setUint16(10, datagram.length);
  bytes.set(datagram, PSEUDO_HEADER_LENGTH);
  return bytes;
}
