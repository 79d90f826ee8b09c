import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SECOND } from "../../src/core/units.ts";
import { ARP_REPLY, parseArp } from "../../src/net/arp.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV4 } from "../../src/net/ethernet.ts";
import { type Ipv4Address, PROTOCOL_TCP, PROTOCOL_UDP, parseIpv4 } from "../../src/net/ipv4.ts";
import { TCP_FLAG } from "../../src/net/tcp.ts";
import { parseUdp, serialiseUdp } from "../../src/net/udp.ts";
import { UserNetwork } from "../../src/net/user-network.ts";
import { FakeDatagramPort, FakeStreamPort } from "./fake-outside.ts";
import { GatewayRig, type RigOptions } from "./gateway-rig.ts";
import { GUEST, HOST, HOST_MAC, SimulatedGuest } from "./simulated-guest.ts";
import { tcpOf } from "./tcp-peer.ts";

const { SYN, RST, ACK } = TCP_FLAG;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const address = (...bytes: readonly [number, number, number, number]): Ipv4Address =>
  new DataView(Uint8Array.from(bytes).buffer).getUint32(0) as Ipv4Address;
const SOMEWHERE = address(192, 0, 2, 7);

function sendUdp(guest: SimulatedGuest, to: Ipv4Address, port: number, data: string, from = 4000) {
  const addresses = { source: GUEST, destination: to };
  const datagram = { sourcePort: from, destinationPort: port, payload: text(data) };
  const payload = serialiseUdp(datagram, addresses);
  guest.sendPacket({ ...addresses, protocol: PROTOCOL_UDP, payload });
}

/** The messages that the guest got: from where to where, and what. */
const messages = (guest: SimulatedGuest) =>
  guest.payloads(ETHERTYPE_IPV4).flatMap((bytes) => {
    const packet = parseIpv4(bytes);
    const datagram = packet && parseUdp(packet.payload, packet);
    if (packet?.protocol !== PROTOCOL_UDP || datagram === undefined) return [];
    const { sourcePort, destinationPort, payload } = datagram;
    return [[packet.source, sourcePort, destinationPort, Buffer.from(payload).toString()]];
  });

describe("connections of the guest", () => {
  it.each([
    [HOST, 80, "127.0.0.1", 80],
    [HOST, 53, "192.0.2.53", 53],
    [SOMEWHERE, 53, "192.0.2.7", 53],
  ])("to %i port %i go to %s port %i", (remote, remotePort, to, port) => {
    const rig = new GatewayRig();
    rig.peer({ remote, remotePort }).connect();
    expect(rig.outside.streams.map((stream) => stream.to)).toEqual([{ address: to, port }]);
  });

  it.each([
    [address(10, 0, 0, 9)],
    [address(127, 0, 0, 1)],
    [address(0, 0, 0, 1)],
    [address(224, 0, 0, 1)],
    [address(255, 255, 255, 255)],
  ])("to %i go nowhere", (remote) => {
    const rig = new GatewayRig();
    rig.peer({ remote }).connect();
    sendUdp(rig.guest, remote, 9, "x");
    expect(rig.outside.streams).toEqual([]);
    expect(rig.outside.exchanges).toEqual([]);
    expect(rig.network.dropped.fromGuest).toBe(2);
  });

  it("come from the guest's network only", () => {
    const rig = new GatewayRig();
    const source = address(10, 0, 1, 2);
    const datagram = { sourcePort: 1, destinationPort: 2, payload: text("x") };
    const payload = serialiseUdp(datagram, { source, destination: SOMEWHERE });
    rig.guest.sendPacket({ source, destination: SOMEWHERE, protocol: PROTOCOL_UDP, payload });
    expect(rig.outside.exchanges).toEqual([]);
  });

  it("are 1,024 at most; one more is refused, unless a message's flow can go", () => {
    const rig = new GatewayRig();
    sendUdp(rig.guest, SOMEWHERE, 9, "x");
    for (let port = 1; port <= 1024; port++) rig.peer({ port }).connect();
    expect(rig.outside.exchanges[0]?.closed).toBe(true);
    expect(rig.outside.streams).toHaveLength(1024);
    const late = rig.peer({ port: 5000 });
    late.connect();
    sendUdp(rig.guest, SOMEWHERE, 9, "x");
    rig.pump();
    expect(late.last?.flags).toBe(RST | ACK);
    expect(rig.outside.streams).toHaveLength(1024);
    expect(rig.outside.exchanges).toHaveLength(1);
    rig.outside.streams[7]?.listener?.closed();
    rig.peer({ port: 5001 }).connect();
    expect(rig.outside.streams).toHaveLength(1025);
  });

  it("that only wait for strays give way to new ones", () => {
    const rig = new GatewayRig();
    for (let port = 1; port <= 1024; port++) {
      const { peer, stream } = rig.connected({ port });
      stream.finish();
      rig.pump();
      peer.end();
      expect(stream.state).toBe("ended");
      rig.peers.length = 0;
    }
    const late = rig.peer({ port: 5000 });
    late.connect();
    expect(rig.outside.streams).toHaveLength(1025);
  });

  it("end with the network, and what they had said still leaves", () => {
    const rig = new GatewayRig();
    const one = rig.connected({ port: 1 });
    const two = rig.connected({ port: 2 });
    one.peer.end();
    rig.pump();
    sendUdp(rig.guest, SOMEWHERE, 9, "x");
    rig.gateway.close();
    expect(one.stream.state).toBe("closed");
    expect(two.stream.state).toBe("reset");
    expect(rig.outside.exchanges[0]?.closed).toBe(true);
    rig.clock.advance(100 * SECOND);
  });
});

