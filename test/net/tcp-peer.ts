import { ETHERTYPE_IPV4, parseEthernet } from "../../src/net/ethernet.ts";
import { type Ipv4Address, type Ipv4Packet, PROTOCOL_TCP, parseIpv4 } from "../../src/net/ipv4.ts";
import { sequenceAdd, sequenceDistance } from "../../src/net/sequence.ts";
import {
  parseTcp,
  sequenceLength,
  TCP_FLAG,
  type TcpHeader,
  type TcpSegment,
  tcpHeaderLength,
  writeTcpHeader,
} from "../../src/net/tcp.ts";
import { GUEST, type SimulatedGuest } from "./simulated-guest.ts";

const { FIN, SYN, ACK, PSH } = TCP_FLAG;

/** A segment as the payload of a packet. @param partial its checksum is still to be made */
export function serialiseTcp(
  header: TcpHeader,
  payload: Uint8Array,
  addresses: Pick<Ipv4Packet, "source" | "destination">,
  partial = false,
): Uint8Array {
  const bytes = new Uint8Array(tcpHeaderLength(header) + payload.length);
  bytes.set(payload, tcpHeaderLength(header));
  writeTcpHeader(bytes, header, addresses, partial);
  return bytes;
}

/** The segment in a frame. */
export function tcpOf(frame: Uint8Array): TcpSegment | undefined {
  const ethernet = parseEthernet(frame);
  const packet = ethernet?.type === ETHERTYPE_IPV4 ? parseIpv4(ethernet.payload) : undefined;
  return packet?.protocol === PROTOCOL_TCP ? parseTcp(packet.payload, packet) : undefined;
}

export interface PeerOptions {
  readonly port?: number;
  readonly remote?: Ipv4Address;
  readonly remotePort?: number;
  readonly iss?: number;
  /** Bytes. */
  window?: number;
  readonly mss?: number;
  readonly scale?: number | undefined;
}

/**
 * The guest's end of a connection, as plain as can be: what is out of order is dropped, and after a
 * while without progress everything is sent again.
 */
export class TcpPeer {
  readonly segments: TcpSegment[] = [];
  readonly received: Uint8Array[] = [];
  readonly guest: SimulatedGuest;
  readonly port: number;
  readonly remote: Ipv4Address;
  remotePort: number;
  window: number;
  /** Of what is sent next; the end of what is acknowledged; of what is expected. */
  next: number;
  una: number;
  expected = 0;
  /** The other side's FIN has come. */
  finished = false;
  open = false;
  reset = false;
  readonly #mss: number;
  readonly #scale: number | undefined;
  #data: Uint8Array = new Uint8Array(0);
  #end: number | undefined;
  #peerWindow = 0;
  #peerScale = 0;

  constructor(guest: SimulatedGuest, options: PeerOptions = {}) {
    this.guest = guest;
    this.port = options.port ?? 40_000;
    this.remote = options.remote ?? (0xc000_0207 as Ipv4Address);
    this.remotePort = options.remotePort ?? 80;
    this.window = options.window ?? 65_535;
    this.#mss = options.mss ?? 1460;
    this.#scale = options.scale;
    this.next = this.una = options.iss ?? 1000;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }

  get last(): TcpSegment | undefined {
    return this.segments.at(-1);
  }

  /** Whether all is said, and heard by the other side. */
  get settled(): boolean {
    return this.open && this.una === this.#limit;
  }

  get #limit(): number {
    const start = this.#start ?? this.una;
    return sequenceAdd(start, this.#data.length + (this.#end === undefined ? 0 : 1));
  }

  #start: number | undefined;

  connect(): void {
    this.transmit({ flags: SYN, sequence: this.una });
    this.next = sequenceAdd(this.una, 1);
  }

  send(data: Uint8Array): void {
    this.#data = Buffer.concat([this.#data, data]);
    this.output();
  }

  end(): void {
    this.#end = this.#data.length;
    this.output();
  }

