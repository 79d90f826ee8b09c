import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { MILLISECOND, SECOND } from "../../src/core/units.ts";
import { TCP_FLAG } from "../../src/net/tcp.ts";
import { SeededRandom } from "../support/random.ts";
import { GatewayRig } from "./gateway-rig.ts";

const { FIN, SYN, RST, ACK } = TCP_FLAG;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function noise(length: number, seed: number): Uint8Array {
  const random = new SeededRandom(seed);
  return Uint8Array.from({ length }, () => random.below(256));
}

describe("a connection of the guest", () => {
  it("is open when the host's is, with MSS and window scale", () => {
    const rig = new GatewayRig({ random: () => 0xffff_fffe });
    const peer = rig.peer({ scale: 7 });
    peer.connect();
    rig.pump();
    expect(peer.segments).toEqual([]);
    expect(rig.outside.streams[0]?.to).toEqual({ address: "192.0.2.7", port: 80 });
    rig.outside.streams[0]?.listener?.connected();
    rig.pump();
    expect(peer.segments).toMatchObject([
      {
        ...{ flags: SYN | ACK, sequence: 0xffff_fffe, acknowledgement: 1001 },
        ...{ maxSegmentSize: 1460, windowScale: 3, window: 0xffff },
      },
    ]);
    peer.send(text("question"));
    rig.outside.streams[0]?.send(text("answer"));
    rig.pass(MILLISECOND);
    expect(rig.outside.streams[0]?.bytes.toString()).toBe("question");
    expect(peer.bytes.toString()).toBe("answer");
    expect(peer.last?.window).toBeGreaterThan(30_000);
    expect(peer.settled).toBe(true);
  });

  it("has no window scale if the guest knows none, and its MSS", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected({ mss: 100 });
    expect(peer.last?.windowScale).toBeUndefined();
    stream.send(noise(1000, 1));
    rig.pass(MILLISECOND);
    expect(Math.max(...peer.segments.map(({ payload }) => payload.length))).toBe(100);
    expect(peer.last?.window).toBeLessThanOrEqual(0xffff);
    expect(hash(peer.bytes)).toBe(hash(noise(1000, 1)));
  });

  it("is refused if the host's is", () => {
    const rig = new GatewayRig();
    const peer = rig.peer();
    peer.connect();
    rig.outside.streams[0]?.listener?.closed();
    rig.pump();
    expect(peer.segments).toMatchObject([{ flags: RST | ACK, acknowledgement: 1001 }]);
  });

  it("is asked for once, though the guest repeats itself, and may be given up", () => {
    const rig = new GatewayRig();
    const peer = rig.peer();
    for (let i = 0; i < 3; i++) peer.connect();
    expect(rig.outside.streams).toHaveLength(1);
    peer.transmit({ flags: RST, sequence: 1001 });
    expect(rig.outside.streams[0]?.state).toBe("reset");
  });

  it.each(["guest", "outside"])("is closed by halves, first by the %s", (first) => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    if (first === "guest") {
      peer.end();
      rig.pass(MILLISECOND);
      expect(stream.state).toBe("ended");
      stream.send(text("still here"));
      stream.finish();
    } else {
      stream.finish();
      rig.pass(MILLISECOND);
      expect(peer.finished).toBe(true);
      expect(stream.state).toBe("open");
      peer.send(text("still here"));
      peer.end();
    }
    rig.pass(2 * SECOND, 100 * MILLISECOND);
    const heard = first === "guest" ? peer.bytes : stream.bytes;
    expect(heard.toString()).toBe("still here");
    expect(peer.finished && peer.settled).toBe(true);
    expect(stream.state).toBe("closed");
    // Nobody knows it any more.
    peer.transmit({});
    rig.pump();
    expect(peer.last?.flags).toBe(RST);
  });

  it("is closed from both sides at once", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    stream.finish();
    // The guest's FIN knows nothing of ours yet.
    peer.transmit({ flags: FIN | ACK });
    rig.clock.advance(MILLISECOND);
    peer.next = (peer.next + 1) >>> 0;
    rig.pump();
    expect(stream.state).toBe("ended");
    rig.pass(2 * SECOND, 100 * MILLISECOND);
    expect(stream.state).toBe("closed");
    expect(peer.reset).toBe(false);
  });

  it("may be opened anew at once where the old one only waits for strays", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    stream.finish();
    rig.pump();
    peer.end();
    rig.pass(MILLISECOND);
    expect(stream.state).toBe("ended");
    rig.peers.pop();
    rig.connected({ iss: peer.next + 10 });
    expect(rig.outside.streams).toHaveLength(2);
    expect(stream.state).toBe("closed");
    expect(rig.peers[0]?.open).toBe(true);
  });
});

