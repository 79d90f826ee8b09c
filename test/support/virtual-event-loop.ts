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
  /** What ends the next waits of `block` early, and when. */
  readonly arrivals: { after: number; happen?: () => void }[] = [];
  readonly blocks: { duration: number; awake: number }[] = [];
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

  block(until: Nanos, awake: number): void {
    this.blocks.push({ duration: until - this.#clock.now(), awake });
    const event = this.arrivals.shift();
    if (event === undefined) this.#clock.advance(until - this.#clock.now());
    else {
      this.#clock.advance(event.after);
      event.happen?.();
    }
  }

  wake(): void {
    this.#wake?.();
  }
}
