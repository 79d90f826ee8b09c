import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ARP_REPLY, ARP_REQUEST, parseArp } from "../../src/net/arp.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV4 } from "../../src/net/ethernet.ts";
import {
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  type IcmpEcho,
  parseIcmpEcho,
} from "../../src/net/icmp.ts";
import { type Ipv4Address, parseIpv4 } from "../../src/net/ipv4.ts";
import { UserNetwork } from "../../src/net/user-network.ts";
import { GUEST, GUEST_MAC, HOST, HOST_MAC, SimulatedGuest } from "./simulated-guest.ts";

function connected() {
  const network = new UserNetwork();
  const guest = new SimulatedGuest(network);
  return { network, guest };
}

const echo = (sequence: number, length = 56): IcmpEcho => ({
  type: ICMP_ECHO_REQUEST,
  identifier: 7,
  sequence,
  data: Uint8Array.from({ length }, (_, i) => i * 3),
});

const sequences = (guest: SimulatedGuest) =>
  guest
    .payloads(ETHERTYPE_IPV4)
    .map((packet) => parseIcmpEcho(parseIpv4(packet)?.payload ?? packet)?.sequence);

describe("the built-in network", () => {
  it("answers ARP for its own address", () => {
    const { guest } = connected();
    guest.sendArp(ARP_REQUEST, HOST);
    expect(guest.payloads(ETHERTYPE_ARP).map(parseArp)).toEqual([
      {
        operation: ARP_REPLY,
        senderMac: HOST_MAC,
        senderAddress: HOST,
        targetMac: GUEST_MAC,
        targetAddress: GUEST,
      },
    ]);
  });

  it("leaves ARP for other addresses unanswered", () => {
    const { network, guest } = connected();
    guest.sendArp(ARP_REQUEST, 0x0a00_0003 as Ipv4Address);
    expect(guest.received).toEqual([]);
    expect(network.dropped.fromGuest).toBe(1);
  });

  it.each([0, 8, 56, 1472])("answers an echo request with %i bytes of data", (length) => {
    const { guest } = connected();
    guest.sendEcho(echo(1, length));
    const packets = guest.payloads(ETHERTYPE_IPV4).map(parseIpv4);
    expect(packets).toHaveLength(1);
    expect(packets[0]).toMatchObject({ source: HOST, destination: GUEST, ttl: 64 });
    expect(parseIcmpEcho(packets[0]?.payload ?? new Uint8Array())).toEqual({
      ...echo(1, length),
      type: ICMP_ECHO_REPLY,
    });
  });

  it("drops and counts packets for others, fragments and other protocols", () => {
    const { network, guest } = connected();
    guest.sendPacket({ destination: 0x0a00_0063 as Ipv4Address });
    guest.sendPacket({ moreFragments: true });
    guest.sendPacket({ fragmentOffset: 1 });
    guest.sendPacket({ protocol: 17 });
    guest.send(0x86dd, new Uint8Array(40));
    guest.send(ETHERTYPE_ARP, new Uint8Array(28), GUEST_MAC);
    expect(guest.received).toEqual([]);
    expect(network.dropped.fromGuest).toBe(6);
  });

  it("lives through any frames at all", () => {
    const { network, guest } = connected();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.nat({ max: 0xffff }), (data, type) => {
        network.transmit(data);
        guest.send(type, data);
        guest.send(ETHERTYPE_IPV4, data);
        guest.send(ETHERTYPE_ARP, data);
      }),
    );
  });

  it("keeps frames in order for a guest without room, and gives them on resume", () => {
    const { network, guest } = connected();
    guest.room = 1;
    for (const sequence of [1, 2, 3, 4]) guest.sendEcho(echo(sequence));
    expect(sequences(guest)).toEqual([1]);
    expect(network.pending).toBe(3);
    guest.room = 2;
    network.resume();
    expect(sequences(guest)).toEqual([1, 2, 3]);
    guest.room = Number.POSITIVE_INFINITY;
    guest.sendEcho(echo(5));
    expect(sequences(guest)).toEqual([1, 2, 3]);
    network.resume();
    expect(sequences(guest)).toEqual([1, 2, 3, 4, 5]);
  });

  it("bounds what it keeps, and counts what it loses", () => {
    const { network, guest } = connected();
    guest.room = 0;
    for (let sequence = 0; sequence < 1000; sequence++) guest.sendEcho(echo(sequence));
    expect(network.pending).toBe(256);
    expect(network.dropped.toGuest).toBe(1000 - 256);
  });

  it("tells listeners of a neighbour's answer, until they stop listening", () => {
    const { network, guest } = connected();
    const heard: unknown[] = [];
    const stop = network.listen({
      neighbour: (address, mac) => heard.push([address, mac]),
      echoReply: () => {},
    });
    network.requestNeighbour(GUEST);
    const request = parseArp(guest.payloads(ETHERTYPE_ARP)[0] as Uint8Array);
    expect(request).toMatchObject({ operation: ARP_REQUEST, targetAddress: GUEST });
    guest.sendArp(ARP_REPLY, HOST, HOST_MAC);
    stop();
    guest.sendArp(ARP_REPLY, HOST, HOST_MAC);
    expect(heard).toEqual([[GUEST, GUEST_MAC]]);
  });

  it("is silent once closed", () => {
    const { network, guest } = connected();
    network.close();
    guest.sendEcho(echo(1));
    expect(guest.received).toEqual([]);
  });
});
