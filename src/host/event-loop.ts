import type { Clock, CountedClock } from "../core/clock.ts";
import type { EventLoop } from "../core/event-loop.ts";
import { MILLISECOND, type Nanos, NEVER, nanos } from "../core/units.ts";

/** Timers of the event loop are late by up to a millisecond, and round. */
const TIMER_SLACK = 2 * MILLISECOND;
/** The longest `setTimeout` is 2^31 - 1 ms. */
const LONGEST_TIMER = 1e9;

/**
 * Blocks until the event loop has work, at most `nanoseconds`: the addon's `waitForEvents`. The
 * first `awake` of them it asks again and again instead.
 */
export type WaitForEvents = (nanoseconds: number, awake?: number) => boolean;

/** Node's event loop. */
export class NodeEventLoop implements EventLoop {
  readonly #clock: Clock;
  readonly #waitForEvents: WaitForEvents | undefined;
  #wake: (() => void) | undefined;

  /** @param waitForEvents without it, the last moments before a deadline are spent asking */
  constructor(clock: Clock, waitForEvents: WaitForEvents | undefined) {
    this.#clock = clock;
    this.#waitForEvents = waitForEvents;
  }

  yield(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(resolve);
    });
  }

  async sleep(until: Nanos): Promise<void> {
    const remaining = until - this.#clock.now();
    if (remaining > TIMER_SLACK) await this.#sleepOnTimer(nanos(remaining - TIMER_SLACK));
    else {
      if (remaining > 0) this.#waitForEvents?.(remaining);
      await this.yield();
    }
  }

  waitForHost(until: Nanos): Promise<void> {
    return this.sleep(until);
  }

  block(until: Nanos, awake: number): void {
    const remaining = until - this.#clock.now();
    if (remaining > 0) this.#waitForEvents?.(remaining, awake);
  }

  wake(): void {
    this.#wake?.();
  }

  #sleepOnTimer(duration: Nanos): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const milliseconds = Math.min(LONGEST_TIMER, Math.floor(duration / MILLISECOND));
      const timer = setTimeout(done, milliseconds);
      this.#wake = done;
    });
  }
}

/** Node's event loop with a clock that is not the host's: waiting for a time takes none. */
export class CountedEventLoop extends NodeEventLoop {
  readonly #clock: CountedClock;

  constructor(clock: CountedClock) {
    super(clock, undefined);
    this.#clock = clock;
  }

  override async sleep(until: Nanos): Promise<void> {
    if (until === NEVER) return await super.sleep(until);
    this.#clock.pass(Math.max(0, until - this.#clock.now()));
    await this.yield();
  }

  override waitForHost(): Promise<void> {
    return super.sleep(NEVER);
  }
}