describe("resets", () => {
  it("count with the very next number only; others in the window are questioned", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    const answers = (sequence: number): number => {
      const before = peer.segments.length;
      peer.transmit({ flags: RST, sequence });
      rig.pump();
      return peer.segments.length - before;
    };
    expect(answers(peer.next - 1)).toBe(0);
    expect(answers(peer.next + 300_000)).toBe(0);
    expect(answers(peer.next + 5)).toBe(1);
    expect(stream.state).toBe("open");
    expect(answers(peer.next)).toBe(0);
    expect(stream.state).toBe("reset");
  });

  it("are what the guest gets when the host's connection breaks", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    stream.listener?.closed();
    rig.pump();
    expect(peer.reset).toBe(true);
  });

  it("are not provoked by a second SYN", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    peer.transmit({ flags: SYN, sequence: peer.next + 1000 });
    rig.pump();
    expect(peer.last?.flags).toBe(ACK);
    expect(stream.state).toBe("open");
  });
});

describe("data", () => {
  const cases = [
    [1, 65_535, 1460, undefined, 0],
    [2, 262_144, 1460, 3, 5],
    [3, 65_535, 1460, undefined, 10],
    [4, 100_000, 536, 2, 6],
    [5, 700, 536, undefined, 10],
    [6, 33, 64, undefined, 5],
  ] as const;
  it.each(cases)(
    "arrives both ways (seed %i, window %i, MSS %i, scale %s, %i of a hundred frames lost)",
    (seed, window, mss, scale, loss) => {
      const random = new SeededRandom(seed);
      const length = Math.min(loss === 0 ? 300_000 : 80_000, window * 50);
      const fate = () => (random.chance(loss) ? "lost" : random.chance(loss) ? "late" : "arrives");
      const rig = new GatewayRig({ fate, random: () => 0xffff_ff00 });
      const peer = rig.peer({ window, mss, scale, iss: 0xffff_fe00 });
      const [up, down] = [noise(length, seed + 100), noise(length, seed + 200)];
      peer.send(up);
      peer.end();
      peer.connect();
      let dialled = false;
      for (let turn = 0; turn < 12_000 && !(peer.settled && peer.finished); turn++) {
        rig.pass(10 * MILLISECOND, 5 * MILLISECOND);
        const [stream] = rig.outside.streams;
        if (stream !== undefined && !dialled) {
          dialled = true;
          stream.listener?.connected();
          stream.send(down, 10_000);
          stream.finish();
        }
        if (turn % 20 === 19) peer.retry();
      }
      expect(peer.settled && peer.finished).toBe(true);
      expect(hash(rig.outside.streams[0]?.bytes ?? noise(1, 1))).toBe(hash(up));
      expect(hash(peer.bytes)).toBe(hash(down));
    },
  );

  it("out of order is dropped and acknowledged, and what comes twice is taken once", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    const start = peer.next;
    peer.transmit({ sequence: start + 3, payload: text("def") });
    rig.pump();
    expect(peer.last).toMatchObject({ flags: ACK, acknowledgement: start });
    peer.transmit({ sequence: start, payload: text("abc") });
    peer.transmit({ sequence: start + 1, payload: text("bcd") });
    rig.pump();
    expect(stream.bytes.toString()).toBe("abcd");
    expect(peer.last?.acknowledgement).toBe(start + 4);
  });

  it("is resent at once when the guest asks three times", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    const una = peer.expected;
    stream.send(text("lost"));
    for (let i = 0; i < 3; i++) peer.transmit({ acknowledgement: una, window: peer.window });
    rig.pump();
    expect(peer.segments.filter(({ payload }) => payload.length === 4)).toHaveLength(2);
  });

  it("is resent ever more seldom to a guest that is silent, and then given up", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    rig.peers.length = 0;
    const count = rig.guest.received.length;
    stream.send(text("anybody?"));
    rig.clock.advance(1000 * MILLISECOND - 1);
    expect(rig.guest.received.length - count).toBe(1);
    rig.clock.advance(2);
    expect(rig.guest.received.length - count).toBe(2);
    rig.clock.advance(1900 * MILLISECOND);
    expect(rig.guest.received.length - count).toBe(2);
    rig.clock.advance(1200 * SECOND);
    expect(rig.guest.received.length - count).toBe(1 + 12 + 1);
    expect(stream.state).toBe("reset");
    expect(peer.reset).toBe(false);
  });

  it("waits for a closed window, which is probed", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    peer.window = 0;
    peer.transmit({});
    stream.send(text("patience"));
    rig.pass(100 * SECOND, 100 * MILLISECOND);
    expect(peer.bytes.toString()).toBe("");
    const probes = peer.segments.filter(({ payload }) => payload.length === 1).length;
    expect(probes).toBeGreaterThan(3);
    expect(probes).toBeLessThan(12);
    peer.window = 1000;
    peer.transmit({});
    rig.pass(MILLISECOND);
    expect(peer.bytes.toString()).toBe("patience");
    expect(stream.state).toBe("open");
  });

  it("ends behind a probe that the guest did not take", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    peer.window = 0;
    peer.transmit({});
    stream.send(text("x"));
    rig.pass(2 * SECOND, 100 * MILLISECOND);
    stream.finish();
    rig.pass(MILLISECOND);
    peer.window = 1000;
    peer.transmit({});
    rig.pass(MILLISECOND);
    expect(peer.bytes.toString()).toBe("x");
    expect(peer.finished).toBe(true);
  });

  it("waits for a guest without buffers, and loses nothing", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected({ scale: 3, window: 262_144 });
    rig.guest.room = 2;
    stream.send(noise(200_000, 3));
    rig.pass(10 * SECOND, 100 * MILLISECOND);
    expect(rig.network.pending).toBeLessThan(4);
    rig.guest.room = Number.POSITIVE_INFINITY;
    rig.network.resume();
    rig.pass(MILLISECOND);
    expect(hash(peer.bytes)).toBe(hash(noise(200_000, 3)));
    expect(rig.network.dropped.toGuest).toBe(0);
  });
});

