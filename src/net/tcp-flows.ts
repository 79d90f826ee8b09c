import type { OutsideStream, StreamListener } from "../core/outside.ts";
import type { Ipv4Address, Ipv4Packet } from "./ipv4.ts";
import type { MacAddress } from "./mac.ts";
import type { PacketSender } from "./packet-sender.ts";
import { keyOf, type Route } from "./route.ts";
import { parseTcp, refusalOf, TCP_FLAG, type TcpSegment } from "./tcp.ts";
import { type FlowParts, TcpFlow } from "./tcp-flow.ts";

export interface TcpFlowsParts extends Omit<FlowParts, "wait" | "forget"> {
  readonly sender: PacketSender;
  /** Whether there may be one more flow. */
  readonly makeRoom: () => boolean;
  /** Undefined if there is no way to there. */
  readonly dial: (
    address: Ipv4Address,
    port: number,
    listener: StreamListener,
  ) => OutsideStream | undefined;
  /** Whether segments to there are for us, even if they belong to no connection. */
  readonly serves: (address: Ipv4Address) => boolean;
}

/** All connections of the guest with what is beyond the link. */
export class TcpFlows {
  readonly #parts: TcpFlowsParts;
  readonly #flowParts: FlowParts;
  readonly #flows = new Map<string, TcpFlow>();
  /** Those that have something for the guest once the link is clear, in turns. */
  readonly #waiting = new Set<TcpFlow>();
  /** Segments come in rows. */
  #last: TcpFlow | undefined;

  constructor(parts: TcpFlowsParts) {
    this.#parts = parts;
    this.#flowParts = {
      ...parts,
      wait: (flow) => this.#waiting.add(flow),
      forget: (flow) => this.#forget(flow),
    };
  }

  get size(): number {
    return this.#flows.size;
  }

  /** Whether a flow has these ends. */
  has(route: Route): boolean {
    return this.#flows.has(keyOf(route));
  }

  /** @returns whether the packet meant something */
  accept(guestMac: MacAddress, packet: Ipv4Packet, partial: boolean): boolean {
    const segment = parseTcp(packet.payload, packet, partial);
    if (segment === undefined) return false;
    let flow = this.#find(packet, segment);
    const { flags } = segment;
    const opens = (flags & (TCP_FLAG.SYN | TCP_FLAG.ACK | TCP_FLAG.RST)) === TCP_FLAG.SYN;
    if (flow?.connection.inTimeWait && opens && flow.connection.isBehind(segment.sequence)) {
      flow.connection.abort();
      flow = undefined;
    }
    if (flow !== undefined) {
      flow.accept(segment);
      return true;
    }
    const route = {
      guestMac: guestMac.slice(),
      guest: packet.source,
      guestPort: segment.sourcePort,
      remote: packet.destination,
      remotePort: segment.destinationPort,
    };
    if (opens) return this.#open(route, segment);
    if ((flags & TCP_FLAG.RST) !== 0 || !this.#parts.serves(packet.destination)) return false;
    this.#parts.sender.sendTcp(route, refusalOf(segment));
    return true;
  }

  /** Opens a connection with the guest for somebody outside, if there may be one more. */
  connect(route: Route, stream: OutsideStream): StreamListener | undefined {
    if (!this.#parts.makeRoom()) return undefined;
    const flow = this.#add(route);
    flow.connect(stream);
    return flow.listener;
  }

  /** Ends a connection that only waits for strays; returns whether there was one. */
  endWaiting(): boolean {
    for (const { connection } of this.#flows.values()) {
      if (!connection.inTimeWait) continue;
      connection.abort();
      return true;
    }
    return false;
  }

  /** The link is clear. */
  output(): void {
    for (const flow of [...this.#waiting]) {
      if (this.#parts.sender.link.pending > 0) return;
      this.#waiting.delete(flow);
      flow.output();
    }
  }

  close(): void {
    for (const flow of this.#flows.values()) flow.close();
  }

  #open(route: Route, segment: TcpSegment): boolean {
    const { dial, makeRoom, sender } = this.#parts;
    if (!makeRoom()) {
      sender.sendTcp(route, refusalOf(segment));
      return true;
    }
    const flow = this.#add(route);
    const stream = dial(route.remote, route.remotePort, flow.listener);
    if (stream === undefined) {
      flow.connection.abort();
      return false;
    }
    flow.dial(segment, stream);
    return true;
  }

  #add(route: Route): TcpFlow {
    const flow = new TcpFlow(route, this.#flowParts);
    this.#flows.set(keyOf(route), flow);
    return flow;
  }

  #find({ source, destination }: Ipv4Packet, segment: TcpSegment): TcpFlow | undefined {
    const { sourcePort: guestPort, destinationPort: remotePort } = segment;
    const route = this.#last?.route;
    if (
      route?.guestPort !== guestPort ||
      route.remotePort !== remotePort ||
      route.guest !== source ||
      route.remote !== destination
    ) {
      const ends = { guest: source, guestPort, remote: destination, remotePort };
      this.#last = this.#flows.get(keyOf(ends));
    }
    return this.#last;
  }

  #forget(flow: TcpFlow): void {
    this.#flows.delete(keyOf(flow.route));
    this.#waiting.delete(flow);
    if (this.#last === flow) this.#last = undefined;
  }
}
