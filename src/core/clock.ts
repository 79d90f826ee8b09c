import { assert } from "./errors.ts";
import { type Nanos, NEVER, nanos } from "./units.ts";

/** A callback at a time of the owner's choosing; at most one time is set. */
export interface Alarm {
  /** Replaces any earlier setting. A time that has passed fires at the next opportunity. */
  set(at: Nanos): void;
  cancel(): void;
}

/** Time as devices see it. */
export interface Clock {
  /** Monotonic. */
  now(): Nanos;
  /** Civil time: nanoseconds since 1970-01-01T00:00:00Z (exact to about 256 ns). */
  wall(): number;
  /** The callback runs between guest slices, at or shortly after the time set. */
  alarm(fire: () => void): Alarm;
}

class QueuedAlarm implements Alarm {
  at: Nanos = NEVER;
  readonly fire: () => void;
  readonly changed: () => void;

  constructor(fire: () => void, changed: () => void) {
    this.fire = fire;
    this.changed = changed;
  }

  set(at: Nanos): void {
    this.at = at;
    this.changed();
  }

  cancel(): void {
    this.at = NEVER;
    this.changed();
  }
}

/**
 * The alarms of one machine. A handful of devices own one or two each, so the earliest is found by
 * looking at all of them, and only after one changed.
 */
export class AlarmQueue {
  readonly #alarms: QueuedAlarm[] = [];
  #earliest: Nanos = NEVER;
  #stale = false;

  create(fire: () => void): Alarm {
    const alarm = new QueuedAlarm(fire, () => {
      this.#stale = true;
    });
    this.#alarms.push(alarm);
    return alarm;
  }

  /** When the earliest alarm is due; {@link NEVER} if none is set. */
  get deadline(): Nanos {
    if (this.#stale) {
      this.#stale = false;
      let earliest: number = NEVER;
      for (const alarm of this.#alarms) if (alarm.at < earliest) earliest = alarm.at;
      this.#earliest = nanos(earliest);
    }
    return this.#earliest;
  }

  /**
   * Fires what is due at `now`, earliest first, each once: a callback that sets its alarm into the
   * past fires again only at the next call, so that no device can starve the guest.
   */
  fireDue(now: Nanos): void {
    if (this.deadline > now) return;
    const due = this.#alarms.filter((alarm) => alarm.at <= now).sort((a, b) => a.at - b.at);
    for (const alarm of due) {
      if (alarm.at > now) continue;
      alarm.cancel();
      alarm.fire();
    }
  }
}

/** A clock that moves only when told to: for tests and deterministic runs. */
export class VirtualClock implements Clock {
  readonly alarms = new AlarmQueue();
  readonly wallAtStart: number;
  #now: Nanos = nanos(0);

  /** @param wallAtStart civil time at clock zero, in nanoseconds since 1970 */
  constructor(wallAtStart = 0) {
    this.wallAtStart = wallAtStart;
  }

  now(): Nanos {
    return this.#now;
  }

  wall(): number {
    return this.wallAtStart + this.#now;
  }

  alarm(fire: () => void): Alarm {
    return this.alarms.create(fire);
  }

  /** Moves time on by `delta` nanoseconds, firing each alarm at its own time on the way. */
  advance(delta: number): void {
    assert(delta >= 0, "time does not go backwards");
    const end = nanos(this.#now + delta);
    while (this.alarms.deadline <= end) {
      this.#now = nanos(Math.max(this.#now, this.alarms.deadline));
      this.alarms.fireDue(this.#now);
    }
    this.#now = end;
  }
}

/**
 * A clock that somebody counts: the processor by the instructions that it executes, and the event
 * loop by the waits that it leaves out. Alarms are the run loop's to fire.
 */
export class CountedClock implements Clock {
  readonly alarms = new AlarmQueue();
  readonly wallAtStart: number;
  #now: Nanos = nanos(0);

  /** @param wallAtStart civil time at clock zero, in nanoseconds since 1970 */
  constructor(wallAtStart: number) {
    this.wallAtStart = wallAtStart;
  }

  now(): Nanos {
    return this.#now;
  }

  wall(): number {
    return this.wallAtStart + this.#now;
  }

  alarm(fire: () => void): Alarm {
    return this.alarms.create(fire);
  }

  /** @param duration in nanoseconds */
  pass(duration: number): void {
    assert(duration >= 0, "time does not go backwards");
    this.#now = nanos(this.#now + duration);
  }
}
