import type { VirtualClock } from "../../src/core/clock.ts";
import type { EventLoop } from "../../src/core/event-loop.ts";
import type { Nanos } from "../../src/core/units.ts";

/** An event loop on a virtual clock: sleeping moves the clock on at once. */
export class VirtualEventLoop implements EventLoop {
  /** Turns handed over, sleeps not counted. */
  turns = 0;
  readonly sleeps: Nanos[] = [];
  /** Host events: each is handled in the next turn, or ends the next sleep early. */
  readonly events: (() => void)[] = [];
  readonly #clock: VirtualClock;
  #wake: (() => void) | undefined;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  async yield(): Promise<void> {
    this.turns++;
    this.events.shift()?.();
  }

  async sleep(until: Nanos): Promise<void> {
    this.sleeps.push(until);
    const event = this.events.shift();
    if (event !== undefined) event();
    else if (Number.isFinite(until)) this.#clock.advance(until - this.#clock.now());
    else {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  waitForHost(until: Nanos): Promise<void> {
    return this.sleep(until);
  }

  wake(): void {
    this.#wake?.();
  }
}
