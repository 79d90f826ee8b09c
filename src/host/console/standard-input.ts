import { fstatSync, readFileSync, statSync } from "node:fs";

const STDIN = 0;

/** How often to look whether we have the terminal by now: `fg` says nothing to a running job. */
const BACKGROUND_POLL_MS = 300;

/** What a guest may have done before anything but a terminal is read. */
const HEAD_START_MS = 50;

/**
 * The process's standard input. A terminal is in raw mode while we read it, so that each key
 * arrives as typed; its mode is restored when the reading ends, and in any case when the process
 * exits.
 *
 * Another job of the shell may have the terminal (`solo5-kvm … &`): touching it then would have the
 * system stop this process. It is left alone until the shell gives it to us.
 *
 * Anything else is opened a little later: loading Node's stream for it takes longer than many a
 * guest runs. Nothing comes from the null device.
 */
export class StandardInput {
  readonly #receive: (bytes: Uint8Array) => void;
  #stream: NodeJS.ReadStream | undefined;
  #reading = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #onData = (chunk: Buffer): void => this.#receive(chunk);
  readonly #onContinued = (): void => this.#takeTurn();
  readonly #restore = (): void => this.#leave();

  constructor(receive: (bytes: Uint8Array) => void) {
    this.#receive = receive;
  }

  get isTerminal(): boolean {
    return this.#stream?.isTTY === true;
  }

  open(): void {
    if (kindOf(STDIN) === "null device") return;
    if (mayBeTerminal(STDIN)) this.#open();
    else this.#timer = setTimeout(() => this.#open(), HEAD_START_MS);
  }

  /** Any number of times. */
  close(): void {
    clearTimeout(this.#timer);
    if (this.#stream === undefined) return;
    process.off("exit", this.#restore);
    process.off("SIGCONT", this.#onContinued);
    this.#leave();
    this.#stream.off("error", ignore);
    this.#stream = undefined;
  }

  #open(): void {
    this.#stream = process.stdin;
    this.#stream.on("error", ignore);
    if (this.isTerminal) {
      process.once("exit", this.#restore);
      // Sent by the shell when a stopped job goes on, in front or behind.
      process.on("SIGCONT", this.#onContinued);
    }
    this.#takeTurn();
  }

  #takeTurn(): void {
    clearTimeout(this.#timer);
    this.#leave();
    if (this.isTerminal && !inForeground()) {
      this.#timer = setTimeout(() => this.#takeTurn(), BACKGROUND_POLL_MS).unref();
      return;
    }
    this.#reading = true;
    // The shell may have changed the mode while we were stopped, and what is set already is not
    // set again.
    if (this.isTerminal) this.#stream?.setRawMode(false).setRawMode(true);
    this.#stream?.on("data", this.#onData).resume();
  }

  #leave(): void {
    if (!this.#reading) return;
    this.#reading = false;
    this.#stream?.off("data", this.#onData).pause();
    if (this.isTerminal && inForeground()) this.#stream?.setRawMode(false);
  }
}

/** False where it is certain that it is none. To know for sure takes Node's streams. */
export function mayBeTerminal(fd: number): boolean {
  const kind = kindOf(fd);
  return kind === "device" || kind === "unknown";
}

function kindOf(fd: number): "device" | "null device" | "other" | "unknown" {
  try {
    const file = fstatSync(fd);
    if (!file.isCharacterDevice()) return "other";
    return file.rdev === statSync("/dev/null").rdev ? "null device" : "device";
  } catch {
    return "unknown";
  }
}

/** An unreadable standard input is a keyboard that nobody touches. */
const ignore = (): void => {};

/** Whether our process group is the one that may use its terminal (proc(5), `/proc/pid/stat`). */
function inForeground(): boolean {
  const stat = readFileSync("/proc/self/stat", "utf8");
  // The second field, a file name in parentheses, may hold anything.
  const [, , group, , , foregroundGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // -1: what we have for a terminal does not control us, and does not stop us either.
  return foregroundGroup === group || foregroundGroup === "-1";
}
