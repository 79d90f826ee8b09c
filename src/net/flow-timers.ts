import type { Alarm, Clock } from "../core/clock.ts";
import { type Nanos, NEVER, nanos } from "../core/units.ts";

/** One of many timers. */
export interface FlowTimer {
  /** {@link NEVER} if it is not set. */
  readonly at: Nanos;
  set(at: Nanos): void;
  cancel(): void;
  /** It is not used any more. */
  remove(): void;
}

/** Any number of timers that come and go, on one alarm: those are few and stay. */
export class FlowTimers {
  readonly #timers = new Set<{ at: Nanos; readonly fire: () => void }>();
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  /** When the alarm goes off: never after the first timer. */
  #next: Nanos = NEVER;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#alarm = clock.alarm(() => this.#onAlarm());
  }

  create(fire: () => void): FlowTimer {
    const timers = this.#timers;
    const timer = {
      at: NEVER,
      fire,
      set: (at: Nanos): void => {
        timer.at = at;
        if (at < this.#next) this.#setAlarm(at);
      },
      // The alarm stays: to look for the next timer each time would take longer.
      cancel: (): void => {
        timer.at = NEVER;
      },
      remove: (): void => {
        timers.delete(timer);
      },
    };
    timers.add(timer);
    return timer;
  }

  close(): void {
    this.#timers.clear();
    this.#alarm.cancel();
  }

  #setAlarm(at: Nanos): void {
    this.#next = at;
    this.#alarm.set(at);
  }

  #onAlarm(): void {
    const now = this.#clock.now();
    for (const timer of [...this.#timers]) {
      if (timer.at > now || !this.#timers.has(timer)) continue;
      timer.at = NEVER;
      timer.fire();
    }
    let next: number = NEVER;
    for (const { at } of this.#timers) next = Math.min(next, at);
    this.#next = NEVER;
    if (next < NEVER) this.#setAlarm(nanos(next));
  }
}
