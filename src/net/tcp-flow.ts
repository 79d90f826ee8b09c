import type { Clock } from "../core/clock.ts";
import type { OutsideStream, StreamListener } from "../core/outside.ts";
import type { FlowTimers } from "./flow-timers.ts";
import type { PacketSender } from "./packet-sender.ts";
import type { Route } from "./route.ts";
import { refusalOf, TCP_FLAG, type TcpSegment } from "./tcp.ts";
import { TcpConnection } from "./tcp-connection.ts";
import { MAX_WINDOW } from "./tcp-receive-window.ts";
import type { TcpPath, TcpUser } from "./tcp-user.ts";

/** Bytes for the guest at which the host's connection is not read any further, or is again. */
const FULL = MAX_WINDOW;
const LOW = FULL / 2;

export interface FlowParts {
  readonly sender: PacketSender;
  readonly clock: Clock;
  readonly timers: FlowTimers;
  /** 32 bits that nobody can guess. */
  readonly random: () => number;
  /** The flow is to be told by {@link TcpFlow.output} when the link is clear. */
  readonly wait: (flow: TcpFlow) => void;
  /** It is over. */
  readonly forget: (flow: TcpFlow) => void;
}

/** A connection of the guest, and the host's that belongs to it. */
export class TcpFlow {
  readonly route: Route;
  readonly connection: TcpConnection;
  /** The host's side hears here. */
  readonly listener: StreamListener;
  #stream: OutsideStream | undefined;
  /** The guest's SYN, until the host's connection is there. */
  #syn: TcpSegment | undefined;
  #flowing = false;
  /** The outside, or the guest, sends no more. */
  #ended = false;
  #finished = false;
  readonly #parts: FlowParts;

  constructor(route: Route, parts: FlowParts) {
    this.route = route;
    this.#parts = parts;
    const { clock, timers, random } = parts;
    this.connection = new TcpConnection(this.#path(), this.#user(), clock, timers, random());
    this.listener = {
      connected: () => this.#connected(),
      received: (bytes) => this.#received(bytes),
      ended: () => {
        this.#ended = true;
        this.connection.end();
      },
      drained: () => this.connection.roomGrown(),
      closed: () => this.#streamClosed(),
    };
  }

  /** The guest wants a connection; `stream` is on its way. */
  dial(syn: TcpSegment, stream: OutsideStream): void {
    this.#stream = stream;
    this.#syn = { ...syn, payload: syn.payload.slice() };
  }

  /** Somebody wants a connection with the guest. */
  connect(stream: OutsideStream): void {
    this.#stream = stream;
    this.connection.connect();
  }

  accept(segment: TcpSegment): void {
    if (this.#syn === undefined) this.connection.accept(segment);
    // A guest that changes its mind before there is an answer.
    else if ((segment.flags & TCP_FLAG.RST) !== 0) {
      this.#syn = undefined;
      this.connection.abort();
    }
  }

  output(): void {
    this.connection.output();
  }

  /** The network is closed. */
  close(): void {
    if (this.#finished) this.#stream?.close();
    else this.#stream?.reset();
    this.#stream = undefined;
    this.connection.abort();
  }

  #path(): TcpPath {
    const { sender, wait } = this.#parts;
    return {
      get clear() {
        return sender.link.pending === 0;
      },
      wait: () => wait(this),
      get maxSegmentData() {
        return sender.maxSegmentData;
      },
      send: (header, data) => sender.sendTcp(this.route, header, data),
    };
  }

  #user(): TcpUser {
    const backlog = (): number => this.#stream?.backlog ?? 0;
    return {
      get room() {
        return Math.max(0, MAX_WINDOW - backlog());
      },
      established: () => this.#setFlowing(true),
      received: (bytes, push) => this.#stream?.write(bytes, push),
      finished: () => {
        this.#finished = true;
        this.#stream?.end();
      },
      acknowledged: () => {
        if (!this.#flowing && this.connection.queued < LOW) this.#setFlowing(true);
      },
      closed: (reset) => this.#connectionClosed(reset),
    };
  }

  #setFlowing(on: boolean): void {
    this.#flowing = on;
    this.#stream?.setFlowing(on);
  }

  #connected(): void {
    const syn = this.#syn;
    this.#syn = undefined;
    if (syn !== undefined) this.connection.acceptSyn(syn);
  }

  #received(bytes: Uint8Array): void {
    this.connection.write(bytes);
    if (this.#flowing && this.connection.queued >= FULL) this.#setFlowing(false);
  }

  #streamClosed(): void {
    this.#stream = undefined;
    const syn = this.#syn;
    this.#syn = undefined;
    if (syn !== undefined) this.#parts.sender.sendTcp(this.route, refusalOf(syn));
    if (!this.#ended || !this.#finished) this.connection.abort();
  }

  #connectionClosed(reset: boolean): void {
    if (reset) this.#stream?.reset();
    else this.#stream?.close();
    this.#stream = undefined;
    this.#parts.forget(this);
  }
}
