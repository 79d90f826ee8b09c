/**
 * What the gateway needs of the host: sockets. `host/` implements it; whatever knows TCP and UDP could.
 */

export interface Endpoint {
  /** Numeric, of IPv4 or IPv6. */
  readonly address: string;
  readonly port: number;
}

/** Hears of a connection on the host. */
export interface StreamListener {
  /** Of one that was asked for: it is there. */
  connected(): void;
  /** @param bytes are the listener's from now on */
  received(bytes: Uint8Array): void;
  /** The other side sends no more. */
  ended(): void;
  /** What was written has been taken, so that {@link OutsideStream.backlog} is 0. */
  drained(): void;
  /** It is gone: refused, unreachable, reset, or ended both ways. Not after `reset` or `close`. */
  closed(): void;
}

/** A connection on the host. */
export interface OutsideStream {
  /** Bytes written that the host has not taken. */
  readonly backlog: number;
  /** @param bytes valid during the call @param push they are not to wait for more */
  write(bytes: Uint8Array, push: boolean): void;
  /** No more will be written. */
  end(): void;
  /** Whether `received` may be called. */
  setFlowing(on: boolean): void;
  /** Ends it so that the other side sees a failure, behind what was written and could leave at once. */
  reset(): void;
  /** What was written before `end` still leaves, while the program runs; nothing more is heard. */
  close(): void;
}

/** Messages to one endpoint, and from there. */
export interface OutsideDatagrams {
  /** @param bytes valid during the call */
  send(bytes: Uint8Array): void;
  close(): void;
}

export interface Outside {
  /** The host's name servers. */
  readonly resolvers: readonly Endpoint[];
  connect(to: Endpoint, listener: StreamListener): OutsideStream;
  /** @param receive gets bytes that are its own from now on, or undefined if nobody is there */
  exchange(to: Endpoint, receive: (bytes: Uint8Array | undefined) => void): OutsideDatagrams;
}

/** A port of the host whose connections are for the guest. */
export interface PublishedStreams {
  readonly kind: "tcp";
  readonly guestPort: number;
  /** @param accept gets each connection, which does not flow yet, and says who listens to it */
  start(accept: (stream: OutsideStream) => StreamListener): void;
}

/** A port of the host whose messages are for the guest. */
export interface PublishedDatagrams {
  readonly kind: "udp";
  readonly guestPort: number;
  /** @param receive gets bytes that are its own from now on */
  start(receive: (bytes: Uint8Array, from: Endpoint) => void): void;
  /** @param bytes valid during the call */
  send(bytes: Uint8Array, to: Endpoint): void;
}

export type Published = PublishedStreams | PublishedDatagrams;
