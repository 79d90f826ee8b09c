import { describe, expect, it } from "vitest";
import { answerDhcp, type DhcpNetwork } from "../../src/net/dhcp.ts";
import { ETHERTYPE_IPV4, parseEthernet, serialiseEthernet } from "../../src/net/ethernet.ts";
import {
  BROADCAST_ADDRESS,
  type Ipv4Address,
  PROTOCOL_UDP,
  parseIpv4,
  serialiseIpv4,
} from "../../src/net/ipv4.ts";
import { BROADCAST_MAC } from "../../src/net/mac.ts";
import { parseUdp, serialiseUdp } from "../../src/net/udp.ts";
import { GUEST_ADDRESS, HOST_ADDRESS, UserNetwork } from "../../src/net/user-network.ts";
import { SeededRandom } from "../support/random.ts";

const MAC = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
const NETWORK = { server: HOST_ADDRESS, prefix: 24, client: GUEST_ADDRESS };
const [DISCOVER, OFFER, REQUEST, ACK, NAK, RELEASE, INFORM] = [1, 2, 3, 5, 6, 7, 8];

interface Asked {
  readonly options?: readonly number[];
  readonly flags?: number;
  readonly clientAddress?: number;
}

function message({ options = [], flags = 0, clientAddress = 0 }: Asked): Uint8Array {
  const bytes = new Uint8Array(300);
  const view = new DataView(bytes.buffer);
  bytes.set([1, 1, 6, 0]);
  view.setUint32(4, 0xcafe_f00d);
  view.setUint16(10, flags);
  view.setUint32(12, clientAddress);
  bytes.set(MAC, 28);
  view.setUint32(236, 0x6382_5363);
  bytes.set([...options, 255], 240);
  return bytes;
}

const address = (code: number, value: number) => [
  ...[code, 4],
  ...[24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff),
];

/** What the answer says, and its options by number. */
function ask(asked: Asked, network: DhcpNetwork = NETWORK) {
  const reply = answerDhcp(message(asked), network);
  if (reply === undefined) return undefined;
  const view = new DataView(reply.message.buffer);
  const options: Record<number, number> = {};
  for (let at = 240; reply.message[at] !== 255; at += 2 + (reply.message[at + 1] ?? 0)) {
    const code = reply.message[at] ?? 0;
    options[code] = reply.message[at + 1] === 4 ? view.getUint32(at + 2) : view.getUint8(at + 2);
  }
  expect([view.getUint8(0), view.getUint32(4)]).toEqual([2, 0xcafe_f00d]);
  expect(reply.message.slice(28, 34)).toEqual(MAC);
  return { ...reply, options, yours: view.getUint32(16) };
}

