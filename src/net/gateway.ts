import type { Clock } from "../core/clock.ts";
import type {
  Endpoint,
  Outside,
  OutsideDatagrams,
  OutsideStream,
  Published,
  PublishedDatagrams,
  PublishedStreams,
  StreamListener,
} from "../core/outside.ts";
import { FlowTimers } from "./flow-timers.ts";
import { GuestSearch } from "./guest-search.ts";
import {
  formatIpv4,
  type Ipv4Address,
  type Ipv4Packet,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  sameSubnet,
} from "./ipv4.ts";
import type { MacAddress } from "./mac.ts";
import { NameServers } from "./name-servers.ts";
import { PacketSender } from "./packet-sender.ts";
import type { Route } from "./route.ts";
import { TcpFlows } from "./tcp-flows.ts";
import { UdpFlows } from "./udp-flows.ts";
import type { Beyond, Neighbour, UserNetwork } from "./user-network.ts";
import { HOST_ADDRESS, HOST_PREFIX, isReachable } from "./user-network.ts";

const MAX_FLOWS = 1024;
/** Messages that wait for a guest that is not there yet. */
const MAX_WAITING = 64;
const DNS_PORT = 53;
const LOOPBACK = "127.0.0.1";
/** Ports that those outside have at this end (RFC 6335 §6). */
const FIRST_DYNAMIC_PORT = 49_152;
const DYNAMIC_PORTS = 65_536 - FIRST_DYNAMIC_PORT;

export interface GatewayParts {
  readonly network: UserNetwork;
  readonly clock: Clock;
  /** 32 bits that nobody can guess. */
  readonly random: () => number;
  /** Undefined: nothing leaves but answers to those whom a published port let in. */
  readonly outside: Outside | undefined;
  readonly published: readonly Published[];
}

/**
 * Connects the guest with the world by the host's sockets: its connections and messages go out (NAT, if
 * there is an outside), and those to published ports of the host come in.
 */
export class Gateway implements Beyond {
  readonly #outside: Outside | undefined;
  readonly #servers: NameServers;
  readonly #timers: FlowTimers;
  readonly #search: GuestSearch;
  readonly #tcp: TcpFlows;
  readonly #udp: UdpFlows;
  #port: number;

