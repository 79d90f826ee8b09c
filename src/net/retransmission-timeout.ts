import { MILLISECOND, SECOND } from "../core/units.ts";

/** As Linux has it; RFC 6298 (2.4) wants a second, for networks longer than a cable within a machine. */
const MIN_TIMEOUT = 200 * MILLISECOND;
const MAX_TIMEOUT = 60 * SECOND;
/** RFC 6298 (2.1). */
const FIRST_TIMEOUT = SECOND;

/** How long to wait for an acknowledgement (RFC 6298). */
export class RetransmissionTimeout {
  #smoothed: number | undefined;
  #variation = 0;
  #computed = FIRST_TIMEOUT;
  #backoff = 1;

  /** Nanoseconds. */
  get value(): number {
    return Math.min(MAX_TIMEOUT, this.#computed * this.#backoff);
  }

  /** A round trip of a segment that was sent once took so long (2.2, 2.3). */
  measured(duration: number): void {
    if (this.#smoothed === undefined) {
      this.#smoothed = duration;
      this.#variation = duration / 2;
    } else {
      this.#variation += (Math.abs(this.#smoothed - duration) - this.#variation) / 4;
      this.#smoothed += (duration - this.#smoothed) / 8;
    }
    this.#computed = Math.max(MIN_TIMEOUT, this.#smoothed + 4 * this.#variation);
  }

  /** It has passed (5.5). */
  expired(): void {
    if (this.value < MAX_TIMEOUT) this.#backoff *= 2;
  }

  /** Something new was acknowledged. */
  progressed(): void {
    this.#backoff = 1;
  }
}