describe("the address of a guest", () => {
  it("is offered, and given", () => {
    const offer = ask({ options: [53, 1, DISCOVER, 0, 55, 2, 1, 3] });
    expect(offer).toMatchObject({ yours: GUEST_ADDRESS, mac: MAC, address: GUEST_ADDRESS });
    expect(offer?.options).toEqual({
      ...{ 53: OFFER, 54: HOST_ADDRESS, 51: 86_400, 1: 0xffff_ff00, 3: HOST_ADDRESS },
    });
    const options = [53, 1, REQUEST, ...address(50, GUEST_ADDRESS), ...address(54, HOST_ADDRESS)];
    expect(ask({ options })).toMatchObject({ yours: GUEST_ADDRESS, options: { 53: ACK } });
  });

  it("is told to everybody, if the guest hears nothing else yet", () => {
    const offer = ask({ options: [53, 1, DISCOVER], flags: 0x8000 });
    expect([offer?.mac, offer?.address]).toEqual([undefined, undefined]);
  });

  it("comes with who answers DNS, if anybody does", () => {
    const options = [53, 1, DISCOVER];
    const named = ask({ options }, { ...NETWORK, resolver: HOST_ADDRESS });
    expect(named?.options).toMatchObject({ 3: HOST_ADDRESS, 6: HOST_ADDRESS });
    expect(ask({ options })?.options).not.toHaveProperty("6");
  });

  it("can be kept on, and is no other", () => {
    const options = [53, 1, REQUEST];
    expect(ask({ options, clientAddress: GUEST_ADDRESS })).toMatchObject({ options: { 53: ACK } });
    const other = ask({ options: [...options, ...address(50, 0x0a00_0009)] });
    expect(other?.options).toEqual({ 53: NAK, 54: HOST_ADDRESS });
    expect([other?.yours, other?.address]).toEqual([0, undefined]);
  });

  it("is given by BOOTP too", () => {
    const reply = ask({});
    expect(reply?.yours).toBe(GUEST_ADDRESS);
    expect(reply?.options).toEqual({ 1: 0xffff_ff00, 3: HOST_ADDRESS });
  });

  it("is the guest's own affair if it has one", () => {
    const reply = ask({ options: [53, 1, INFORM], clientAddress: 0x0a00_0005 });
    expect(reply).toMatchObject({ yours: 0, address: 0x0a00_0005, options: { 53: ACK } });
    expect(reply?.options).not.toHaveProperty("51");
  });

  it("is not spoken of to others", () => {
    expect(ask({ options: [53, 1, RELEASE] })).toBeUndefined();
    expect(ask({ options: [53, 1, REQUEST, ...address(54, 0x0a00_0063)] })).toBeUndefined();
    expect(answerDhcp(new Uint8Array(100), NETWORK)).toBeUndefined();
    const answer = message({});
    answer[0] = 2;
    expect(answerDhcp(answer, NETWORK)).toBeUndefined();
  });

  it("is safe from any message", () => {
    const random = new SeededRandom(3);
    for (let i = 0; i < 3000; i++) {
      const bytes = message({ options: [53, 1, DISCOVER, ...address(50, 1)] });
      for (let n = 0; n < 6; n++) bytes[random.below(bytes.length)] = random.below(256);
      expect(() => answerDhcp(bytes.subarray(0, random.below(301)), NETWORK)).not.toThrow();
    }
  });
});

describe("the built-in network", () => {
  const send = (network: UserNetwork, port: number, destination: Ipv4Address, broken = false) => {
    const addresses = { source: 0 as Ipv4Address, destination };
    const datagram = serialiseUdp(
      { sourcePort: 68, destinationPort: port, payload: message({ options: [53, 1, DISCOVER] }) },
      addresses,
    );
    if (broken) datagram[20] = (datagram[20] ?? 0) + 1;
    const packet = serialiseIpv4({
      ...{ service: 0, identification: 1, dontFragment: false, moreFragments: false },
      ...{ fragmentOffset: 0, ttl: 64, protocol: PROTOCOL_UDP, ...addresses },
      ...{ options: new Uint8Array(0), payload: datagram },
    });
    network.transmit(
      serialiseEthernet({
        ...{ destination: BROADCAST_MAC, source: MAC, type: ETHERTYPE_IPV4, payload: packet },
      }),
    );
  };

  it("answers who asks everybody", () => {
    const network = new UserNetwork();
    const frames: Uint8Array[] = [];
    network.connect((frame) => frames.push(frame.slice()) > 0);
    send(network, 67, BROADCAST_ADDRESS);
    expect(frames).toHaveLength(1);
    const frame = parseEthernet(frames[0] as Uint8Array);
    expect(frame?.destination).toEqual(MAC);
    const packet = parseIpv4(frame?.payload ?? new Uint8Array(0));
    expect(packet).toMatchObject({ source: HOST_ADDRESS, destination: GUEST_ADDRESS });
    const datagram = packet && parseUdp(packet.payload, packet);
    expect(datagram).toMatchObject({ sourcePort: 67, destinationPort: 68 });
  });

  it("answers nothing else", () => {
    const network = new UserNetwork();
    network.connect(() => {
      throw new Error("an answer");
    });
    send(network, 53, HOST_ADDRESS);
    send(network, 67, 0x0a00_0009 as Ipv4Address);
    send(network, 67, BROADCAST_ADDRESS, true);
    expect(network.dropped.fromGuest).toBe(3);
  });
});
