import type { Clock } from "../core/clock.ts";
import type { EventLoop } from "../core/event-loop.ts";
import { MICROSECOND, MILLISECOND, type Nanos, nanos } from "../core/units.ts";

/** The event loop has its turn at least so often, for everything that is not a frame. */
const TURN_EVERY = MILLISECOND;
/** A frame that comes sooner is awaited awake: being woken can take as long as that. */
const SOON = 50 * MICROSECOND;

export interface AttendanceParts {
  readonly clock: Clock;
  readonly eventLoop: EventLoop;
  /** Hands over what has arrived for the guest; returns whether there was anything. */
  readonly poll: () => boolean;
}

/**
 * The short way of frames to the guest, past the event loop, whose turns are long compared with the
 * answer to a ping. It is short of fairness too: all else that the process waits for is kept waiting.
 * Hence the loop's regular turns, and long waits are the loop's.
 */
export class Attendance {
  readonly #parts: AttendanceParts;
  #lastTurn: Nanos;
  /** The last wait was for a frame, and a short one. */
  #soon = false;

  constructor(parts: AttendanceParts) {
    this.#parts = parts;
    this.#lastTurn = parts.clock.now();
  }

  /** The event loop has had its turn. */
  turned(): void {
    this.#lastTurn = this.#parts.clock.now();
  }

  /**
   * Gives the guest the frames that are there, or that come within a moment.
   * @param until when the guest wants to go on at the latest: in the past if it does not wait
   * @returns whether it can go on; if not, the event loop has to have its turn first
   */
  attend(until: Nanos): boolean {
    const { clock, eventLoop, poll } = this.#parts;
    const turn = nanos(this.#lastTurn + TURN_EVERY);
    const start = clock.now();
    if (start >= turn) return false;
    if (poll()) return true;
    if (until <= start) return false;
    eventLoop.block(nanos(Math.min(until, turn)), this.#soon ? SOON : 0);
    const found = poll();
    const end = clock.now();
    this.#soon = found && end - start < SOON;
    return found || end >= until;
  }
}
