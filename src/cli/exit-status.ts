import type { Outcome } from "../machine/outcome.ts";

/**
 * The process's exit status, besides the guest's own. The numbers from 120 keep clear of what
 * guests usually return; 124 and 125 are what `timeout(1)` and container runtimes use.
 */
export const EXIT_STATUS = {
  success: 0,
  /** `--ping`: a reply is missing. */
  pingLost: 1,
  /** A unikernel broke its tender's rules: what solo5-hvt returns then. */
  fault: 1,
  /** An assertion of ours failed (EX_SOFTWARE). */
  bug: 70,
  /** The guest halted with interrupts disabled. */
  haltedForever: 120,
  tripleFault: 121,
  /** The CPU cannot execute the guest any further. */
  cannotContinue: 122,
  timeout: 124,
  /** Nothing ran, or the run broke off: usage, image, or the host refused. */
  refused: 125,
  /** 128 and the signal's number. */
  hangUp: 129,
  interrupt: 130,
  brokenPipe: 141,
  terminate: 143,
} as const;

/** Why the host's side ended a run. */
export type StopReason = keyof typeof EXIT_STATUS;

/** @param pingLost whether replies are missing: then a guest that ended well has not done its part */
export function exitStatus(outcome: Outcome, pingLost: boolean): number {
  const success = pingLost ? EXIT_STATUS.pingLost : EXIT_STATUS.success;
  switch (outcome.kind) {
    case "exit":
      return outcome.status === 0 ? success : outcome.status;
    case "power-off":
      return success;
    case "halted-forever":
      return EXIT_STATUS.haltedForever;
    case "triple-fault":
      return EXIT_STATUS.tripleFault;
    case "cannot-continue":
      return EXIT_STATUS.cannotContinue;
    case "fault":
      return EXIT_STATUS.fault;
    case "stopped":
      return EXIT_STATUS[outcome.reason as StopReason] ?? EXIT_STATUS.refused;
  }
}
