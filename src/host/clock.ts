import { type Alarm, AlarmQueue, type Clock } from "../core/clock.ts";
import { MILLISECOND, type Nanos, nanos } from "../core/units.ts";

/** The host's time, from zero when made. */
export class HostClock implements Clock {
  readonly alarms = new AlarmQueue();
  readonly #start = performance.now();

  now(): Nanos {
    return nanos((performance.now() - this.#start) * MILLISECOND);
  }

  wall(): number {
    return (performance.timeOrigin + performance.now()) * MILLISECOND;
  }

  alarm(fire: () => void): Alarm {
    return this.alarms.create(fire);
  }
}
