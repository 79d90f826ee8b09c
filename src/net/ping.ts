import type { Alarm, Clock } from "../core/clock.ts";
import { MICROSECOND, MILLISECOND, type Nanos, NEVER, nanos, SECOND } from "../core/units.ts";
import { ICMP_ECHO_REQUEST, ICMP_HEADER_LENGTH, type IcmpEcho } from "./icmp.ts";
import { formatIpv4, IPV4_MIN_HEADER_LENGTH, type Ipv4Address, type Ipv4Packet } from "./ipv4.ts";
import type { MacAddress } from "./mac.ts";
import { formatRoundTrip, PingStatistics } from "./ping-statistics.ts";
import { HOST_ADDRESS, type UserNetwork } from "./user-network.ts";

/** 10.0.0.2. */
export const GUEST_ADDRESS = 0x0a00_0002 as Ipv4Address;

/** Bytes of data in each request, ping(8)'s default. */
const DATA_LENGTH = 56;
const ARP_INTERVAL = SECOND;
/** How much longer a guest may take until its driver takes frames: on a busy host it boots slowly. */
const BOOTING_FACTOR = 3;
/** Which ping a reply belongs to: nobody else pings on this network. */
const IDENTIFIER = 1;

export interface PingResult {
  readonly sent: number;
  readonly received: number;
}

export interface PingOptions {
  readonly network: UserNetwork;
  readonly clock: Clock;
  /** Requests to send, at least 1. */
  readonly count: number;
  readonly target?: Ipv4Address;
  /** Nanoseconds between requests. The default is the shortest that ping(8) allows users. */
  readonly interval?: number;
  /** Nanoseconds to wait for the last replies. */
  readonly timeout?: number;
  /** Nanoseconds to wait for a guest that takes frames to answer ARP. */
  readonly startTimeout?: number;
  /** Whether the guest is kept from answering, as by a debugger: it has all the time then. */
  readonly held?: () => boolean;
  /** Gets lines without their ends. */
  readonly print: (line: string) => void;
  readonly done: (result: PingResult) => void;
}

/** Byte `i` of the data is `i`: a guest that mixes up its buffers is found out. */
const DATA = Uint8Array.from({ length: DATA_LENGTH }, (_, i) => i);

/**
 * Pings the guest from the built-in host and prints what iputils' ping(8) would. Nothing is sent
 * (and so nothing lost) before the guest answers ARP.
 */
export class Pinger {
  readonly #options: Required<PingOptions>;
  readonly #statistics = new PingStatistics();
  readonly #alarm: Alarm;
  readonly #name: string;
  /** When each request left, by sequence number - 1. */
  readonly #sentAt: Nanos[] = [];
  readonly #answered = new Set<number>();
  #mac: MacAddress | undefined;
  #giveUpStarting: Nanos = NEVER;
  /** The same of waiting for a driver. */
  #giveUpBooting: Nanos = NEVER;
  #startedAt: Nanos;
  #stopListening: () => void = () => {};
  #finished = false;