describe("messages of the guest", () => {
  it("go out and are answered", () => {
    const rig = new GatewayRig();
    sendUdp(rig.guest, SOMEWHERE, 123, "when?");
    const [exchange] = rig.outside.exchanges;
    expect(exchange?.to).toEqual({ address: "192.0.2.7", port: 123 });
    expect(exchange?.sent).toEqual(["when?"]);
    exchange?.receive(text("now"));
    expect(messages(rig.guest)).toEqual([[SOMEWHERE, 123, 4000, "now"]]);
    exchange?.receive(new Uint8Array(1473));
    expect(rig.network.dropped.toGuest).toBe(1);
  });

  it("are forgotten after a minute of silence", () => {
    const rig = new GatewayRig();
    sendUdp(rig.guest, SOMEWHERE, 1, "a");
    rig.clock.advance(40 * SECOND);
    sendUdp(rig.guest, SOMEWHERE, 2, "b");
    rig.outside.exchanges[0]?.receive(text("still"));
    rig.clock.advance(59 * SECOND);
    const closed = () => rig.outside.exchanges.map((exchange) => exchange.closed);
    expect(closed()).toEqual([false, false]);
    rig.clock.advance(2 * SECOND);
    expect(closed()).toEqual([true, true]);
    rig.outside.exchanges[0]?.receive(text("late"));
    expect(messages(rig.guest)).toHaveLength(1);
  });

  it("to port 53 go to the host's name servers, and to the next if one is silent or absent", () => {
    const rig = new GatewayRig();
    const ask = (from: number) => {
      sendUdp(rig.guest, HOST, 53, "?", from);
      return rig.outside.exchanges.at(-1);
    };
    const first = ask(1);
    expect(first?.to.address).toBe("192.0.2.53");
    first?.receive(text("!"));
    rig.clock.advance(5 * SECOND);
    expect(ask(2)?.to.address).toBe("192.0.2.53");
    rig.clock.advance(5 * SECOND);
    const third = ask(3);
    expect(third?.to).toEqual({ address: "::1", port: 5353 });
    third?.receive(undefined);
    expect(ask(4)?.to.address).toBe("192.0.2.53");
    expect(messages(rig.guest)).toEqual([[HOST, 53, 1, "!"]]);
  });

  it("to port 53 go to the next name server from a port that has asked before, too", () => {
    const rig = new GatewayRig();
    const ask = () => sendUdp(rig.guest, HOST, 53, "?", 1);
    ask();
    ask();
    rig.clock.advance(2 * SECOND);
    ask();
    const { exchanges } = rig.outside;
    expect(exchanges.map(({ to }) => to.address)).toEqual(["192.0.2.53", "::1"]);
    expect(exchanges.map(({ sent }) => sent.length)).toEqual([2, 1]);
    expect(exchanges.map(({ closed }) => closed)).toEqual([true, false]);
    exchanges[1]?.receive(text("!"));
    expect(messages(rig.guest)).toEqual([[HOST, 53, 1, "!"]]);
  });
});

