import type { NetBackend } from "../../src/core/backends.ts";
import { ARP_REPLY, ARP_REQUEST, parseArp, serialiseArp } from "../../src/net/arp.ts";
import {
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  parseEthernet,
  serialiseEthernet,
} from "../../src/net/ethernet.ts";
import {
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  type IcmpEcho,
  parseIcmpEcho,
  serialiseIcmpEcho,
} from "../../src/net/icmp.ts";
import {
  type Ipv4Address,
  type Ipv4Packet,
  PROTOCOL_ICMP,
  parseIpv4,
  serialiseIpv4,
} from "../../src/net/ipv4.ts";
import { BROADCAST_MAC, defaultMac, type MacAddress } from "../../src/net/mac.ts";
import { completeChecksum } from "../../src/net/partial-checksum.ts";

export const GUEST = 0x0a00_0002 as Ipv4Address;
export const HOST = 0x0a00_0001 as Ipv4Address;
export const GUEST_MAC = defaultMac(0);
export const HOST_MAC = Uint8Array.of(0x52, 0x55, 0x0a, 0, 0, 1);

/** A guest at 10.0.0.2 on a link, which keeps what it received and answers when told to. */
export class SimulatedGuest {
  readonly received: Uint8Array[] = [];
  /** What was left to do on each of them: missing checksums were made. */
  readonly headers: (Uint8Array | undefined)[] = [];
  /** How many more frames it takes. */
  room = Number.POSITIVE_INFINITY;
  /** What it does with a frame that it took. */
  onFrame: (frame: Uint8Array) => void = () => {};
  readonly #link: NetBackend;

  constructor(link: NetBackend) {
    this.#link = link;
    link.connect((bytes, header) => {
      if (this.room === 0) return false;
      this.room--;
      const frame = bytes.slice();
      if (header !== undefined) completeChecksum(frame, header);
      this.received.push(frame);
      this.headers.push(header?.slice());
      this.onFrame(frame);
      return true;
    });
  }

  /** Is ready to do what is left undone on frames, of `OFFLOAD`. */
  takes(offloads: number): void {
    this.#link.setGuestOffloads?.(offloads);
  }

  /** The payloads of received frames of one EtherType. */
  payloads(type: number): Uint8Array[] {
    return this.received
      .map((frame) => parseEthernet(frame))
      .filter((frame) => frame !== undefined)
      .filter((frame) => frame.type === type)
      .map((frame) => frame.payload);
  }

  /** @param header what is left to do on the frame */
  send(
    type: number,
    payload: Uint8Array,
    destination: MacAddress = HOST_MAC,
    header?: Uint8Array,
  ): void {
    const frame = serialiseEthernet({ destination, source: GUEST_MAC, type, payload });
    this.#link.transmit(frame, header);
  }

  sendArp(operation: number, target: Ipv4Address, destination: MacAddress = BROADCAST_MAC): void {
    const packet = serialiseArp({
      operation,
      senderMac: GUEST_MAC,
      senderAddress: GUEST,
      targetMac: destination,
      targetAddress: target,
    });
    this.send(ETHERTYPE_ARP, packet, destination);
  }

  sendPacket(
    changes: Partial<Ipv4Packet>,
    destination: MacAddress = HOST_MAC,
    header?: Uint8Array,
  ): void {
    const packet = serialiseIpv4({
      service: 0,
      identification: 1,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 64,
      protocol: PROTOCOL_ICMP,
      source: GUEST,
      destination: HOST,
      options: new Uint8Array(0),
      payload: new Uint8Array(0),
      ...changes,
    });
    this.send(ETHERTYPE_IPV4, packet, destination, header);
  }

  sendEcho(echo: IcmpEcho): void {
    this.sendPacket({ payload: serialiseIcmpEcho(echo) });
  }

  /** Answers ARP requests for its address. */
  answerArp(frame: Uint8Array): void {
    const ethernet = parseEthernet(frame);
    const arp = ethernet?.type === ETHERTYPE_ARP ? parseArp(ethernet.payload) : undefined;
    if (arp?.operation === ARP_REQUEST && arp.targetAddress === GUEST) {
      this.sendArp(ARP_REPLY, arp.senderAddress, arp.senderMac);
    }
  }

  /** The echo request in a frame, if it is one. */
  echoRequest(frame: Uint8Array): IcmpEcho | undefined {
    const ethernet = parseEthernet(frame);
    const packet = ethernet?.type === ETHERTYPE_IPV4 ? parseIpv4(ethernet.payload) : undefined;
    const echo = packet && parseIcmpEcho(packet.payload);
    return echo?.type === ICMP_ECHO_REQUEST ? echo : undefined;
  }

  answerEcho(frame: Uint8Array): void {
    const echo = this.echoRequest(frame);
    if (echo === undefined) return;
    const payload = serialiseIcmpEcho({ ...echo, type: ICMP_ECHO_REPLY });
    this.sendPacket({ payload }, parseEthernet(frame)?.source);
  }
}
