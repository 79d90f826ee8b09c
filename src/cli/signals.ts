import type { StopReason } from "./exit-status.ts";

const SIGNALS = {
  SIGINT: "interrupt",
  SIGTERM: "terminate",
  SIGHUP: "hangUp",
} as const satisfies Record<string, StopReason>;

/**
 * Ends the run when the process is told to. A second signal of the same kind does what it would
 * without us.
 * @returns what stops listening
 */
export function onSignals(stop: (reason: StopReason) => void): () => void {
  const handlers = Object.entries(SIGNALS).map(([signal, reason]) => {
    const handler = (): void => stop(reason);
    process.once(signal, handler);
    return () => process.off(signal, handler);
  });
  return () => {
    for (const off of handlers) off();
  };
}
