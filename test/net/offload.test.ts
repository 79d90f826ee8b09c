import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { OFFLOAD } from "../../src/core/offload.ts";
import { SECOND } from "../../src/core/units.ts";
import { type Ipv4Address, PROTOCOL_TCP, PROTOCOL_UDP } from "../../src/net/ipv4.ts";
import { completeChecksum } from "../../src/net/partial-checksum.ts";
import { sequenceAdd } from "../../src/net/sequence.ts";
import { TCP_FLAG } from "../../src/net/tcp.ts";
import { serialiseUdp } from "../../src/net/udp.ts";
import { GatewayRig } from "./gateway-rig.ts";
import { GUEST, HOST_MAC } from "./simulated-guest.ts";
import { serialiseTcp, tcpOf } from "./tcp-peer.ts";

const SOMEWHERE = 0xc000_0207 as Ipv4Address;
const ALL = OFFLOAD.CSUM | OFFLOAD.TSO4;

const word = (bytes: Uint8Array | undefined, at: number): number =>
  new DataView(bytes?.buffer ?? new ArrayBuffer(10)).getUint16(at, true);

/** Frames of TCP that the guest got, and what was left to do on them. */
const segments = (rig: GatewayRig) =>
  rig.guest.received.flatMap((frame, i) => {
    const segment = tcpOf(frame);
    return segment === undefined ? [] : [{ frame, segment, header: rig.guest.headers[i] }];
  });

describe("data for the guest", () => {
  const data = randomBytes(300_000);

  it("is left to be cut up, with all there is to know about that", () => {
    const rig = new GatewayRig({ guestOffloads: ALL });
    const { peer, stream } = rig.connected({ window: 200_000, scale: 3, mss: 1400 });
    stream.send(data);
    rig.pass(SECOND);
    expect(Buffer.compare(peer.bytes, data)).toBe(0);
    const large = segments(rig).filter(({ frame }) => frame.length > 1454);
    expect(large.length).toBeGreaterThan(3);
    for (const { frame, segment, header } of large) {
      expect([header?.[0], header?.[1]]).toEqual([1, 1]);
      expect([2, 4, 6, 8].map((at) => word(header, at))).toEqual([54, 1400, 34, 16]);
      expect(frame.length).toBeLessThanOrEqual(14 + 65_535);
      // Nothing small is left over but at the end of what there was to send.
      const ends = (segment.flags & TCP_FLAG.PSH) !== 0;
      if (!ends) expect(segment.payload.length % 1400).toBe(0);
    }
    expect(segments(rig).length).toBeLessThan(20);
  });

  it("comes in segments of the usual size to a guest that only makes checksums", () => {
    const rig = new GatewayRig({ guestOffloads: OFFLOAD.CSUM });
    const { peer, stream } = rig.connected({ window: 60_000 });
    stream.send(data);
    rig.pass(SECOND);
    expect(Buffer.compare(peer.bytes, data)).toBe(0);
    for (const { frame, header } of segments(rig)) {
      expect(frame.length).toBeLessThanOrEqual(1514);
      expect([...(header ?? [])]).toEqual([1, 0, 0, 0, 0, 0, 34, 0, 16, 0]);
    }
  });

  it("comes ready to a guest that does nothing, or does no more", () => {
    const rig = new GatewayRig({ guestOffloads: ALL });
    const { peer, stream } = rig.connected({ window: 60_000 });
    rig.guest.takes(0);
    const before = rig.guest.received.length;
    stream.send(data);
    rig.pass(SECOND);
    expect(Buffer.compare(peer.bytes, data)).toBe(0);
    expect(rig.guest.headers.slice(before).every((header) => header === undefined)).toBe(true);
    expect(rig.guest.received.every((frame) => frame.length <= 1514)).toBe(true);
  });

  it("waits for room together with what is left to do on it", () => {
    const rig = new GatewayRig({ guestOffloads: ALL });
    const { peer, stream } = rig.connected({ window: 60_000 });
    rig.guest.room = 0;
    stream.send(data.subarray(0, 50_000));
    expect(rig.network.pending).toBe(1);
    rig.guest.room = 100;
    rig.network.resume();
    rig.pump();
    expect(Buffer.compare(peer.bytes, data.subarray(0, 50_000))).toBe(0);
    expect(rig.guest.headers.at(-1)?.[1]).toBe(1);
  });

  it("comes again when large segments are lost", () => {
    let frames = 0;
    const fate = () => (++frames % 7 === 0 ? "lost" : "arrives");
    const rig = new GatewayRig({ guestOffloads: ALL, fate });
    const peer = rig.peer({ window: 200_000, scale: 3 });
    peer.connect();
    const stream = rig.outside.streams.at(-1);
    stream?.listener?.connected();
    rig.pass(SECOND);
    stream?.send(data);
    for (let i = 0; i < 60 && peer.bytes.length < data.length; i++) {
      rig.pass(SECOND);
      peer.retry();
    }
    expect(Buffer.compare(peer.bytes, data)).toBe(0);
  });

  it("has the checksums of messages left to the guest, too", () => {
    const rig = new GatewayRig({ guestOffloads: OFFLOAD.CSUM });
    sendMessage(rig, false);
    rig.outside.exchanges[0]?.receive(new TextEncoder().encode("an answer"));
    expect([...(rig.guest.headers.at(-1) ?? [])]).toEqual([1, 0, 0, 0, 0, 0, 34, 0, 6, 0]);
  });
});

