import type { Socket } from "node:net";
import type { OutsideStream, StreamListener } from "../core/outside.ts";

/** Segments of the guest are gathered to so many bytes, for one system call. */
const GATHERED = 65_536;
/** For so long a connection that is over waits for the other side to take something. Milliseconds. */
const LINGER = 60_000;

/** A connection of Node's. */
export class SocketStream implements OutsideStream {
  readonly #socket: Socket;
  #listener: StreamListener | undefined;
  #buffer: Buffer | undefined;
  /** Of the buffer, to be written. */
  #length = 0;
  #scheduled = false;

  /** @param socket may be half open */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("connect", () => this.#listener?.connected());
    socket.on("data", (bytes) => this.#listener?.received(bytes));
    socket.on("end", () => this.#listener?.ended());
    socket.on("drain", () => {
      this.#flush();
      this.#listener?.drained();
    });
    // Errors are followed by `close`.
    socket.on("error", () => {});
    socket.on("close", () => this.#listener?.closed());
    socket.pause();
  }

  listen(listener: StreamListener): void {
    this.#listener = listener;
  }

  get backlog(): number {
    return this.#socket.writableLength + this.#length;
  }

  write(bytes: Uint8Array, push: boolean): void {
    if (this.#length + bytes.length > GATHERED) this.#flush();
    // Behind bytes that the host has not taken there is no hurry, and each write takes memory.
    const behind = this.#socket.writableLength > 0;
    if (push && !behind && this.#length === 0) {
      this.#socket.write(Buffer.from(bytes), this.#written);
      return;
    }
    this.#buffer ??= Buffer.allocUnsafeSlow(GATHERED);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    if (behind) return;
    if (push) this.#flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#written();
      });
    }
  }

  end(): void {
    this.#flush();
    this.#socket.end();
  }

  setFlowing(on: boolean): void {
    if (on) this.#socket.resume();
    else this.#socket.pause();
  }

  reset(): void {
    this.#listener = undefined;
    this.#flush();
    // Node would wait for the connection, in order to reset it.
    if (this.#socket.connecting) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  close(): void {
    this.#listener = undefined;
    this.#flush();
    this.#socket.destroySoon();
    // Who reads nothing keeps neither the socket for ever nor the process from ending.
    this.#socket.setTimeout(LINGER, () => this.#socket.destroy());
    this.#socket.unref();
  }

  /** The host has taken something. */
  readonly #written = (): void => {
    if (this.#socket.writableLength === 0) this.#flush();
  };

  #flush(): void {
    if (this.#buffer === undefined || this.#length === 0) return;
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    this.#socket.write(bytes, this.#written);
    // What the host has not taken at once is still read from there.
    if (this.#socket.writableLength > 0) this.#buffer = undefined;
  }
}