describe("a published port", () => {
  const published = (options: RigOptions = {}) => {
    const streams = new FakeStreamPort(80);
    const datagrams = new FakeDatagramPort(7);
    const rig = new GatewayRig({ nat: false, published: [streams, datagrams], ...options });
    return { rig, streams, datagrams };
  };

  it("leads to the guest, from 10.0.0.1", () => {
    const { rig, streams } = published();
    rig.hello();
    const stream = streams.connect();
    const syn = rig.guest.received.map(tcpOf).at(-1);
    expect(syn).toMatchObject({ flags: SYN, destinationPort: 80 });
    const peer = rig.peer({ port: 80, remote: HOST, remotePort: syn?.sourcePort ?? 0 });
    rig.outside.streams.push(stream);
    stream.send(text("GET"));
    stream.finish();
    rig.pass(SECOND / 10);
    peer.send(text("page"));
    peer.end();
    rig.pass(2 * SECOND, SECOND / 10);
    expect(peer.bytes.toString()).toBe("GET");
    expect(stream.bytes.toString()).toBe("page");
    expect(stream.state).toBe("closed");
  });

  it("is refused by a guest where nobody listens", () => {
    const { rig, streams } = published();
    rig.hello();
    const stream = streams.connect();
    const syn = rig.guest.received.map(tcpOf).at(-1);
    const peer = rig.peer({ port: 80, remote: HOST, remotePort: syn?.sourcePort ?? 0 });
    peer.transmit({ flags: RST | ACK, sequence: 0, acknowledgement: (syn?.sequence ?? 0) + 1 });
    expect(stream.state).toBe("reset");
  });

  it("waits for a guest that comes up, asking for it once a second, for a minute", () => {
    const { rig, streams } = published();
    const stream = streams.connect();
    rig.clock.advance(3 * SECOND);
    const asked = rig.guest.payloads(ETHERTYPE_ARP).map(parseArp);
    expect(asked.map((packet) => packet?.targetAddress)).toEqual([GUEST, GUEST, GUEST, GUEST]);
    rig.guest.sendArp(ARP_REPLY, HOST, HOST_MAC);
    expect(rig.guest.received.map(tcpOf).at(-1)?.flags).toBe(SYN);
    expect(stream.state).toBe("open");
    const other = published();
    const lost = other.streams.connect();
    other.rig.clock.advance(61 * SECOND);
    expect(lost.state).toBe("reset");
  });

  it("resets those that waited for a guest which never came, when the network ends", () => {
    const { rig, streams } = published();
    const stream = streams.connect();
    rig.gateway.close();
    expect(stream.state).toBe("reset");
  });

  it("takes messages, each sender's from a port of its own, and brings back the answers", () => {
    const { rig, datagrams } = published();
    const [one, two] = [
      { address: "127.0.0.1", port: 1111 },
      { address: "127.0.0.1", port: 2222 },
    ];
    datagrams.receive(text("early"), one);
    rig.hello();
    datagrams.receive(text("again"), one);
    datagrams.receive(text("other"), two);
    const got = messages(rig.guest);
    expect(got.map(([source, , port, data]) => [source, port, data])).toEqual([
      [HOST, 7, "early"],
      [HOST, 7, "again"],
      [HOST, 7, "other"],
    ]);
    const ports = got.map(([, port]) => Number(port));
    expect(ports[0]).toBe(ports[1]);
    expect(ports[0]).not.toBe(ports[2]);
    for (const port of ports.slice(1)) sendUdp(rig.guest, HOST, port, `to ${port}`, 7);
    expect(datagrams.sent).toEqual([
      [`to ${ports[1]}`, one],
      [`to ${ports[2]}`, two],
    ]);
    rig.clock.advance(61 * SECOND);
    sendUdp(rig.guest, HOST, ports[0] ?? 0, "late", 7);
    expect(datagrams.sent).toHaveLength(2);
  });

  it("lets nothing else out", () => {
    const { rig } = published();
    rig.hello();
    rig.peer().connect();
    rig.peer({ remote: HOST }).connect();
    sendUdp(rig.guest, SOMEWHERE, 53, "?");
    expect(rig.outside.streams).toEqual([]);
    expect(rig.outside.exchanges).toEqual([]);
  });
});

