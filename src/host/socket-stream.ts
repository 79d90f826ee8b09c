import type { Socket } from "node:net";
import type { OutsideStream, StreamListener } from "../core/outside.ts";

/** Segments of the guest are gathered to so many bytes, for one system call. */
const GATHERED = 65_536;

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
    socket.on("drain", () => this.#listener?.drained());
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
    if (push && this.#length === 0) {
      this.#socket.write(Buffer.from(bytes));
      return;
    }
    this.#buffer ??= Buffer.allocUnsafeSlow(GATHERED);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    if (push) this.#flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#flush();
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
    this.#length = 0;
    this.#socket.resetAndDestroy();
  }

  close(): void {
    this.#listener = undefined;
    this.#flush();
    this.#socket.destroySoon();
    // Somebody who reads nothing does not keep the process from ending.
    this.#socket.unref();
  }

  #flush(): void {
    if (this.#buffer === undefined || this.#length === 0) return;
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    this.#socket.write(bytes);
    // What the host has not taken at once is still read from there.
    if (this.#socket.writableLength > 0) this.#buffer = undefined;
  }
}