  /** Sends any segment; what is not said is as the connection has it. */
  transmit(changes: Partial<TcpSegment>): void {
    const syn = ((changes.flags ?? ACK) & SYN) !== 0;
    const shift = syn ? 0 : this.#shift;
    const header = {
      sourcePort: this.port,
      destinationPort: this.remotePort,
      sequence: this.next,
      acknowledgement: this.expected,
      flags: ACK,
      window: Math.min(0xffff, this.window >>> shift),
      maxSegmentSize: this.#mss,
      windowScale: this.#scale,
      ...changes,
    };
    const addresses = { source: GUEST, destination: this.remote };
    const payload = serialiseTcp(header, changes.payload ?? new Uint8Array(0), addresses);
    this.guest.sendPacket({ ...addresses, protocol: PROTOCOL_TCP, payload });
  }

  get #shift(): number {
    return this.#scaled ? (this.#scale ?? 0) : 0;
  }

  #scaled = false;

  /** A segment has come. */
  take(segment: TcpSegment): void {
    this.segments.push(segment);
    const { flags, sequence, acknowledgement } = segment;
    if ((flags & TCP_FLAG.RST) !== 0) {
      this.reset = true;
      return;
    }
    if ((flags & SYN) !== 0) {
      this.#takeSyn(segment);
      return;
    }
    if (!this.open) {
      if (acknowledgement !== sequenceAdd(this.una, 1) || this.expected === 0) return;
      this.#establish(acknowledgement);
    }
    if (sequenceDistance(acknowledgement, this.una) > 0) this.una = acknowledgement;
    if (sequenceDistance(this.una, this.next) > 0) this.next = this.una;
    this.#peerWindow = segment.window << this.#peerScale;
    this.#takePayload(segment);
    if (sequenceLength(segment) > 0) this.transmit({ sequence: this.next });
    else if (sequence !== this.expected) this.transmit({});
    this.output();
  }

  /** Sends everything again that is not acknowledged. */
  retry(): void {
    if (!this.open) {
      if (this.expected === 0) this.connect();
      return;
    }
    this.next = this.una;
    this.output(true);
  }

  output(probe = false): void {
    if (!this.open) return;
    const start = this.#start as number;
    for (let room = probe ? 1 : 0; ; room = 0) {
      const at = sequenceDistance(this.next, start);
      const edge = sequenceDistance(this.una, start) + Math.max(room, this.#peerWindow);
      const length = Math.min(this.#mss, this.#data.length - at, edge - at);
      const fin = this.#end !== undefined && at + Math.max(0, length) === this.#end;
      if (length <= 0 && !(fin && at === this.#end)) return;
      const payload = this.#data.slice(at, at + Math.max(0, length));
      const flags = ACK | PSH | (fin ? FIN : 0);
      const sequence = this.next;
      this.next = sequenceAdd(this.next, payload.length + (fin ? 1 : 0));
      this.transmit({ flags, sequence, payload });
    }
  }

  #takeSyn(segment: TcpSegment): void {
    const { flags, sequence, acknowledgement } = segment;
    if (this.open) {
      this.transmit({});
      return;
    }
    this.expected = sequenceAdd(sequence, 1);
    this.#scaled = segment.windowScale !== undefined && this.#scale !== undefined;
    this.#peerScale = this.#scaled ? (segment.windowScale ?? 0) : 0;
    this.#peerWindow = segment.window;
    if ((flags & ACK) !== 0) {
      this.#establish(acknowledgement);
      this.transmit({});
      this.output();
    } else this.transmit({ flags: SYN | ACK, sequence: this.una });
  }

  #establish(acknowledgement: number): void {
    this.open = true;
    this.#start = this.una = this.next = acknowledgement;
  }

  #takePayload({ sequence, flags, payload }: TcpSegment): void {
    const had = sequenceDistance(this.expected, sequence);
    if (had < 0 || this.finished) return;
    const data = payload.slice(had, had + this.window);
    this.received.push(data);
    this.expected = sequenceAdd(this.expected, data.length);
    if ((flags & FIN) === 0 || had + data.length < payload.length) return;
    this.expected = sequenceAdd(this.expected, 1);
    this.finished = true;
  }
}
