import type { BlockBackend, FrameReceiver, NetBackend } from "../../src/core/backends.ts";
import { HostError } from "../../src/core/errors.ts";

/** A link whose other end is the test: it sees what the guest sends, and sends by hand. */
export class FakeLink implements NetBackend {
  readonly mtu: number;
  readonly offloads: number;
  /** What the guest takes. */
  guestOffloads = 0;
  readonly sent: Uint8Array[] = [];
  /** What was said to be undone of each frame sent. */
  readonly headers: (Uint8Array | undefined)[] = [];
  resumed = 0;
  /** Every frame from the guest comes straight back. */
  echo = false;
  /** Thrown at every frame, while set. */
  failure: HostError | undefined;
  #receive: FrameReceiver = () => false;

  constructor(mtu = 1500, offloads = 0) {
    this.mtu = mtu;
    this.offloads = offloads;
  }

  transmit(frame: Uint8Array, header?: Uint8Array): void {
    if (this.failure !== undefined) throw this.failure;
    this.sent.push(frame.slice());
    this.headers.push(header?.slice());
    if (this.echo) this.#receive(frame, header);
  }

  connect(receive: FrameReceiver): void {
    this.#receive = receive;
  }

  setGuestOffloads(offloads: number): void {
    this.guestOffloads = offloads;
  }

  /** A frame for the guest; false when it has no room. */
  deliver(frame: Uint8Array, header?: Uint8Array): boolean {
    return this.#receive(frame, header);
  }

  resume(): void {
    this.resumed++;
  }

  close(): void {}
}

/** A disk in memory that counts flushes and can fail. */
export class FakeDisk implements BlockBackend {
  readonly bytes: Uint8Array;
  readonly readOnly: boolean;
  flushes = 0;
  broken = false;

  constructor(sectors: number, readOnly = false) {
    this.bytes = new Uint8Array(512 * sectors);
    this.readOnly = readOnly;
  }

  get capacity(): number {
    return this.bytes.length;
  }

  read(offset: number, into: Uint8Array): void {
    this.#check();
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  write(offset: number, from: Uint8Array): void {
    this.#check();
    this.bytes.set(from, offset);
  }

  flush(): void {
    this.#check();
    this.flushes++;
  }

  close(): void {}

  #check(): void {
    if (this.broken) throw new HostError("cannot access the disk", { errno: "EIO" });
  }
}
