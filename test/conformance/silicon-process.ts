import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bug, HostError } from "../../src/core/errors.ts";
import { RECORD } from "./record.ts";

const SHARED_MEMORY = "/dev/shm";

/**
 * The process that runs snippets natively, for batch after batch: to start one for each took longer than
 * the batch. Nothing here waits for Node's event loop, but for the processor's answers in a pipe.
 */
export class SiliconProcess {
  readonly #program: string;
  readonly #timeLimit: number;
  readonly #records: Uint8Array;
  /** Files without names: the records as the process has them, and what it says when it cannot run. */
  readonly #file: number;
  readonly #messages: number;
  /** Both ends of the pipe of commands, and that of answers which ends when the process does. */
  readonly #commands: number;
  readonly #answers: number;
  #child: ChildProcess | undefined;
  /** Where in the records it is at work, in bytes. */
  #under: { readonly at: number; readonly length: number } | undefined;

  /**
   * @param records what it works on, and where its results are
   * @param timeLimit milliseconds of processor time after which it gives up, at most twice as much
   */
  constructor(program: string, records: Uint8Array, timeLimit: number) {
    this.#program = program;
    this.#timeLimit = timeLimit;
    this.#records = records;
    const folder = mkdtempSync(
      join(existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir(), "silicon-"),
    );
    const path = (name: string): string => join(folder, name);
    try {
      this.#file = openSync(path("records"), "w+");
      ftruncateSync(this.#file, records.length);
      this.#messages = openSync(path("messages"), "a+");
      const { status } = spawnSync("mkfifo", [path("commands"), path("answers")]);
      if (status !== 0) throw new HostError("cannot make pipes for the judge");
      this.#commands = openSync(path("commands"), "r+");
      const bothEnds = openSync(path("answers"), "r+");
      this.#answers = openSync(path("answers"), "r");
      closeSync(bothEnds);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  /** The process ends when it finds the pipe of commands closed. */
  close(): void {
    for (const file of [this.#file, this.#messages, this.#commands, this.#answers]) closeSync(file);
  }

  /** Lets it run the records from one number up to another. */
  begin(first: number, end: number): void {
    if (this.#under !== undefined) throw new Bug("the judge is not asked for what it has found");
    this.#child ??= this.#start();
    const [at, length] = [first * RECORD.SIZE, (end - first) * RECORD.SIZE];
    writeSync(this.#file, this.#records, at, length, at);
    writeSync(this.#commands, Uint32Array.of(first, end));
    this.#under = { at, length };
  }

  /** Waits until all have been run, or one that the process does not survive. */
  finish(): void {
    if (this.#under === undefined) throw new Bug("the judge has not been asked");
    const { at, length } = this.#under;
    this.#under = undefined;
    const isDone = readSync(this.#answers, new Uint8Array(1)) === 1;
    readSync(this.#file, this.#records, at, length, at);
    if (isDone) return;
    this.#child = undefined;
    const messages = readFileSync(this.#messages, "utf8");
    if (messages.length > 0) throw new HostError(messages.trim());
  }

  #start(): ChildProcess {
    const commands = openSync(`/proc/self/fd/${this.#commands}`, "r");
    const answers = openSync(`/proc/self/fd/${this.#answers}`, "w");
    const limits = [this.#timeLimit, this.#records.length / RECORD.SIZE].map(String);
    const child = spawn(this.#program, limits, {
      stdio: [this.#file, answers, this.#messages, commands],
    });
    closeSync(commands);
    closeSync(answers);
    child.on("error", () => {});
    child.unref();
    if (child.pid === undefined) throw new HostError(`cannot run ${this.#program}`);
    return child;
  }
}