function sendMessage(rig: GatewayRig, partial: boolean): void {
  const addresses = { source: GUEST, destination: SOMEWHERE };
  const datagram = { sourcePort: 4000, destinationPort: 9, payload: new Uint8Array(100) };
  const payload = serialiseUdp(datagram, addresses, partial);
  const header = partial ? Uint8Array.of(1, 0, 0, 0, 0, 0, 34, 0, 6, 0) : undefined;
  rig.guest.sendPacket({ ...addresses, protocol: PROTOCOL_UDP, payload }, HOST_MAC, header);
}

it("a checksum that is made may be zero in a TCP segment, but not in a UDP datagram", () => {
  for (const [offset, made] of [
    [16, 0],
    [6, 0xffff],
  ] as const) {
    // The sum of the words is all ones, of which the complement is zero.
    const frame = new Uint8Array(60).fill(0xff, 50, 52);
    completeChecksum(frame, Uint8Array.of(1, 0, 0, 0, 0, 0, 34, 0, offset, 0));
    expect(new DataView(frame.buffer).getUint16(34 + offset)).toBe(made);
  }
});

describe("data of the guest", () => {
  it("is taken in segments of any size whose checksum is missing, and acknowledged as a whole", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    const data = randomBytes(65_535 - 40);
    const addresses = { source: GUEST, destination: peer.remote };
    const sequence = peer.next;
    const segment = serialiseTcp(
      {
        ...{ sourcePort: peer.port, destinationPort: peer.remotePort },
        ...{ sequence, acknowledgement: peer.expected },
        ...{ flags: TCP_FLAG.ACK | TCP_FLAG.PSH, window: 60_000 },
      },
      data,
      addresses,
      true,
    );
    const packet = { ...addresses, protocol: PROTOCOL_TCP, payload: segment };
    rig.guest.sendPacket(packet, HOST_MAC);
    expect(stream.bytes).toHaveLength(0);
    rig.guest.sendPacket(packet, HOST_MAC, Uint8Array.of(1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0));
    expect(Buffer.compare(stream.bytes, data)).toBe(0);
    rig.pump();
    expect(peer.last?.acknowledgement).toBe(sequenceAdd(sequence, data.length));
    expect(rig.network.dropped.fromGuest).toBe(1);
  });

  it("is taken in messages whose checksum is missing", () => {
    const rig = new GatewayRig();
    sendMessage(rig, true);
    expect(rig.outside.exchanges[0]?.sent).toHaveLength(1);
  });
});
