import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ArpPacket, parseArp, serialiseArp } from "../../src/net/arp.ts";
import { checksum } from "../../src/net/checksum.ts";
import { type EthernetFrame, parseEthernet, serialiseEthernet } from "../../src/net/ethernet.ts";
import {
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  type IcmpEcho,
  parseIcmpEcho,
  serialiseIcmpEcho,
} from "../../src/net/icmp.ts";
import {
  formatIpv4,
  type Ipv4Address,
  type Ipv4Packet,
  netmask,
  parseIpv4,
  sameSubnet,
  serialiseIpv4,
} from "../../src/net/ipv4.ts";

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 });
const word = fc.integer({ min: 0, max: 0xffff });
const byte = fc.integer({ min: 0, max: 0xff });
const address = fc.integer({ min: 0, max: 0xffff_ffff }) as fc.Arbitrary<Ipv4Address>;

const ipv4Packet: fc.Arbitrary<Ipv4Packet> = fc.record({
  service: byte,
  identification: word,
  dontFragment: fc.boolean(),
  moreFragments: fc.boolean(),
  fragmentOffset: fc.integer({ min: 0, max: 0x1fff }),
  ttl: byte,
  protocol: byte,
  source: address,
  destination: address,
  options: fc
    .integer({ min: 0, max: 10 })
    .chain((words) => fc.uint8Array({ minLength: 4 * words, maxLength: 4 * words })),
  payload: bytes(1500),
});

const icmpEcho: fc.Arbitrary<IcmpEcho> = fc.record({
  type: fc.constantFrom(ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST),
  identifier: word,
  sequence: word,
  data: bytes(1472),
});

describe("the Internet checksum", () => {
  it("is the complement of RFC 1071's worked example, section 3", () => {
    const example = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    expect(checksum(example)).toBe(~0xddf2 & 0xffff);
  });

  it("takes an odd last byte as the high half of a word", () => {
    expect(checksum(Uint8Array.of(0xab))).toBe(~0xab00 & 0xffff);
  });

  it("folds the carries of the longest packet", () => {
    expect(checksum(new Uint8Array(65_534).fill(0xff))).toBe(0);
  });
});

describe("what is serialised is parsed to the same", () => {
  it("for Ethernet frames", () => {
    const frame: fc.Arbitrary<EthernetFrame> = fc.record({
      destination: mac,
      source: mac,
      type: word,
      payload: bytes(1500),
    });
    fc.assert(
      fc.property(frame, (value) => {
        expect(parseEthernet(serialiseEthernet(value))).toEqual(value);
      }),
    );
  });

  it("for ARP packets, padding or not", () => {
    const packet: fc.Arbitrary<ArpPacket> = fc.record({
      operation: word,
      senderMac: mac,
      senderAddress: address,
      targetMac: mac,
      targetAddress: address,
    });
    fc.assert(
      fc.property(packet, bytes(18), (value, padding) => {
        const packetBytes = serialiseArp(value);
        expect(parseArp(Uint8Array.of(...packetBytes, ...padding))).toEqual(value);
      }),
    );
  });

  it("for IPv4 packets, padding or not", () => {
    fc.assert(
      fc.property(ipv4Packet, bytes(46), (value, padding) => {
        const packetBytes = serialiseIpv4(value);
        expect(parseIpv4(Uint8Array.of(...packetBytes, ...padding))).toEqual(value);
      }),
    );
  });

  it("for ICMP echo messages", () => {
    fc.assert(
      fc.property(icmpEcho, (value) => {
        expect(parseIcmpEcho(serialiseIcmpEcho(value))).toEqual(value);
      }),
    );
  });
});

describe("parsers given anything", () => {
  it("never throw", () => {
    fc.assert(
      fc.property(bytes(200), (garbage) => {
        for (const parse of [parseEthernet, parseArp, parseIpv4, parseIcmpEcho]) parse(garbage);
      }),
    );
  });

  it("refuse every packet that was cut short", () => {
    fc.assert(
      fc.property(ipv4Packet, fc.double({ min: 0, max: 0.999, noNaN: true }), (value, share) => {
        const whole = serialiseIpv4(value);
        const cut = whole.subarray(0, Math.floor(whole.length * share));
        expect(parseIpv4(cut)).toBeUndefined();
      }),
    );
  });

  it("refuse a flipped bit under a checksum", () => {
    fc.assert(
      fc.property(icmpEcho, fc.nat(), (value, where) => {
        const message = serialiseIcmpEcho(value);
        const bit = where % (message.length * 8);
        message[bit >> 3] = (message[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(parseIcmpEcho(message)).toBeUndefined();
      }),
    );
  });

  it("refuse another IP version and a header shorter than the shortest", () => {
    const packet = serialiseIpv4({
      ...(fc.sample(ipv4Packet, 1)[0] as Ipv4Packet),
      options: new Uint8Array(0),
    });
    for (const first of [0x65, 0x44]) {
      const changed = packet.slice();
      changed[0] = first;
      changed.set([0, 0], 10);
      const sum = checksum(changed.subarray(0, 20));
      changed.set([sum >>> 8, sum & 0xff], 10);
      expect(parseIpv4(changed)).toBeUndefined();
    }
  });
});

describe("IPv4 addresses", () => {
  it.each([
    [0, "0.0.0.0"],
    [0x0a00_0001, "10.0.0.1"],
    [0xffff_fffe, "255.255.255.254"],
  ])("%i is written %s", (value, text) => {
    expect(formatIpv4(value as Ipv4Address)).toBe(text);
  });

  it("belong to a subnet by their leading bits", () => {
    const [one, other] = [0xc0a8_0101 as Ipv4Address, 0xc0a8_01fe as Ipv4Address];
    expect(sameSubnet(one, other, 24)).toBe(true);
    expect(sameSubnet(one, other, 25)).toBe(false);
    expect(sameSubnet(one, 0x0a00_0001 as Ipv4Address, 0)).toBe(true);
    expect(netmask(24)).toBe(0xffff_ff00);
    expect(netmask(32)).toBe(0xffff_ffff);
  });
});
