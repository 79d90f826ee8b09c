/** A campaign in several processes: tests depend on nothing but their numbers. */
import { type ChildProcess, fork } from "node:child_process";
import type { Part, Tally } from "./trials.ts";

/** Tests that a process is given at a time: some seconds' work, so that all end at about the same time. */
const PART = 20_480;

/** What a process says first. */
const READY = "ready";

export function* partsOf({ first, count }: Part): Generator<Part> {
  for (let done = 0; done < count; done += PART) {
    yield { first: first + done, count: Math.min(PART, count - done) };
  }
}

/**
 * Has `jobs` processes of this program work on parts, each of which calls {@link serve}.
 * @param onTally hears of each part that is done
 */
export async function inProcesses(
  jobs: number,
  parts: Iterator<Part, void>,
  onTally: (tally: Tally) => void,
): Promise<void> {
  const [program = "", ...options] = process.argv.slice(1);
  const work = (child: ChildProcess): Promise<void> =>
    new Promise((resolve, reject) => {
      child.on("message", (tally: Tally | typeof READY) => {
        if (tally !== READY) onTally(tally);
        const { value: part } = parts.next();
        if (part === undefined) child.disconnect();
        else child.send(part);
      });
      child.on("error", reject);
      child.on("exit", (status, signal) => {
        if (status === 0) resolve();
        else reject(new Error(`a process of the campaign has ended: ${signal ?? status}`));
      });
    });
  await Promise.all(
    Array.from({ length: jobs }, () => work(fork(program, [...options, "--serve"]))),
  );
}

/** Runs what {@link inProcesses} sends, until it sends no more. */
export async function serve(run: (part: Part) => Tally): Promise<void> {
  await new Promise<void>((resolve) => {
    process.on("message", (part: Part) => process.send?.(run(part)));
    process.on("disconnect", resolve);
    process.send?.(READY);
  });
}
