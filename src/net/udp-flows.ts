import type { Clock } from "../core/clock.ts";
import type { OutsideDatagrams } from "../core/outside.ts";
import { nanos, SECOND } from "../core/units.ts";
import type { FlowTimer, FlowTimers } from "./flow-timers.ts";
import type { Ipv4Address, Ipv4Packet } from "./ipv4.ts";
import type { MacAddress } from "./mac.ts";
import type { PacketSender } from "./packet-sender.ts";
import { keyOf, type Route } from "./route.ts";
import { parseUdp } from "./udp.ts";

/** A flow ends when nothing has been said for so long. */
const SILENCE = 60 * SECOND;

export interface UdpFlowsParts {
  readonly sender: PacketSender;
  readonly clock: Clock;
  readonly timers: FlowTimers;
  /** Whether there may be one more flow. */
  readonly makeRoom: () => boolean;
  /** Undefined if there is no way to there. */
  readonly dial: (
    address: Ipv4Address,
    port: number,
    receive: (bytes: Uint8Array) => void,
  ) => OutsideDatagrams | undefined;
  /** A message for the guest did not fit into a frame. */
  readonly lost: () => void;
}

interface UdpFlow {
  readonly route: Route;
  readonly outside: OutsideDatagrams;
  last: number;
}

/** All exchanges of messages between the guest and what is beyond the link. */
export class UdpFlows {
  readonly #parts: UdpFlowsParts;
  /** The longest silent one first. */
  readonly #flows = new Map<string, UdpFlow>();
  readonly #timer: FlowTimer;

  constructor(parts: UdpFlowsParts) {
    this.#parts = parts;
    this.#timer = parts.timers.create(() => this.#expire());
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
    const datagram = parseUdp(packet.payload, packet, partial);
    if (datagram === undefined || datagram.sourcePort === 0 || datagram.destinationPort === 0) {
      return false;
    }
    const route = {
      guestMac: guestMac.slice(),
      guest: packet.source,
      guestPort: datagram.sourcePort,
      remote: packet.destination,
      remotePort: datagram.destinationPort,
    };
    const flow = this.#flows.get(keyOf(route)) ?? this.#dial(route);
    if (flow === undefined) return false;
    this.#touch(flow);
    flow.outside.send(datagram.payload);
    return true;
  }

  /** A flow that somebody outside has begun, if there may be one more. */
  open(route: Route, outside: OutsideDatagrams): boolean {
    if (!this.#parts.makeRoom()) return false;
    this.#add(route, outside);
    return true;
  }

  /** A message for the guest, unless the flow is over. */
  deliver(route: Route, bytes: Uint8Array): void {
    const flow = this.#flows.get(keyOf(route));
    if (flow === undefined) return;
    this.#touch(flow);
    if (!this.#parts.sender.sendUdp(flow.route, bytes)) this.#parts.lost();
  }

  /** Ends the longest silent flow; returns whether there was one. */
  endOldest(): boolean {
    for (const flow of this.#flows.values()) {
      this.#end(flow);
      return true;
    }
    return false;
  }

  close(): void {
    for (const flow of this.#flows.values()) this.#end(flow);
  }

  #dial(route: Route): UdpFlow | undefined {
    const { dial, makeRoom } = this.#parts;
    if (!makeRoom()) return undefined;
    const receive = (bytes: Uint8Array): void => this.deliver(route, bytes);
    const outside = dial(route.remote, route.remotePort, receive);
    return outside && this.#add(route, outside);
  }

  #add(route: Route, outside: OutsideDatagrams): UdpFlow {
    const flow = { route, outside, last: this.#parts.clock.now() };
    if (this.#flows.size === 0) this.#timer.set(nanos(flow.last + SILENCE));
    this.#flows.set(keyOf(route), flow);
    return flow;
  }

  #touch(flow: UdpFlow): void {
    const key = keyOf(flow.route);
    flow.last = this.#parts.clock.now();
    this.#flows.delete(key);
    this.#flows.set(key, flow);
  }

  #end(flow: UdpFlow): void {
    this.#flows.delete(keyOf(flow.route));
    flow.outside.close();
  }

  #expire(): void {
    const now = this.#parts.clock.now();
    for (const flow of this.#flows.values()) {
      if (flow.last + SILENCE > now) {
        this.#timer.set(nanos(flow.last + SILENCE));
        return;
      }
      this.#end(flow);
    }
  }
}
