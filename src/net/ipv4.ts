import { checksum } from "./checksum.ts";

declare const brand: unique symbol;
/** An IPv4 address as an unsigned 32-bit number: 10.0.0.1 is 0x0a000001. */
export type Ipv4Address = number & { readonly [brand]: "Ipv4Address" };

export const formatIpv4 = (address: Ipv4Address): string =>
  [address >>> 24, (address >>> 16) & 0xff, (address >>> 8) & 0xff, address & 0xff].join(".");

/** @param prefix bits, 0 to 32 */
export const netmask = (prefix: number): number =>
  prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0;

/** Whether the first `prefix` bits of both addresses are the same. */
export const sameSubnet = (one: Ipv4Address, other: Ipv4Address, prefix: number): boolean =>
  ((one ^ other) & netmask(prefix)) === 0;

/** Protocol number (IANA, "Protocol Numbers"). */
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

/** Everybody on the link (RFC 919 §7). */
export const BROADCAST_ADDRESS = 0xffff_ffff as Ipv4Address;

export const IPV4_MIN_HEADER_LENGTH = 20;
const VERSION = 4;
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET_MASK = 0x1fff;

/** An IPv4 packet (RFC 791 §3.1). */
export interface Ipv4Packet {
  /** The former type-of-service byte. */
  readonly service: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** In units of 8 bytes, 0 to 8191. */
  readonly fragmentOffset: number;
  readonly ttl: number;
  readonly protocol: number;
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
  /** A multiple of 4 bytes, at most 40. */
  readonly options: Uint8Array;
  readonly payload: Uint8Array;
}

/** Whether the packet is only a part of a datagram. */
export const isFragment = (packet: Ipv4Packet): boolean =>
  packet.moreFragments || packet.fragmentOffset !== 0;

/**
 * Undefined when lengths or the header checksum are wrong. What follows the packet in `bytes`
 * (Ethernet's padding) is left out; the fields are views of it.
 */
export function parseIpv4(bytes: Uint8Array): Ipv4Packet | undefined {
  if (bytes.length < IPV4_MIN_HEADER_LENGTH) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = (view.getUint8(0) & 0xf) * 4;
  const totalLength = view.getUint16(2);
  if (view.getUint8(0) >>> 4 !== VERSION || headerLength < IPV4_MIN_HEADER_LENGTH) return undefined;
  if (totalLength < headerLength || totalLength > bytes.length) return undefined;
  if (checksum(bytes.subarray(0, headerLength)) !== 0) return undefined;
  const fragment = view.getUint16(6);
  return {
    service: view.getUint8(1),
    identification: view.getUint16(4),
    dontFragment: (fragment & DONT_FRAGMENT) !== 0,
    moreFragments: (fragment & MORE_FRAGMENTS) !== 0,
    fragmentOffset: fragment & FRAGMENT_OFFSET_MASK,
    ttl: view.getUint8(8),
    protocol: view.getUint8(9),
    source: view.getUint32(12) as Ipv4Address,
    destination: view.getUint32(16) as Ipv4Address,
    options: bytes.subarray(IPV4_MIN_HEADER_LENGTH, headerLength),
    payload: bytes.subarray(headerLength, totalLength),
  };
}

/** Headers of what this host sends: all of it fits the link. Time to live as RFC 1700 recommends. */
export const WHOLE_PACKET = {
  service: 0,
  dontFragment: true,
  moreFragments: false,
  fragmentOffset: 0,
  ttl: 64,
} as const;

export function serialiseIpv4(packet: Ipv4Packet): Uint8Array {
  const headerLength = IPV4_MIN_HEADER_LENGTH + packet.options.length;
  const bytes = new Uint8Array(headerLength + packet.payload.length);
  bytes.set(packet.options, IPV4_MIN_HEADER_LENGTH);
  bytes.set(packet.payload, headerLength);
  writeIpv4Header(bytes, packet, headerLength);
  return bytes;
}

/** Fills in the header of a packet whose options and payload are in `bytes`. */
export function writeIpv4Header(
  bytes: Uint8Array,
  packet: Omit<Ipv4Packet, "options" | "payload">,
  headerLength = IPV4_MIN_HEADER_LENGTH,
): void {
  const { identification, source, destination } = packet;
  const fragment =
    (packet.dontFragment ? DONT_FRAGMENT : 0) |
    (packet.moreFragments ? MORE_FRAGMENTS : 0) |
    packet.fragmentOffset;
  bytes[0] = (VERSION << 4) | (headerLength / 4);
  bytes[1] = packet.service;
  setWord(bytes, 2, bytes.length);
  setWord(bytes, 4, identification);
  setWord(bytes, 6, fragment);
  bytes[8] = packet.ttl;
  bytes[9] = packet.protocol;
  setWord(bytes, 10, 0);
  setLong(bytes, 12, source);
  setLong(bytes, 16, destination);
  setWord(bytes, 10, checksum(bytes.subarray(0, headerLength)));
}

/** Both addresses of a packet, which the checksums of what is in it cover. */
export interface Addresses {
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
}

/** The sum of the words of the pseudo header of UDP and TCP (RFC 768, RFC 9293 §3.1). */
export const pseudoHeaderSum = (
  { source, destination }: Addresses,
  protocol: number,
  length: number,
): number =>
  (source >>> 16) +
  (source & 0xffff) +
  (destination >>> 16) +
  (destination & 0xffff) +
  protocol +
  length;

/** 16 bits in network order. */
export function setWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** 32 bits in network order. */
export function setLong(bytes: Uint8Array, at: number, value: number): void {
  setWord(bytes, at, value >>> 16);
  setWord(bytes, at + 2, value);
}
