import { HostError } from "../core/errors.ts";
import { STDOUT, StandardOutput } from "../host/console/standard-output.ts";
import { errnoOf } from "../host/errno.ts";
import { EXIT_STATUS } from "./exit-status.ts";
import { explain } from "./messages.ts";

/** All that the command prints goes here: the guest's output, and our own. */
export const standardOutput = new StandardOutput(STDOUT);

/**
 * Makes the process end in order when its output can no longer be written. Node reports that as an
 * event some time after the write, which would otherwise end the process with a stack trace.
 *
 * A pipe that nobody reads any more is how pipelines end (`| head -1`): nothing is said about it.
 */
export function watchStandardOutput(): void {
  let status: number | undefined;
  standardOutput.watch((cause) => {
    const errno = errnoOf(cause);
    status ??=
      errno === "EPIPE"
        ? EXIT_STATUS.brokenPipe
        : explain(new HostError("cannot write standard output", { errno, cause }));
  });
  // It counts more than what the command itself came to: its result never arrived.
  process.on("exit", () => {
    if (status !== undefined) process.exitCode = status;
  });
}
