import { describe, expect, it } from "vitest";
import { MILLISECOND, SECOND } from "../../src/core/units.ts";
import { ARP_REPLY } from "../../src/net/arp.ts";
import { checksum } from "../../src/net/checksum.ts";
import {
  type Ipv4Address,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  pseudoHeaderSum,
  setLong,
  setWord,
} from "../../src/net/ipv4.ts";
import { sequenceLength } from "../../src/net/tcp.ts";
import { SeededRandom } from "../support/random.ts";
import { FakeDatagramPort, type FakeStream, FakeStreamPort } from "./fake-outside.ts";
import { GatewayRig } from "./gateway-rig.ts";
import { GUEST, HOST } from "./simulated-guest.ts";
import { tcpOf } from "./tcp-peer.ts";

const SEGMENTS = 20_000;
const ADDRESSES = [
  0, 0x7f00_0001, 0x0a00_0000, 0x0a00_0009, 0x0a00_00ff, 0xe000_0001, 0xffff_ffff, 0xc000_0207,
] as Ipv4Address[];

const isOpen = ({ state }: FakeStream): boolean => state === "open" || state === "ended";

/** What the gateway has said last of a connection: numbers near it mean something. */
interface Heard {
  readonly guestPort: number;
  readonly remotePort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
}

class Fuzzer {
  readonly streams = new FakeStreamPort(80);
  readonly datagrams = new FakeDatagramPort(7);
  readonly rig = new GatewayRig({ published: [this.streams, this.datagrams] });
  readonly random: SeededRandom;
  readonly #heard: Heard[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.rig.guest.onFrame = (frame) => this.#hear(frame);
    this.rig.guest.sendArp(ARP_REPLY, HOST);
  }

  get open(): number {
    const { streams, exchanges } = this.rig.outside;
    return streams.filter(isOpen).length + exchanges.filter(({ closed }) => !closed).length;
  }

  #hear(frame: Uint8Array): void {
    const segment = tcpOf(frame);
    if (segment === undefined) return;
    const { destinationPort: guestPort, sourcePort: remotePort } = segment;
    const heard = {
      ...{ guestPort, remotePort },
      sequence: segment.acknowledgement,
      acknowledgement: (segment.sequence + sequenceLength(segment)) >>> 0,
    };
    const same = this.#heard.findIndex(
      (each) => each.guestPort === guestPort && each.remotePort === remotePort,
    );
    if (same >= 0) this.#heard[same] = heard;
    else if (this.#heard.length < 64) this.#heard.push(heard);
    else this.#heard[this.random.below(64)] = heard;
  }

  #near(number: number): number {
    const { random } = this;
    const by = random.chance(80) ? 0 : random.pick([1, -1, 2, 1460, -1460, 70_000, random.next()]);
    return (number + by) >>> 0;
  }

  #options(): number[] {
    const { random } = this;
    const good = [
      [2, 4, random.below(256), random.below(256)],
      [3, 3, random.below(256)],
    ];
    const wrong = [[random.below(256), random.pick([0, 1, 255]), 0, 0], [2], [0], [1, 1]];
    const all = random.pick([[], good, good, wrong, [...good, ...wrong]]).flat();
    while (all.length % 4 !== 0) all.push(random.below(2));
    return all;
  }

  segment(): void {
    const { random } = this;
    const known = random.chance(80) ? random.pick(this.#heard) : undefined;
    const heard = known ?? {
      guestPort: random.below(3000),
      remotePort: random.pick([0, 53, 80]),
      ...{ sequence: random.next(), acknowledgement: random.next() },
    };
    const options = this.#options();
    const payload = random.chance(40) ? random.below(random.pick([2, 200, 1400])) : 0;
    const bytes = new Uint8Array(20 + options.length + payload);
    setWord(bytes, 0, heard.guestPort);
    setWord(bytes, 2, heard.remotePort);
    setLong(bytes, 4, this.#near(heard.sequence));
    setLong(bytes, 8, this.#near(heard.acknowledgement));
    bytes[12] = random.chance(97) ? (5 + options.length / 4) << 4 : random.below(256);
    bytes[13] = random.chance(60) ? random.pick([16, 16, 16, 24, 17, 2, 2, 18]) : random.below(256);
    setWord(bytes, 14, random.pick([0, 1, 100, 2000, 0xffff, random.below(65_536)]));
    bytes.set(options, 20);
    const source = random.chance(95) ? GUEST : ((0x0a00_0000 + random.below(256)) as Ipv4Address);
    const destination = random.chance(95)
      ? random.pick([HOST, 0xc000_0207 as Ipv4Address])
      : random.pick(ADDRESSES);
    if (random.chance(99)) {
      const sum = pseudoHeaderSum({ source, destination }, PROTOCOL_TCP, bytes.length);
      setWord(bytes, 16, checksum(bytes, sum));
    }
    const protocol = random.chance(96) ? PROTOCOL_TCP : PROTOCOL_UDP;
    this.rig.guest.sendPacket({ source, destination, protocol, payload: bytes });
  }

  /** Something that others do. */
  elsewhere(): void {
    const { random, rig } = this;
    const { streams } = rig.outside;
    const stream = streams.at(-1 - random.below(64));
    switch (random.below(10)) {
      case 0:
        this.streams.connect();
        break;
      case 1:
        this.datagrams.receive(new Uint8Array(random.below(1600)), {
          address: "127.0.0.1",
          port: random.below(50),
        });
        break;
      case 2:
        rig.guest.room = random.chance(20) ? random.below(4) : Number.POSITIVE_INFINITY;
        rig.network.resume();
        break;
      case 3:
        rig.clock.advance(random.pick([MILLISECOND, 300 * MILLISECOND, SECOND]));
        break;
      default:
        if (stream !== undefined && isOpen(stream)) this.#onStream(stream);
    }
  }

  #onStream(stream: FakeStream): void {
    const { random } = this;
    switch (random.below(8)) {
      case 0:
        stream.listener?.closed();
        stream.state = "closed";
        break;
      case 1:
        stream.finish();
        break;
      case 2:
        stream.stuck = !stream.stuck;
        if (!stream.stuck) stream.drain();
        break;
      case 3:
      case 4:
        stream.send(new Uint8Array(random.below(5000)));
        break;
      default:
        stream.listener?.connected();
    }
  }
}

describe("any segments at all", () => {
  it.each([1, 2, 3])("are lived through, and make no storm (seed %i)", (seed) => {
    const fuzzer = new Fuzzer(seed);
    const { rig, random } = fuzzer;
    for (let i = 0; i < SEGMENTS; i++) {
      rig.guest.received.length = 0;
      fuzzer.segment();
      expect(rig.guest.received.filter(isControl).length).toBeLessThanOrEqual(2);
      if (random.chance(20)) fuzzer.elsewhere();
    }
    expect(fuzzer.open).toBeGreaterThan(100);
    expect(fuzzer.open).toBeLessThanOrEqual(1024);
    const data = rig.outside.streams.filter(({ written }) => written.length > 0);
    expect(data.length).toBeGreaterThan(50);
    rig.gateway.close();
    expect(fuzzer.open).toBe(0);
    rig.guest.room = Number.POSITIVE_INFINITY;
    rig.network.resume();
    rig.guest.received.length = 0;
    rig.clock.advance(1000 * SECOND);
    expect(rig.guest.received).toEqual([]);
  });
});

/** Whether a frame has none of the outside's data. */
const isControl = (frame: Uint8Array): boolean => tcpOf(frame)?.payload.length === 0;
