import type { FrameReceiver, NetBackend } from "../../src/core/backends.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import type { Published } from "../../src/core/outside.ts";
import { MILLISECOND } from "../../src/core/units.ts";
import { ARP_REQUEST } from "../../src/net/arp.ts";
import { Gateway } from "../../src/net/gateway.ts";
import { UserNetwork } from "../../src/net/user-network.ts";
import { FakeOutside, type FakeStream } from "./fake-outside.ts";
import { HOST, SimulatedGuest } from "./simulated-guest.ts";
import { type PeerOptions, TcpPeer, tcpOf } from "./tcp-peer.ts";

export interface RigOptions {
  readonly nat?: boolean;
  readonly published?: readonly Published[];
  /** Initial sequence numbers of ours. */
  readonly random?: () => number;
  /** What the guest does on frames for it, of `OFFLOAD`. */
  readonly guestOffloads?: number;
  /** What becomes of a frame, either way: 0 is lost, 2 come at once behind the next. */
  readonly fate?: () => "arrives" | "lost" | "late";
}

/** A guest, the gateway and a made-up outside; segments move when they are told to. */
export class GatewayRig {
  readonly clock = new VirtualClock();
  readonly network: UserNetwork;
  readonly outside = new FakeOutside();
  readonly gateway: Gateway;
  readonly guest: SimulatedGuest;
  readonly peers: TcpPeer[] = [];
  readonly #arrived: Uint8Array[] = [];

  constructor(options: RigOptions = {}) {
    const { nat = true, published = [], random = () => 7, fate, guestOffloads = 0 } = options;
    this.network = new UserNetwork({ resolves: nat });
    const { network, clock } = this;
    const outside = nat ? this.outside : undefined;
    this.gateway = new Gateway({ network, clock, random, outside, published });
    this.guest = new SimulatedGuest(fate === undefined ? network : badLink(network, fate));
    this.guest.takes(guestOffloads);
    this.guest.onFrame = (frame) => this.#arrived.push(frame);
  }

  /** The guest makes itself known. */
  hello(): void {
    this.guest.sendArp(ARP_REQUEST, HOST);
  }

  peer(options: PeerOptions = {}): TcpPeer {
    const peer = new TcpPeer(this.guest, options);
    this.peers.push(peer);
    return peer;
  }

  /** A connection of the guest that is open. */
  connected(options: PeerOptions = {}): { peer: TcpPeer; stream: FakeStream } {
    const peer = this.peer(options);
    peer.connect();
    const stream = this.outside.streams.at(-1) as FakeStream;
    stream.listener?.connected();
    this.pump();
    return { peer, stream };
  }

  /** Everything on its way arrives. */
  pump(): void {
    for (let frame = this.#arrived.shift(); frame !== undefined; frame = this.#arrived.shift()) {
      const segment = tcpOf(frame);
      if (segment === undefined) continue;
      const { destinationPort, sourcePort } = segment;
      const peer = this.peers.find(
        (each) => each.port === destinationPort && each.remotePort === sourcePort,
      );
      peer?.take(segment);
    }
    for (const stream of this.outside.streams) stream.pump();
  }

  /** Time passes, and everything arrives in it. */
  pass(duration: number, step = MILLISECOND): void {
    for (let passed = 0; passed < duration; passed += step) {
      this.pump();
      this.clock.advance(step);
    }
    this.pump();
  }
}

/** A link that loses frames and lets others overtake. */
function badLink(link: NetBackend, fate: NonNullable<RigOptions["fate"]>): NetBackend {
  const bad = (forward: FrameReceiver): FrameReceiver => {
    let late: [Uint8Array, Uint8Array | undefined] | undefined;
    return (frame, header) => {
      const what = fate();
      if (what === "lost") return true;
      if (what === "late" && late === undefined) {
        late = [frame.slice(), header?.slice()];
        return true;
      }
      const taken = forward(frame, header);
      const overtaken = late;
      late = undefined;
      if (overtaken !== undefined) forward(...overtaken);
      return taken;
    };
  };
  const transmit = bad((frame, header) => {
    link.transmit(frame, header);
    return true;
  });
  return {
    mtu: link.mtu,
    transmit: (frame, header) => void transmit(frame, header),
    connect: (receive) => link.connect(bad(receive)),
    setGuestOffloads: (offloads) => link.setGuestOffloads?.(offloads),
    resume: () => link.resume(),
    close: () => link.close(),
  };
}