describe("backpressure", () => {
  it("closes the guest's window when the host takes nothing, and opens it when it does", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected({ scale: 3 });
    stream.stuck = true;
    peer.send(noise(300_000, 4));
    rig.pass(100 * MILLISECOND);
    expect(stream.backlog).toBeLessThanOrEqual(262_144);
    expect(stream.backlog).toBeGreaterThan(262_144 - 2 * 1460);
    expect(peer.last?.window).toBeLessThan(1460);
    stream.stuck = false;
    stream.drain();
    rig.pass(MILLISECOND);
    peer.retry();
    rig.pass(MILLISECOND);
    expect(hash(stream.bytes)).toBe(hash(noise(300_000, 4)));
  });

  it("stops a host's side that sends byte by byte before it takes much memory", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    peer.window = 0;
    peer.transmit({});
    stream.send(noise(1000, 6), 1);
    expect(stream.flowing).toBe(true);
    stream.send(noise(1000, 6), 1);
    expect(stream.flowing).toBe(false);
    peer.window = 65_535;
    peer.transmit({});
    rig.pass(10 * MILLISECOND);
    expect(peer.bytes.length).toBe(2000);
  });

  it("stops the host's side when the guest takes nothing", () => {
    const rig = new GatewayRig();
    const { peer, stream } = rig.connected();
    peer.window = 0;
    peer.transmit({});
    stream.send(noise(1_000_000, 5));
    expect(stream.flowing).toBe(false);
    peer.window = 65_535;
    peer.transmit({});
    rig.pass(10 * MILLISECOND);
    expect(stream.flowing).toBe(true);
    expect(hash(peer.bytes)).toBe(hash(noise(1_000_000, 5)));
  });
});