describe("without a way out", () => {
  it("packets that wanted to leave are told of, and others are not", () => {
    const left: unknown[] = [];
    const network = new UserNetwork({ onLeaving: ({ destination }) => left.push(destination) });
    const guest = new SimulatedGuest(network);
    sendUdp(guest, SOMEWHERE, 53, "?");
    sendUdp(guest, HOST, 53, "?");
    for (const nowhere of [address(10, 0, 0, 255), address(224, 0, 0, 251)]) {
      sendUdp(guest, nowhere, 5353, "?");
    }
    for (const protocol of [PROTOCOL_TCP, PROTOCOL_UDP]) {
      guest.sendPacket({ protocol, destination: SOMEWHERE });
    }
    expect(left).toEqual([SOMEWHERE, HOST]);
  });
});

describe("a hostile guest", () => {
  it("gets nowhere with headers that are wrong, which are counted", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    const before = rig.network.dropped.fromGuest;
    const bad = [[], [0, 80], new Array(20).fill(0), new Array(40).fill(0xff)];
    for (const protocol of [PROTOCOL_TCP, PROTOCOL_UDP]) {
      for (const bytes of bad) {
        rig.guest.sendPacket({
          ...{ protocol, destination: SOMEWHERE, payload: Uint8Array.from(bytes) },
        });
      }
    }
    peer.transmit({ sourcePort: 0 });
    expect(rig.network.dropped.fromGuest - before).toBe(9);
    expect(stream.state).toBe("open");
  });

  it.each([
    ["says nothing out of place", "sequence", "next"],
    ["acknowledges what was never sent", "acknowledgement", "expected"],
  ] as const)(
    "is answered now and then where it %s, or two would do so for ever",
    (_, field, base) => {
      const rig = new GatewayRig();
      const { peer } = rig.connected();
      const answers = (payload?: Uint8Array): number => {
        const before = peer.segments.length;
        const number = (peer[base] + 0x10_0000) >>> 0;
        for (let n = 0; n < 5; n++) peer.transmit({ [field]: number, ...(payload && { payload }) });
        rig.pump();
        return peer.segments.length - before;
      };
      expect(answers()).toBe(1);
      expect(answers()).toBe(0);
      rig.clock.advance(SECOND);
      expect(answers()).toBe(1);
      expect(answers(new Uint8Array(1))).toBe(5);
    },
  );

  it("lives with any segments at all, in the middle of connections", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected({ scale: 14 });
    const near = (base: () => number) =>
      fc.oneof(fc.integer({ min: -3000, max: 3000 }), fc.nat({ max: 0xffff_ffff })).map((by) => {
        return (base() + by) >>> 0;
      });
    const segment = fc.record({
      flags: fc.nat({ max: 63 }),
      sequence: near(() => peer.next),
      acknowledgement: near(() => peer.expected),
      window: fc.nat({ max: 0xffff }),
      payload: fc.uint8Array({ maxLength: 200 }),
    });
    fc.assert(
      fc.property(segment, fc.nat({ max: 3 }), (changes, action) => {
        peer.transmit(changes);
        if (action === 0) stream.send(new Uint8Array(3000));
        if (action === 1) rig.clock.advance(SECOND);
        if (stream.state !== "open") rig.connected({ port: 30_000 + rig.outside.streams.length });
      }),
      { numRuns: 3000 },
    );
    expect(stream.bytes.length).toBeLessThan(3000 * 200);
  });
});
