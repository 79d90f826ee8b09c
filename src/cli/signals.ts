import { EXIT_STATUS, type StopReason } from "./exit-status.ts";

const SIGNALS = {
  SIGINT: "interrupt",
  SIGTERM: "terminate",
  SIGHUP: "hangUp",
} as const satisfies Record<string, StopReason>;

/** How long output that nobody takes may hold up an end that was asked for, in milliseconds. */
const PATIENCE = 1_000;

/**
 * Sees to it that the process ends soon. A pipe whose reader does not read keeps it waiting with
 * everything closed: a reader that is late gets the rest, one that is stuck does not.
 */
export function insist(reason: StopReason): void {
  setTimeout(() => process.exit(EXIT_STATUS[reason]), PATIENCE).unref();
}

/**
 * Ends the run when the process is told to. A second signal of the same kind does what it would
 * without us.
 * @returns what stops listening
 */
export function onSignals(stop: (reason: StopReason) => void): () => void {
  const handlers = Object.entries(SIGNALS).map(([signal, reason]) => {
    const handler = (): void => {
      insist(reason);
      stop(reason);
    };
    process.once(signal, handler);
    return () => process.off(signal, handler);
  });
  return () => {
    for (const off of handlers) off();
  };
}