  constructor({ network, clock, random, outside, published }: GatewayParts) {
    this.#outside = outside;
    this.#servers = new NameServers(outside?.resolvers ?? [], clock);
    this.#timers = new FlowTimers(clock);
    this.#search = new GuestSearch(network, clock, this.#timers);
    this.#port = random() % DYNAMIC_PORTS;
    const common = {
      sender: new PacketSender(network),
      clock,
      timers: this.#timers,
      makeRoom: () => this.#makeRoom(),
    };
    this.#tcp = new TcpFlows({
      ...common,
      random,
      dial: (address, port, listener) => this.#connect(address, port, listener),
      serves: (address) => address === HOST_ADDRESS || this.#leadsTo(address),
    });
    this.#udp = new UdpFlows({
      ...common,
      dial: (address, port, receive) => this.#exchange(address, port, receive),
      lost: () => {
        network.dropped.toGuest++;
      },
    });
    network.lead(this);
    for (const port of published) {
      if (port.kind === "tcp") this.#publishStreams(port);
      else this.#publishDatagrams(port);
    }
  }

  accept(from: MacAddress, packet: Ipv4Packet, partial: boolean): boolean {
    const { source, protocol } = packet;
    if (source === HOST_ADDRESS || !sameSubnet(source, HOST_ADDRESS, HOST_PREFIX)) return false;
    if (protocol === PROTOCOL_TCP) return this.#tcp.accept(from, packet, partial);
    return protocol === PROTOCOL_UDP && this.#udp.accept(from, packet, partial);
  }

  clear(): void {
    this.#tcp.output();
  }

  close(): void {
    this.#search.close();
    this.#tcp.close();
    this.#udp.close();
    this.#timers.close();
  }

  #makeRoom(): boolean {
    const flows = this.#tcp.size + this.#udp.size + this.#search.waiting;
    return flows < MAX_FLOWS || this.#tcp.endWaiting() || this.#udp.endOldest();
  }

  // --- from the guest ---

  #leadsTo(address: Ipv4Address): boolean {
    return this.#outside !== undefined && isReachable(address);
  }

  #connect(
    address: Ipv4Address,
    port: number,
    listener: StreamListener,
  ): OutsideStream | undefined {
    if (!this.#leadsTo(address)) return undefined;
    if (!isDns(address, port)) return this.#outside?.connect(endpoint(address, port), listener);
    return this.#outside?.connect(this.#servers.current, listener);
  }

  #exchange(
    address: Ipv4Address,
    port: number,
    receive: (bytes: Uint8Array) => void,
  ): OutsideDatagrams | undefined {
    const outside = this.#outside;
    if (outside === undefined || !isReachable(address)) return undefined;
    if (isDns(address, port)) return this.#resolve(outside, receive);
    return outside.exchange(endpoint(address, port), (bytes) => {
      if (bytes !== undefined) receive(bytes);
    });
  }

  /** Each question goes to the server whose turn it is, from whichever port the guest asks. */
  #resolve(outside: Outside, receive: (bytes: Uint8Array) => void): OutsideDatagrams {
    const servers = this.#servers;
    let asked: Endpoint | undefined;
    let exchange: OutsideDatagrams | undefined;
    return {
      send: (bytes) => {
        const to = servers.current;
        if (to !== asked) {
          exchange?.close();
          asked = to;
          exchange = outside.exchange(to, (answer) => {
            if (answer === undefined) servers.failed(to);
            else {
              servers.answered(to);
              receive(answer);
            }
          });
        }
        servers.asked();
        exchange?.send(bytes);
      },
      close: () => exchange?.close(),
    };
  }

  // --- to the guest ---

  #publishStreams(port: PublishedStreams): void {
    port.start((stream) => {
      const late = new LateListener();
      if (!this.#makeRoom()) stream.reset();
      else {
        this.#search.locate((guest) => {
          if (late.over) return;
          const route = guest && this.#route(guest, port.guestPort, (each) => this.#tcp.has(each));
          const listener = route && this.#tcp.connect(route, stream);
          if (listener === undefined) stream.reset();
          else late.listener = listener;
        });
      }
      return late;
    });
  }

  #publishDatagrams(port: PublishedDatagrams): void {
    const routes = new Map<string, Route>();
    port.start((bytes, from) => {
      const peer = `${from.address}:${from.port}`;
      const known = routes.get(peer);
      if (known !== undefined) this.#udp.deliver(known, bytes);
      else if (this.#search.waiting < MAX_WAITING && this.#makeRoom()) {
        this.#search.locate((guest) => {
          const route = guest && (routes.get(peer) ?? this.#letIn(guest, port, from, routes));
          if (route !== undefined) this.#udp.deliver(route, bytes);
        });
      }
    });
  }

  #letIn(
    guest: Neighbour,
    port: PublishedDatagrams,
    from: Endpoint,
    routes: Map<string, Route>,
  ): Route | undefined {
    const route = this.#route(guest, port.guestPort, (each) => this.#udp.has(each));
    const peer = `${from.address}:${from.port}`;
    const opened = this.#udp.open(route, {
      send: (bytes) => port.send(bytes, from),
      close: () => routes.delete(peer),
    });
    if (!opened) return undefined;
    routes.set(peer, route);
    return route;
  }

  /** For somebody outside who is at a port of ours as far as the guest knows. */
  #route(guest: Neighbour, guestPort: number, taken: (route: Route) => boolean): Route {
    for (;;) {
      this.#port = (this.#port + 1) % DYNAMIC_PORTS;
      const remotePort = FIRST_DYNAMIC_PORT + this.#port;
      const ends = { guest: guest.address, guestPort, remote: HOST_ADDRESS, remotePort };
      const route = { ...ends, guestMac: guest.mac };
      if (!taken(route)) return route;
    }
  }
}

/** Listens to a connection while the guest is looked for. */
class LateListener implements StreamListener {
  listener: StreamListener | undefined;
  over = false;

  connected(): void {
    this.listener?.connected();
  }

  received(bytes: Uint8Array): void {
    this.listener?.received(bytes);
  }

  ended(): void {
    this.listener?.ended();
  }

  drained(): void {
    this.listener?.drained();
  }

  closed(): void {
    this.over = true;
    this.listener?.closed();
  }
}

const isDns = (address: Ipv4Address, port: number): boolean =>
  address === HOST_ADDRESS && port === DNS_PORT;

const endpoint = (address: Ipv4Address, port: number): Endpoint => ({
  address: address === HOST_ADDRESS ? LOOPBACK : formatIpv4(address),
  port,
});
