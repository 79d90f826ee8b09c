import { Bug, GuestError, HostError } from "../core/errors.ts";
import { STDERR, StandardOutput } from "../host/console/standard-output.ts";
import { EXIT_STATUS } from "./exit-status.ts";

/** Where it cannot be written, there is nowhere to say so. */
const standardError = new StandardOutput(STDERR);
let program = "solo5-kvm";

/** What messages begin with from now on: the command's name. */
export function nameProgram(name: string): void {
  program = name;
}

/** Writes to standard error, as it is. */
export function printError(text: string): void {
  standardError.write(text);
}

/** One line for the user, on standard error. */
export function say(message: string): void {
  printError(`${program}: ${message}\n`);
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
