import { KIB } from "../core/units.ts";
import { sequenceAdd, sequenceDistance } from "./sequence.ts";

/** What the guest may send ahead. */
export const MAX_WINDOW = 256 * KIB;
/** {@link MAX_WINDOW} is then a number of 16 bits. */
export const WINDOW_SCALE = 3;
/** An offer that grows by less would be silly (RFC 9293 §3.8.6.2.2). */
const WORTH = 1460;

/** What of the guest's numbers we have, and what we are ready for. */
export class ReceiveWindow {
  readonly #user: { readonly room: number };
  #next = 0;
  /** The first number behind the window. It never goes back. */
  #edge = 0;
  #acknowledged = 0;
  #scaled = false;

  constructor(user: { readonly room: number }) {
    this.#user = user;
  }

  /** @param scaled whether the guest understands windows of more than 16 bits */
  start(next: number, scaled: boolean): void {
    this.#next = this.#edge = this.#acknowledged = next;
    this.#scaled = scaled;
  }

  get scaled(): boolean {
    return this.#scaled;
  }

  /** RCV.NXT */
  get next(): number {
    return this.#next;
  }

  get size(): number {
    return Math.max(0, sequenceDistance(this.#edge, this.#next));
  }

  /** Bytes that have come since the last acknowledgement. */
  get unacknowledged(): number {
    return sequenceDistance(this.#next, this.#acknowledged);
  }

  /** Whether the guest should hear at once how much room there is now. */
  get worthTelling(): boolean {
    const growth = sequenceDistance(this.#offer(), this.#edge);
    return growth >= WORTH && (growth >= MAX_WINDOW / 4 || this.size < 2 * WORTH);
  }

  take(count: number): void {
    this.#next = sequenceAdd(this.#next, count);
  }

  /**
   * Whether something of a segment is for now (RFC 9293 §3.10.7.4). At a closed window it may be its
   * acknowledgement only.
   */
  accepts(sequence: number, length: number): boolean {
    const start = sequenceDistance(sequence, this.#next);
    if (start === 0) return true;
    const { size } = this;
    const last = start + Math.max(0, length - 1);
    return (start > 0 && start < size) || (start < 0 && last >= 0);
  }

  /** What is to be told of the window, with an acknowledgement of all that has come. */
  advertise(scale: boolean): number {
    const offer = this.#offer();
    if (sequenceDistance(offer, this.#edge) >= WORTH) this.#edge = offer;
    this.#acknowledged = this.#next;
    return Math.min(0xffff, scale && this.#scaled ? this.size >>> WINDOW_SCALE : this.size);
  }

  #offer(): number {
    const room = Math.min(this.#user.room, this.#scaled ? MAX_WINDOW : 0xffff);
    return sequenceAdd(this.#next, room);
  }
}
