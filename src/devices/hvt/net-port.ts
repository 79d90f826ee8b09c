import type { NetBackend } from "../../core/backends.ts";
import { HostError } from "../../core/errors.ts";

const ETHERNET_HEADER_LENGTH = 14;
const VLAN_TAG_LENGTH = 4;
/** Frames that wait for the guest to read them; what comes then waits at the back end. */
const QUEUE_LENGTH = 64;

export interface NetPortOptions {
  readonly backend: NetBackend;
  /** Six bytes. */
  readonly mac: Uint8Array;
  /** There is something to read, where there was nothing. */
  readonly onReady: () => void;
  /** The host failed; the frame is lost. */
  readonly report: (error: HostError) => void;
}

/** A network device without registers: whole frames go in and out by calls. */
export class NetPort {
  readonly mac: Uint8Array;
  readonly mtu: number;
  /** In is towards the guest. Dropped: frames of a length that the other side cannot take. */
  readonly stats = { framesIn: 0, bytesIn: 0, framesOut: 0, bytesOut: 0, dropped: 0 };
  readonly #options: NetPortOptions;
  readonly #frame: Uint8Array;
  readonly #waiting: Uint8Array[] = [];
  #backendWaits = false;

  constructor(options: NetPortOptions) {
    this.#options = options;
    this.mac = options.mac;
    this.mtu = options.backend.mtu;
    this.#frame = new Uint8Array(ETHERNET_HEADER_LENGTH + VLAN_TAG_LENGTH + this.mtu);
    options.backend.connect((frame) => this.#receive(frame));
  }

  /** Whether {@link read} has something. */
  get ready(): boolean {
    return this.#waiting.length > 0;
  }

  /**
   * @param frame in the guest's memory, where it may change: it is copied first
   * @returns false when this is no frame that the link carries
   */
  write(frame: Uint8Array): boolean {
    if (frame.length < ETHERNET_HEADER_LENGTH || frame.length > this.#frame.length) {
      this.stats.dropped++;
      return false;
    }
    this.#frame.set(frame);
    try {
      this.#options.backend.transmit(this.#frame.subarray(0, frame.length));
      this.stats.framesOut++;
      this.stats.bytesOut += frame.length;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      this.stats.dropped++;
      this.#options.report(error);
    }
    return true;
  }

  /**
   * The next frame, as much of it as there is room for.
   * @returns bytes of it; 0 when there is none
   */
  read(into: Uint8Array): number {
    const frame = this.#waiting.shift();
    if (frame === undefined) return 0;
    const length = Math.min(frame.length, into.length);
    into.set(length < frame.length ? frame.subarray(0, length) : frame);
    this.stats.framesIn++;
    this.stats.bytesIn += length;
    if (this.#backendWaits) {
      this.#backendWaits = false;
      this.#options.backend.resume();
    }
    return length;
  }

  #receive(frame: Uint8Array): boolean {
    if (this.#waiting.length >= QUEUE_LENGTH) {
      this.#backendWaits = true;
      return false;
    }
    this.#waiting.push(frame.slice());
    if (this.#waiting.length === 1) this.#options.onReady();
    return true;
  }
}
