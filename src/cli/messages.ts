import { Bug, GuestError, HostError } from "../core/errors.ts";
import { EXIT_STATUS } from "./exit-status.ts";

/** One line for the user, on standard error. */
export function say(message: string): void {
  process.stderr.write(`solo5-kvm: ${message}\n`);
}

/** Says what went wrong and returns the exit status. Only our own faults show a stack. */
export function explain(error: unknown): number {
  if (error instanceof GuestError || error instanceof HostError) {
    say(error.message);
    return EXIT_STATUS.refused;
  }
  const details = error instanceof Error ? (error.stack ?? error.message) : String(error);
  say(
    `${error instanceof Bug ? "assertion failed" : "internal error"}, please report it\n${details}`,
  );
  return EXIT_STATUS.bug;
}
