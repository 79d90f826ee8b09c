import type { Clock } from "../../src/core/clock.ts";
import type { EventLoop } from "../../src/core/event-loop.ts";
import { MILLISECOND, type Nanos } from "../../src/core/units.ts";

/** The longest `setTimeout` is 2^31 - 1 ms. */
const LONGEST_TIMER = 1e9;

/** A worker's event loop. Nothing keeps the thread: messages come only in its turns. */
export class BrowserEventLoop implements EventLoop {
  readonly #clock: Clock;
  /** A message to oneself: browsers make timers wait for 4 ms. */
  readonly #turn = new MessageChannel();
  #turned = (): void => {};
  #wake = (): void => {};

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#turn.port1.onmessage = () => this.#turned();
  }

  yield(): Promise<void> {
    return new Promise((resolve) => {
      this.#turned = resolve;
      this.#turn.port2.postMessage(undefined);
    });
  }

  sleep(until: Nanos): Promise<void> {
    const milliseconds = (until - this.#clock.now()) / MILLISECOND;
    if (milliseconds < 1) return this.yield();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake(), Math.min(LONGEST_TIMER, milliseconds));
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve();
      };
    });
  }

  waitForHost(until: Nanos): Promise<void> {
    return this.sleep(until);
  }

  block(): void {}

  wake(): void {
    this.#wake();
  }
}
