import { sequenceAdd, sequenceDistance } from "./sequence.ts";

/** Segments that leave at once, at most. */
const MAX_BURST = 64;

/**
 * What is sent again after a loss, until all that was on its way then is acknowledged: after a timeout
 * everything, in bursts that grow as they are acknowledged; after duplicate acknowledgements the
 * segment that each partial one asks for (RFC 6582).
 */
export class TcpRecovery {
  #active = false;
  #all = false;
  #end = 0;
  #next = 0;
  #burst = 1;
  #owed = 0;

  get active(): boolean {
    return this.#active;
  }

  /** Where to go on. */
  get next(): number {
    return this.#next;
  }

  /** Whether a segment is to be sent now. */
  get owes(): boolean {
    return this.#active && this.#owed > 0 && sequenceDistance(this.#end, this.#next) > 0;
  }

  /** @param all see above */
  start(una: number, end: number, all: boolean): void {
    this.#active = true;
    this.#all = all;
    this.#next = una;
    this.#end = end;
    this.#burst = this.#owed = 1;
  }

  sent(length: number): void {
    this.#next = sequenceAdd(this.#next, length);
    this.#owed--;
  }

  advanced(una: number): void {
    if (!this.#active) return;
    if (sequenceDistance(una, this.#end) >= 0) {
      this.#active = false;
      return;
    }
    if (this.#all) this.#burst = Math.min(MAX_BURST, 2 * this.#burst);
    if (!this.#all || sequenceDistance(una, this.#next) > 0) this.#next = una;
    this.#owed = this.#burst;
  }
}
