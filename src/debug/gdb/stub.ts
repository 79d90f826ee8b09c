import { GuestError, HostError } from "../../core/errors.ts";
import type { Outcome } from "../../machine/outcome.ts";
import type { Stop } from "../../machine/run-control.ts";
import { BREAKPOINT_HANDLERS } from "./breakpoint-packets.ts";
import { BreakpointTable } from "./breakpoint-table.ts";
import { EXECUTION_HANDLERS } from "./execution-packets.ts";
import { HOST_FILE_HANDLERS, HostFiles } from "./host-files.ts";
import { MEMORY_HANDLERS } from "./memory-packets.ts";
import { ACK, encodePacket, NAK, PacketReader, type Received } from "./packet.ts";
import { QUERY_HANDLERS } from "./query-packets.ts";
import { REGISTER_HANDLERS } from "./register-packets.ts";
import { ERROR, type Handlers, type Session, UNSUPPORTED } from "./session.ts";
import { endReply, stopReply } from "./stop-reply.ts";
import type { DebugTarget } from "./target.ts";
import { TRANSFER_HANDLERS } from "./transfer-packets.ts";

const HANDLERS: Handlers = {
  ...REGISTER_HANDLERS,
  ...MEMORY_HANDLERS,
  ...BREAKPOINT_HANDLERS,
  ...EXECUTION_HANDLERS,
  ...QUERY_HANDLERS,
  ...TRANSFER_HANDLERS,
  ...HOST_FILE_HANDLERS,
};

/** Packets that wait for the guest to stand still; a client that sends more is not listened to. */
const MAX_WAITING = 64;

/** A packet's name: a word for `q`, `Q` and `v`, else one character. */
const NAME = /^(?:[qQv][A-Za-z]*\??|.)/s;

export interface StubOptions {
  readonly target: DebugTarget;
  /** To the debugger. */
  readonly send: (bytes: Uint8Array) => void;
  /** The session is over from our side. */
  readonly close: () => void;
}

/**
 * One debugger's session, from its connection until it goes: GDB's remote serial protocol (GDB
 * manual, appendix E), in all-stop mode with one thread. The guest is stopped at the start.
 *
 * Whatever arrives, in whatever pieces, does no harm: what is no packet is skipped, what is unknown
 * gets the empty reply.
 */
export class GdbStub implements Session {
  readonly target: DebugTarget;
  readonly breakpoints = new BreakpointTable();
  readonly files: HostFiles;
  stop: Stop = { kind: "asked" };
  interrupted = false;
  tellsBreakpoints = false;
  noAcknowledgements = false;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #close: () => void;
  readonly #reader = new PacketReader();
  readonly #waiting: string[] = [];
  /** The guest has been told to go on: the next stop is the reply. */
  #running = false;
  #over = false;
  #lastReply: Uint8Array = new Uint8Array(0);

  constructor({ target, send, close }: StubOptions) {
    this.target = target;
    this.files = new HostFiles(target.executable);
    this.#send = send;
    this.#close = close;
    target.stop();
  }

  /** Bytes from the debugger. */
  receive(bytes: Uint8Array): void {
    this.#reader.feed(bytes, (received) => {
      if (!this.#over) this.#take(received);
    });
  }

  /** The guest stands still. */
  stopped(stop: Stop): void {
    if (this.#over) return;
    this.stop = stop;
    if (this.#running) {
      this.#running = false;
      this.#reply(stopReply(this));
    }
    this.#handleWaiting();
  }

  /** The run is over. */
  ended(outcome: Outcome): void {
    if (this.#over) return;
    // Asked for nothing, the debugger learns it from the connection's end.
    if (this.#running) this.#reply(endReply(outcome));
    this.#end();
  }

  /** The connection is gone: the guest goes on without. */
  disconnected(): void {
    if (this.#over) return;
    this.#over = true;
    this.target.release();
  }

  resume({ step, range }: { step: boolean; range?: { start: bigint; end: bigint } }): void {
    this.#running = true;
    this.interrupted = false;
    this.target.resume({
      stops: this.breakpoints.stops(step),
      interrupts: this.target.interruptsWhileStepping,
      ...(range !== undefined && { range }),
    });
  }

  detach(): void {
    // The reply is sent first.
    this.#detaching = true;
  }
  #detaching = false;

  #take(received: Received): void {
    switch (received.kind) {
      case "interrupt":
        if (!this.#running) return;
        this.interrupted = true;
        this.target.stop();
        return;
      case "ack":
        return;
      case "nak":
        if (!this.noAcknowledgements) this.#send(this.#lastReply);
        return;
      case "damaged":
        if (!this.noAcknowledgements) this.#send(NAK);
        return;
      case "packet":
        if (!this.noAcknowledgements) this.#send(ACK);
        if (this.#waiting.length >= MAX_WAITING) return;
        this.#waiting.push(received.data);
        this.#handleWaiting();
    }
  }

  #handleWaiting(): void {
    while (!this.#over && this.target.standing && !this.#running) {
      const packet = this.#waiting.shift();
      if (packet === undefined) return;
      this.#handle(packet);
    }
  }

  #handle(packet: string): void {
    const name = NAME.exec(packet)?.[0] ?? "";
    const handler = Object.hasOwn(HANDLERS, name) ? HANDLERS[name] : undefined;
    let reply: string | undefined = UNSUPPORTED;
    try {
      if (handler !== undefined) reply = handler(this, packet.slice(name.length));
    } catch (error) {
      if (!(error instanceof GuestError || error instanceof HostError)) throw error;
      reply = ERROR;
    }
    if (reply !== undefined) this.#reply(reply);
    if (!this.#detaching) return;
    this.disconnected();
    this.#close();
  }

  #reply(data: string): void {
    this.#lastReply = encodePacket(data);
    this.#send(this.#lastReply);
  }

  #end(): void {
    this.#over = true;
    this.#close();
  }
}
