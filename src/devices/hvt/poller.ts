import type { Alarm, Clock } from "../../core/clock.ts";
import { nanos } from "../../core/units.ts";

/**
 * The one call in which a guest without interrupts waits: for a time to pass, or for something to
 * read. The guest does not run meanwhile; the host's event loop does.
 */
export class Poller {
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #isReady: () => boolean;
  #complete: (() => void) | undefined;

  /** @param isReady whether there is something to read */
  constructor(clock: Clock, isReady: () => boolean) {
    this.#clock = clock;
    this.#isReady = isReady;
    this.#alarm = clock.alarm(() => this.#end());
  }

  /** Whether the guest is in the call. */
  get waiting(): boolean {
    return this.#complete !== undefined;
  }

  /**
   * @param timeout nanoseconds from now
   * @param complete writes the result, at once or later
   */
  poll(timeout: number, complete: () => void): void {
    if (timeout === 0 || this.#isReady()) {
      complete();
      return;
    }
    this.#complete = complete;
    this.#alarm.set(nanos(this.#clock.now() + timeout));
  }

  /** There is something to read. */
  notify(): void {
    if (this.waiting) this.#end();
  }

  #end(): void {
    const complete = this.#complete;
    this.#complete = undefined;
    this.#alarm.cancel();
    complete?.();
  }
}
