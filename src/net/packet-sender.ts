import {
  OFFLOAD,
  OFFLOAD_HEADER_LENGTH,
  setPartialChecksum,
  setSegmentation4,
} from "../core/offload.ts";
import { ETHERNET_HEADER_LENGTH, ETHERTYPE_IPV4, writeEthernetHeader } from "./ethernet.ts";
import {
  IPV4_MIN_HEADER_LENGTH,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  WHOLE_PACKET,
  writeIpv4Header,
} from "./ipv4.ts";
import { UDP_CHECKSUM } from "./partial-checksum.ts";
import type { Route } from "./route.ts";
import type { SendQueue } from "./send-queue.ts";
import { TCP_CHECKSUM, type TcpHeader, tcpHeaderLength, writeTcpHeader } from "./tcp.ts";
import { serialiseUdp, UDP_HEADER_LENGTH } from "./udp.ts";
import { HOST_MAC } from "./user-network.ts";

const HEADERS_LENGTH = ETHERNET_HEADER_LENGTH + IPV4_MIN_HEADER_LENGTH;
/** The length of an IPv4 packet has 16 bits. */
const MAX_PACKET = 0xffff;

/** The link to the guest. */
export interface GuestLink {
  readonly mtu: number;
  /** Frames that wait until the guest has room. */
  readonly pending: number;
  /** What may be left to the guest, of {@link OFFLOAD}. */
  readonly guestOffloads: number;
  /** @param frame valid during the call @param header as of `NetBackend.transmit` */
  sendFrame(frame: Uint8Array, header?: Uint8Array): void;
}

/** A part of what is to be sent. */
export interface SegmentData {
  readonly queue: SendQueue;
  readonly at: number;
  readonly length: number;
  /** What the guest takes at a time: if it is less, the guest cuts the segment up. */
  readonly mss: number;
}

/** Makes frames for the guest, each in the same place: nothing is allocated, and data copied once. */
export class PacketSender {
  readonly link: GuestLink;
  readonly #buffer: Uint8Array;
  /** The start of the buffer and its packet, as long as the last one: most are alike. */
  #frame: Uint8Array;
  #packet: Uint8Array;
  /** What is left to do on the frame. */
  readonly #header = new Uint8Array(OFFLOAD_HEADER_LENGTH);
  #identification = 0;

  constructor(link: GuestLink) {
    this.link = link;
    this.#buffer = new Uint8Array(ETHERNET_HEADER_LENGTH + MAX_PACKET);
    this.#frame = this.#buffer;
    this.#packet = this.#buffer.subarray(ETHERNET_HEADER_LENGTH);
  }

  /** Bytes of data in a segment that the guest would cut up; 0 if it would not. */
  get maxSegmentData(): number {
    const cuts = (this.link.guestOffloads & OFFLOAD.TSO4) !== 0;
    return cuts ? MAX_PACKET - IPV4_MIN_HEADER_LENGTH - tcpHeaderLength({ flags: 0 }) : 0;
  }

  sendTcp(
    route: Route,
    header: Omit<TcpHeader, "sourcePort" | "destinationPort">,
    data?: SegmentData,
  ): void {
    const headerLength = tcpHeaderLength(header);
    const { length = 0, mss = 0 } = data ?? {};
    this.#size(headerLength + length);
    const segment = this.#frame.subarray(HEADERS_LENGTH);
    if (length > 0) data?.queue.copy(data.at, segment.subarray(headerLength));
    const ports = { sourcePort: route.remotePort, destinationPort: route.guestPort };
    const addresses = { source: route.remote, destination: route.guest };
    const partial = this.#leaves(TCP_CHECKSUM);
    writeTcpHeader(segment, { ...header, ...ports }, addresses, partial);
    if (length > mss) setSegmentation4(this.#header, HEADERS_LENGTH + headerLength, mss);
    this.#send(route, PROTOCOL_TCP, partial);
  }

  /** @returns false for a message that is too long for the link */
  sendUdp(route: Route, payload: Uint8Array): boolean {
    const length = UDP_HEADER_LENGTH + payload.length;
    if (length > this.link.mtu - IPV4_MIN_HEADER_LENGTH) return false;
    this.#size(length);
    const ports = { sourcePort: route.remotePort, destinationPort: route.guestPort };
    const addresses = { source: route.remote, destination: route.guest };
    const partial = this.#leaves(UDP_CHECKSUM);
    this.#frame.set(serialiseUdp({ ...ports, payload }, addresses, partial), HEADERS_LENGTH);
    this.#send(route, PROTOCOL_UDP, partial);
    return true;
  }

  /** Whether the checksum at `field` of what is in the packet is left to the guest: the header says so then. */
  #leaves(field: number): boolean {
    if ((this.link.guestOffloads & OFFLOAD.CSUM) === 0) return false;
    const start = HEADERS_LENGTH;
    setPartialChecksum(this.#header, { start, field: start + field });
    return true;
  }

  /** @param length of what is in the packet */
  #size(length: number): void {
    const size = HEADERS_LENGTH + length;
    if (this.#frame.length === size) return;
    this.#frame = this.#buffer.subarray(0, size);
    this.#packet = this.#buffer.subarray(ETHERNET_HEADER_LENGTH, size);
  }

  #send({ guestMac, guest, remote }: Route, protocol: number, partial: boolean): void {
    this.#identification = (this.#identification + 1) & 0xffff;
    writeIpv4Header(this.#packet, {
      ...WHOLE_PACKET,
      identification: this.#identification,
      protocol,
      source: remote,
      destination: guest,
    });
    writeEthernetHeader(this.#frame, {
      destination: guestMac,
      source: HOST_MAC,
      type: ETHERTYPE_IPV4,
    });
    this.link.sendFrame(this.#frame, partial ? this.#header : undefined);
  }
}
