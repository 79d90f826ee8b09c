import type { Nanos } from "./units.ts";

/** What the run loop needs of the event loop that it shares its thread with. */
export interface EventLoop {
  /** Lets host events that are ready be handled. */
  yield(): Promise<void>;
  /** Returns at `until`, or earlier: after {@link wake}, or for no reason. */
  sleep(until: Nanos): Promise<void>;
  /** Ends a `sleep` under way. */
  wake(): void;
}