  constructor(options: PingOptions) {
    this.#options = {
      target: GUEST_ADDRESS,
      interval: 200 * MILLISECOND,
      timeout: SECOND,
      startTimeout: 10 * SECOND,
      held: () => false,
      ...options,
    };
    this.#name = formatIpv4(this.#options.target);
    this.#alarm = options.clock.alarm(() => this.#onAlarm());
    this.#startedAt = options.clock.now();
  }

  start(): void {
    const { network, clock, target } = this.#options;
    this.#stopListening = network.listen({
      neighbour: (address, mac) => {
        if (address === target) this.#onNeighbour(mac);
      },
      echoReply: (packet, echo) => {
        if (packet.source === target && echo.identifier === IDENTIFIER) {
          this.#onReply(packet, echo);
        }
      },
    });
    this.#startedAt = clock.now();
    this.#allowStarting();
    this.#resolve();
  }

  /** Ends early, with the statistics so far. Harmless when all is over. */
  stop(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#alarm.cancel();
    this.#stopListening();
    const { clock, print, done } = this.#options;
    const elapsed = Math.floor((clock.now() - this.#startedAt) / MILLISECOND);
    for (const line of this.#statistics.summary(this.#name, elapsed)) print(line);
    done({ sent: this.#statistics.transmitted, received: this.#statistics.received });
  }

  #onAlarm(): void {
    const { clock, held, interval } = this.#options;
    if (held()) {
      this.#allowStarting();
      this.#alarm.set(nanos(clock.now() + interval));
    } else if (this.#mac === undefined) this.#resolve();
    else if (this.#sentAt.length < this.#options.count) this.#send(this.#mac);
    else this.stop();
  }

  /** The guest has all of its time from now on. */
  #allowStarting(): void {
    const { clock, startTimeout } = this.#options;
    this.#giveUpStarting = nanos(clock.now() + startTimeout);
    this.#giveUpBooting = nanos(clock.now() + BOOTING_FACTOR * startTimeout);
  }

  #resolve(): void {
    const { network, clock, target, startTimeout } = this.#options;
    const now = clock.now();
    // A request that still waits for the guest's first buffers: there is no driver yet.
    const booting = network.pending > 0;
    if (booting && now < this.#giveUpBooting) this.#giveUpStarting = nanos(now + startTimeout);
    if (now >= this.#giveUpStarting) {
      this.#fail();
      return;
    }
    // First, since the answer may come from within the request.
    this.#alarm.set(nanos(Math.min(now + ARP_INTERVAL, this.#giveUpStarting)));
    if (!booting) network.requestNeighbour(target);
  }

  #fail(): void {
    this.#printHeader();
    this.#statistics.transmitted = 1;
    this.#statistics.errors = 1;
    const host = formatIpv4(HOST_ADDRESS);
    this.#options.print(`From ${host} icmp_seq=1 Destination Host Unreachable`);
    this.stop();
  }

  #onNeighbour(mac: MacAddress): void {
    const first = this.#mac === undefined;
    this.#mac = mac;
    if (!first) return;
    this.#printHeader();
    this.#startedAt = this.#options.clock.now();
    // Not from here: the guest's device is in the middle of sending.
    this.#alarm.set(this.#startedAt);
  }

  #printHeader(): void {
    const bytes = DATA_LENGTH + ICMP_HEADER_LENGTH + IPV4_MIN_HEADER_LENGTH;
    this.#options.print(
      `PING ${this.#name} (${this.#name}) ${DATA_LENGTH}(${bytes}) bytes of data.`,
    );
  }

  #send(mac: MacAddress): void {
    const { network, clock, target, count, interval, timeout } = this.#options;
    const now = clock.now();
    this.#sentAt.push(now);
    this.#statistics.transmitted++;
    this.#alarm.set(nanos(now + (this.#sentAt.length < count ? interval : timeout)));
    network.sendEcho(mac, target, {
      type: ICMP_ECHO_REQUEST,
      identifier: IDENTIFIER,
      sequence: this.#sentAt.length & 0xffff,
      data: DATA,
    });
  }

  #onReply(packet: Ipv4Packet, echo: IcmpEcho): void {
    const index = this.#indexOf(echo.sequence);
    const sentAt = this.#sentAt[index];
    if (sentAt === undefined) return;
    const micros = Math.floor((this.#options.clock.now() - sentAt) / MICROSECOND);
    const duplicate = this.#answered.has(index);
    this.#answered.add(index);
    if (duplicate) this.#statistics.duplicates++;
    else this.#statistics.addReply(micros);
    const length = ICMP_HEADER_LENGTH + echo.data.length;
    this.#options.print(
      `${length} bytes from ${this.#name}: icmp_seq=${echo.sequence} ttl=${packet.ttl}` +
        ` time=${formatRoundTrip(micros)}${duplicate ? " (DUP!)" : ""}`,
    );
    this.#checkData(echo.data);
    if (this.#answered.size === this.#options.count) this.#alarm.set(this.#options.clock.now());
  }

  /** Which request a 16-bit sequence number means: the latest one that has it. */
  #indexOf(sequence: number): number {
    const latest = this.#sentAt.length;
    return latest - ((latest - sequence) & 0xffff) - 1;
  }

  #checkData(data: Uint8Array): void {
    const at = DATA.findIndex((byte, i) => i < data.length && data[i] !== byte);
    if (at < 0) return;
    const [expected, found] = [DATA[at] as number, data[at] as number];
    this.#options.print(
      `wrong data byte #${at} should be 0x${expected.toString(16)} but was 0x${found.toString(16)}`,
    );
  }
}
