import { type Alarm, AlarmQueue, type Clock } from "../../src/core/clock.ts";
import { MILLISECOND, type Nanos, nanos } from "../../src/core/units.ts";

/** The browser's time, from zero when made; to 5 or 100 µs, as the browser gives it. */
export class BrowserClock implements Clock {
  readonly alarms = new AlarmQueue();
  readonly #start = performance.now();

  now(): Nanos {
    return nanos(Math.round((performance.now() - this.#start) * MILLISECOND));
  }

  wall(): number {
    return Date.now() * MILLISECOND;
  }

  alarm(fire: () => void): Alarm {
    return this.alarms.create(fire);
  }
}
