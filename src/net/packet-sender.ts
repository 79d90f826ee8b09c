import { ETHERNET_HEADER_LENGTH, ETHERTYPE_IPV4, writeEthernetHeader } from "./ethernet.ts";
import {
  IPV4_MIN_HEADER_LENGTH,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  WHOLE_PACKET,
  writeIpv4Header,
} from "./ipv4.ts";
import type { Route } from "./route.ts";
import type { SendQueue } from "./send-queue.ts";
import { type TcpHeader, tcpHeaderLength, writeTcpHeader } from "./tcp.ts";
import { serialiseUdp, UDP_HEADER_LENGTH } from "./udp.ts";
import { HOST_MAC } from "./user-network.ts";

const HEADERS_LENGTH = ETHERNET_HEADER_LENGTH + IPV4_MIN_HEADER_LENGTH;

/** The link to the guest. */
export interface GuestLink {
  readonly mtu: number;
  /** Frames that wait until the guest has room. */
  readonly pending: number;
  /** @param frame valid during the call */
  sendFrame(frame: Uint8Array): void;
}

/** Makes frames for the guest, each in the same place: nothing is allocated, and data copied once. */
export class PacketSender {
  readonly link: GuestLink;
  readonly #buffer: Uint8Array;
  /** The start of the buffer and its packet, as long as the last one: most are alike. */
  #frame: Uint8Array;
  #packet: Uint8Array;
  #identification = 0;

  constructor(link: GuestLink) {
    this.link = link;
    this.#buffer = new Uint8Array(ETHERNET_HEADER_LENGTH + link.mtu);
    this.#frame = this.#buffer;
    this.#packet = this.#buffer.subarray(ETHERNET_HEADER_LENGTH);
  }

  /** A segment with `length` bytes of `queue` from `at` on. */
  sendTcp(
    route: Route,
    header: Omit<TcpHeader, "sourcePort" | "destinationPort">,
    queue?: SendQueue,
    at = 0,
    length = 0,
  ): void {
    const headerLength = tcpHeaderLength(header);
    this.#size(headerLength + length);
    const segment = this.#frame.subarray(HEADERS_LENGTH);
    if (length > 0) queue?.copy(at, segment.subarray(headerLength));
    const ports = { sourcePort: route.remotePort, destinationPort: route.guestPort };
    const addresses = { source: route.remote, destination: route.guest };
    writeTcpHeader(segment, { ...header, ...ports }, addresses);
    this.#send(route, PROTOCOL_TCP);
  }

  /** @returns false for a message that is too long for the link */
  sendUdp(route: Route, payload: Uint8Array): boolean {
    const length = UDP_HEADER_LENGTH + payload.length;
    if (length > this.link.mtu - IPV4_MIN_HEADER_LENGTH) return false;
    this.#size(length);
    const ports = { sourcePort: route.remotePort, destinationPort: route.guestPort };
    const addresses = { source: route.remote, destination: route.guest };
    this.#frame.set(serialiseUdp({ ...ports, payload }, addresses), HEADERS_LENGTH);
    this.#send(route, PROTOCOL_UDP);
    return true;
  }

  /** @param length of what is in the packet */
  #size(length: number): void {
    const size = HEADERS_LENGTH + length;
    if (this.#frame.length === size) return;
    this.#frame = this.#buffer.subarray(0, size);
    this.#packet = this.#buffer.subarray(ETHERNET_HEADER_LENGTH, size);
  }

  #send({ guestMac, guest, remote }: Route, protocol: number): void {
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
    this.link.sendFrame(this.#frame);
  }
}
