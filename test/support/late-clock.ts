import { type Alarm, AlarmQueue, type Clock } from "../../src/core/clock.ts";
import { type Nanos, nanos } from "../../src/core/units.ts";

/** A clock on a busy host: time passes, and alarms fire only when the host finds the time. */
export class LateClock implements Clock {
  readonly #alarms = new AlarmQueue();
  #now: Nanos = nanos(0);

  now(): Nanos {
    return this.#now;
  }

  wall(): number {
    return this.#now;
  }

  alarm(fire: () => void): Alarm {
    return this.#alarms.create(fire);
  }

  pass(delta: number): void {
    this.#now = nanos(this.#now + delta);
  }

  fireDue(): void {
    this.#alarms.fireDue(this.#now);
  }
}
