import { type Alarm, AlarmQueue, type Clock } from "../core/clock.ts";
import { MILLISECOND, type Nanos, nanos, SECOND } from "../core/units.ts";

/** The host's time, from zero when made. */
export class HostClock implements Clock {
  readonly alarms = new AlarmQueue();
  // Not `performance`, whose module takes a millisecond to load.
  readonly #start = process.hrtime();
  readonly #wallAtStart = Date.now() * MILLISECOND;

  now(): Nanos {
    const [seconds, nanoseconds] = process.hrtime(this.#start);
    return nanos(seconds * SECOND + nanoseconds);
  }

  wall(): number {
    return this.#wallAtStart + this.now();
  }

  alarm(fire: () => void): Alarm {
    return this.alarms.create(fire);
  }
}
