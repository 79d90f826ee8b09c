import type { FrameReceiver, NetBackend } from "../core/backends.ts";
import { OFFLOAD } from "../core/offload.ts";
import { ARP_REPLY, ARP_REQUEST, type ArpPacket, parseArp, serialiseArp } from "./arp.ts";
import { answerDhcp, DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from "./dhcp.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, parseEthernet, serialiseEthernet } from "./ethernet.ts";
import {
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  type IcmpEcho,
  parseIcmpEcho,
  serialiseIcmpEcho,
} from "./icmp.ts";
import {
  BROADCAST_ADDRESS,
  type Ipv4Address,
  type Ipv4Packet,
  isFragment,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  parseIpv4,
  sameSubnet,
  serialiseIpv4,
  WHOLE_PACKET,
} from "./ipv4.ts";
import { BROADCAST_MAC, isGroupMac, MAC_LENGTH, type MacAddress, sameMac } from "./mac.ts";
import { parseUdp, serialiseUdp, UDP_HEADER_LENGTH } from "./udp.ts";

/** 10.0.0.1/24. */
export const HOST_ADDRESS = 0x0a00_0001 as Ipv4Address;
export const HOST_PREFIX = 24;
/** What a guest gets that asks for an address: 10.0.0.2, which is what others take anyway. */
export const GUEST_ADDRESS = 0x0a00_0002 as Ipv4Address;
/** Locally administered, with the address in its last four bytes. */
export const HOST_MAC: MacAddress = Uint8Array.of(0x52, 0x55, 0x0a, 0x00, 0x00, 0x01);

const MTU = 1500;
/** Frames kept for a guest without room; more are dropped, as any network interface does. */
const QUEUE_LIMIT = 256;
const NO_BYTES = new Uint8Array(0);

interface WaitingFrame {
  readonly frame: Uint8Array;
  readonly header: Uint8Array | undefined;
}

/** What is on the guest's end of the link. */
export interface Neighbour {
  readonly address: Ipv4Address;
  readonly mac: MacAddress;
}

/** The way from the guest to everything that is not this host itself. */
export interface Beyond {
  /**
   * @param partial the checksum of what is in the packet is not made yet
   * @returns whether the packet meant something there
   */
  accept(from: MacAddress, packet: Ipv4Packet, partial: boolean): boolean;
  /** Nothing waits for the guest any more. */
  clear(): void;
}

export interface UserNetworkOptions {
  /** Whether DHCP tells that this host knows names. */
  readonly resolves?: boolean;
  /** Hears of packets that could have gone on, if there were a way. */
  readonly onLeaving?: (packet: Ipv4Packet) => void;
}

/** Who wants to know what the guest answers. */
export interface UserNetworkListener {
  /** `address` is now known to be at `mac`. */
  neighbour(address: Ipv4Address, mac: MacAddress): void;
  echoReply(packet: Ipv4Packet, echo: IcmpEcho): void;
}

/**
 * The built-in network: one host at 10.0.0.1/24 at the other end of the guest's link, which needs
 * no privilege. It speaks ARP and ICMP echo, both ways, and gives the guest an address by DHCP. What is
 * beyond it is somebody else's ({@link Beyond}).
 */
export class UserNetwork implements NetBackend {
  readonly mtu = MTU;
  /** There is no wire between the two ends on which anything could break, and only IPv4. */
  readonly offloads = OFFLOAD.CSUM | OFFLOAD.TSO4;
  /** Frames from the guest that meant nothing to this host, and frames for the guest lost. */
  readonly dropped = { fromGuest: 0, toGuest: 0 };
  readonly #neighbours = new Map<Ipv4Address, MacAddress>();
  readonly #listeners = new Set<UserNetworkListener>();
  #receive: FrameReceiver | undefined;
  #guestOffloads = 0;
  #queue: WaitingFrame[] = [];
  #identification = 0;
  readonly #options: UserNetworkOptions;
  #beyond: Beyond | undefined;

  constructor(options: UserNetworkOptions = {}) {
    this.#options = options;
  }

  // --- towards the guest's device ---

  connect(receive: FrameReceiver): void {
    this.#receive = receive;
  }

  setGuestOffloads(offloads: number): void {
    this.#guestOffloads = offloads;
  }

  resume(): void {
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      if (this.#receive?.(first.frame, first.header) !== true) return;
      this.#queue.shift();
    }
    this.#beyond?.clear();
  }

  close(): void {
    this.#receive = undefined;
    this.#queue = [];
    this.#listeners.clear();
    this.#beyond = undefined;
  }

  transmit(frame: Uint8Array, header?: Uint8Array): void {
    if (!this.#accept(frame, header !== undefined)) this.dropped.fromGuest++;
  }

  // --- towards the host's side ---

  /** Frames that wait until the guest has room. */
  get pending(): number {
    return this.#queue.length;
  }

  /** What may be left to the guest on frames for it, of {@link OFFLOAD}. */
  get guestOffloads(): number {
    return this.#guestOffloads;
  }

  /** Returns what ends the listening. */
  listen(listener: UserNetworkListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  lead(beyond: Beyond): void {
    this.#beyond = beyond;
  }

  /** The guest, as soon as it has been heard of: at the address that it was offered, or at its own. */
  get guest(): Neighbour | undefined {
    const offered = this.#neighbours.get(GUEST_ADDRESS);
    if (offered !== undefined) return { address: GUEST_ADDRESS, mac: offered };
    for (const [address, mac] of this.#neighbours) return { address, mac };
    return undefined;
  }

  /** Broadcasts an ARP request; the answer reaches the listeners. */
  requestNeighbour(address: Ipv4Address): void {
    this.#sendArp(BROADCAST_MAC, {
      operation: ARP_REQUEST,
      senderMac: HOST_MAC,
      senderAddress: HOST_ADDRESS,
      targetMac: new Uint8Array(MAC_LENGTH),
      targetAddress: address,
    });
  }

  sendEcho(mac: MacAddress, address: Ipv4Address, echo: IcmpEcho): void {
    this.#sendIpv4(mac, address, PROTOCOL_ICMP, serialiseIcmpEcho(echo));
  }

  // --- inside ---

  /**
   * A segment that should be cut up is taken as it is.
   * @param partial its checksum is not made yet
   * @returns whether the frame meant something
   */
  #accept(bytes: Uint8Array, partial: boolean): boolean {
    const frame = parseEthernet(bytes);
    const tooLong = !partial && frame !== undefined && frame.payload.length > this.mtu;
    if (frame === undefined || tooLong || isGroupMac(frame.source)) return false;
    if (!sameMac(frame.destination, HOST_MAC) && !sameMac(frame.destination, BROADCAST_MAC)) {
      return false;
    }
    if (frame.type === ETHERTYPE_ARP) return this.#acceptArp(parseArp(frame.payload));
    if (frame.type !== ETHERTYPE_IPV4) return false;
    return this.#acceptIpv4(frame.source, parseIpv4(frame.payload), partial);
  }

  /** RFC 826, "Packet Reception": learn first, then answer. */
  #acceptArp(packet: ArpPacket | undefined): boolean {
    if (packet === undefined || isGroupMac(packet.senderMac)) return false;
    const forUs = packet.targetAddress === HOST_ADDRESS;
    const learnt = this.#learn(packet.senderAddress, packet.senderMac, forUs);
    if (packet.operation !== ARP_REQUEST || !forUs) return learnt;
    this.#sendArp(packet.senderMac, {
      operation: ARP_REPLY,
      senderMac: HOST_MAC,
      senderAddress: HOST_ADDRESS,
      targetMac: packet.senderMac,
      targetAddress: packet.senderAddress,
    });
    return true;
  }

  /** Only what talks to us is added, and only from our subnet: the table cannot grow for ever. */
  #learn(address: Ipv4Address, mac: MacAddress, add: boolean): boolean {
    if (address === HOST_ADDRESS || !sameSubnet(address, HOST_ADDRESS, HOST_PREFIX)) return false;
    if (!add && !this.#neighbours.has(address)) return false;
    const copy = mac.slice();
    this.#neighbours.set(address, copy);
    for (const listener of this.#listeners) listener.neighbour(address, copy);
    return true;
  }

  #acceptIpv4(from: MacAddress, packet: Ipv4Packet | undefined, partial: boolean): boolean {
    if (packet === undefined || isFragment(packet)) return false;
    const { destination, payload } = packet;
    const here = destination === HOST_ADDRESS || destination === BROADCAST_ADDRESS;
    if (packet.protocol === PROTOCOL_UDP && here && portOf(payload) === DHCP_SERVER_PORT) {
      return this.#acceptDhcp(packet, partial);
    }
    if (packet.protocol !== PROTOCOL_ICMP) return this.#acceptBeyond(from, packet, partial);
    if (destination !== HOST_ADDRESS) return false;
    const echo = parseIcmpEcho(payload);
    if (echo === undefined) return false;
    if (echo.type === ICMP_ECHO_REQUEST) {
      this.sendEcho(from, packet.source, { ...echo, type: ICMP_ECHO_REPLY });
    } else {
      for (const listener of this.#listeners) listener.echoReply(packet, echo);
    }
    return true;
  }

  #acceptBeyond(from: MacAddress, packet: Ipv4Packet, partial: boolean): boolean {
    if (this.#beyond?.accept(from, packet, partial)) return true;
    if (isBeginning(packet) && isReachable(packet.destination)) this.#options.onLeaving?.(packet);
    return false;
  }

  /** It comes from guests without an address, to everybody. */
  #acceptDhcp(packet: Ipv4Packet, partial: boolean): boolean {
    const datagram = parseUdp(packet.payload, packet, partial);
    if (datagram === undefined) return false;
    const reply = answerDhcp(datagram.payload, {
      server: HOST_ADDRESS,
      prefix: HOST_PREFIX,
      client: GUEST_ADDRESS,
      ...(this.#options.resolves && { resolver: HOST_ADDRESS }),
    });
    if (reply === undefined) return false;
    const { mac = BROADCAST_MAC, address = BROADCAST_ADDRESS, message } = reply;
    const ports = { sourcePort: DHCP_SERVER_PORT, destinationPort: DHCP_CLIENT_PORT };
    const addresses = { source: HOST_ADDRESS, destination: address };
    const answer = serialiseUdp({ ...ports, payload: message }, addresses);
    this.#sendIpv4(mac, address, PROTOCOL_UDP, answer);
    return true;
  }

  #sendIpv4(
    mac: MacAddress,
    destination: Ipv4Address,
    protocol: number,
    payload: Uint8Array,
  ): void {
    this.#identification = (this.#identification + 1) & 0xffff;
    const packet = serialiseIpv4({
      ...WHOLE_PACKET,
      identification: this.#identification,
      protocol,
      source: HOST_ADDRESS,
      destination,
      options: NO_BYTES,
      payload,
    });
    this.#send(mac, ETHERTYPE_IPV4, packet);
  }

  #sendArp(to: MacAddress, packet: ArpPacket): void {
    this.#send(to, ETHERTYPE_ARP, serialiseArp(packet));
  }

  #send(destination: MacAddress, type: number, payload: Uint8Array): void {
    this.sendFrame(serialiseEthernet({ destination, source: HOST_MAC, type, payload }));
  }

  /** @param frame valid during the call, as what is left to do on it is ({@link guestOffloads}) */
  sendFrame(frame: Uint8Array, header?: Uint8Array): void {
    // Behind frames that wait, this one waits too: order is kept.
    if (this.#queue.length === 0 && this.#receive?.(frame, header) === true) return;
    if (this.#queue.length < QUEUE_LIMIT) {
      this.#queue.push({ frame: frame.slice(), header: header?.slice() });
    } else this.dropped.toGuest++;
  }
}

/** Whether a packet is a message, or opens a connection (RFC 9293 §3.1: SYN without ACK and RST). */
const isBeginning = ({ protocol, payload }: Ipv4Packet): boolean =>
  (protocol === PROTOCOL_UDP && payload.length >= UDP_HEADER_LENGTH) ||
  (protocol === PROTOCOL_TCP && ((payload[13] ?? 0) & 0x16) === 2);

/** Not this network, no network at all, loopback, groups, nor what is reserved (RFC 6890 §2.2.2). */
export function isReachable(address: Ipv4Address): boolean {
  if (address === HOST_ADDRESS) return true;
  const first = address >>> 24;
  return (
    first !== 0 && first !== 127 && first < 224 && !sameSubnet(address, HOST_ADDRESS, HOST_PREFIX)
  );
}

/** The destination port of a UDP datagram or TCP segment. */
const portOf = (bytes: Uint8Array): number => ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
