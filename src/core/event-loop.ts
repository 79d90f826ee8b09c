import type { Nanos } from "./units.ts";

/** What the run loop needs of the event loop that it shares its thread with. */
export interface EventLoop {
  /** Lets host events that are ready be handled. */
  yield(): Promise<void>;
  /** Returns at `until`, or earlier: after {@link wake}, or for no reason. */
  sleep(until: Nanos): Promise<void>;
  /** As `sleep`, but it is the host that is waited for: a clock that is not the host's stands still. */
  waitForHost(until: Nanos): Promise<void>;
  /**
   * Keeps the thread until host events are ready, at most until `until`. They are not handled: that
   * takes a turn of the loop. Without a way to do so it returns at once.
   * @param awake nanoseconds of that time in which the thread is not to sleep, to be quick
   */
  block(until: Nanos, awake: number): void;
  /** Ends a `sleep` or `waitForHost` under way. */
  wake(): void;
}
