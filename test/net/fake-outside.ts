import type {
  Endpoint,
  Outside,
  OutsideDatagrams,
  OutsideStream,
  PublishedDatagrams,
  PublishedStreams,
  StreamListener,
} from "../../src/core/outside.ts";

/** A connection of a host that takes what it is given, unless told not to. */
export class FakeStream implements OutsideStream {
  readonly to: Endpoint | undefined;
  listener: StreamListener | undefined;
  readonly written: Uint8Array[] = [];
  backlog = 0;
  /** Whether what is written stays in the backlog. */
  stuck = false;
  flowing = false;
  state: "open" | "ended" | "reset" | "closed" = "open";
  /** The other side's. */
  #unread: Uint8Array[] = [];
  #finished = false;

  constructor(to?: Endpoint, listener?: StreamListener) {
    this.to = to;
    this.listener = listener;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.written);
  }

  write(bytes: Uint8Array): void {
    this.written.push(bytes.slice());
    if (this.stuck) this.backlog += bytes.length;
  }

  end(): void {
    this.state = "ended";
  }

  setFlowing(on: boolean): void {
    this.flowing = on;
  }

  reset(): void {
    this.state = "reset";
  }

  close(): void {
    this.state = "closed";
  }

  /** The other side sends; it arrives while it is let flow. */
  send(bytes: Uint8Array, piece = 65_536): void {
    for (let at = 0; at < bytes.length; at += piece) {
      this.#unread.push(bytes.subarray(at, at + piece));
    }
    this.pump();
  }

  finish(): void {
    this.#finished = true;
    this.pump();
  }

  pump(): void {
    while (this.flowing && this.#unread.length > 0) {
      this.listener?.received(this.#unread.shift() as Uint8Array);
    }
    if (!this.flowing || !this.#finished || this.#unread.length > 0) return;
    this.#finished = false;
    this.listener?.ended();
  }

  drain(): void {
    this.backlog = 0;
    this.listener?.drained();
  }
}

export class FakeDatagrams implements OutsideDatagrams {
  readonly to: Endpoint;
  readonly receive: (bytes: Uint8Array | undefined) => void;
  readonly sent: string[] = [];
  closed = false;

  constructor(to: Endpoint, receive: (bytes: Uint8Array | undefined) => void) {
    this.to = to;
    this.receive = receive;
  }

  send(bytes: Uint8Array): void {
    this.sent.push(Buffer.from(bytes).toString());
  }

  close(): void {
    this.closed = true;
  }
}

/** A host whose sockets are the test's. */
export class FakeOutside implements Outside {
  readonly resolvers: readonly Endpoint[] = [
    { address: "192.0.2.53", port: 53 },
    { address: "::1", port: 5353 },
  ];
  readonly streams: FakeStream[] = [];
  readonly exchanges: FakeDatagrams[] = [];

  connect(to: Endpoint, listener: StreamListener): FakeStream {
    const stream = new FakeStream(to, listener);
    this.streams.push(stream);
    return stream;
  }

  exchange(to: Endpoint, receive: (bytes: Uint8Array | undefined) => void): FakeDatagrams {
    const datagrams = new FakeDatagrams(to, receive);
    this.exchanges.push(datagrams);
    return datagrams;
  }
}

export class FakeStreamPort implements PublishedStreams {
  readonly kind = "tcp";
  readonly guestPort: number;
  #accept: ((stream: OutsideStream) => StreamListener) | undefined;

  constructor(guestPort: number) {
    this.guestPort = guestPort;
  }

  start(accept: (stream: OutsideStream) => StreamListener): void {
    this.#accept = accept;
  }

  connect(): FakeStream {
    const stream = new FakeStream();
    stream.listener = this.#accept?.(stream);
    return stream;
  }
}

export class FakeDatagramPort implements PublishedDatagrams {
  readonly kind = "udp";
  readonly guestPort: number;
  readonly sent: [string, Endpoint][] = [];
  receive: (bytes: Uint8Array, from: Endpoint) => void = () => {};

  constructor(guestPort: number) {
    this.guestPort = guestPort;
  }

  start(receive: (bytes: Uint8Array, from: Endpoint) => void): void {
    this.receive = receive;
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    this.sent.push([Buffer.from(bytes).toString(), to]);
  }
}
