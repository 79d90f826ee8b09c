import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { beforeEach, describe, expect, onTestFinished } from "vitest";
import { nativeCache } from "./kvm-verdict.ts";
import { missing } from "./requirements.ts";

export const ROOT = resolve(import.meta.dirname, "../..");
export const PROGRAM = join(ROOT, "dist/solo5-kvm.js");

/** An application's image, as `make -C kernel iso` leaves it. */
export const image = (name: string): string => join(ROOT, "kernel/build", `${name}.iso`);

/** How a process ended and what it printed until then. */
export interface Ended {
  /** Exit status as a shell has it: 128 and the number of the signal that killed it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Milliseconds since the start. */
  readonly elapsed: number;
}

export interface ProcessOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Words before the command, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** `pipe`: the test types; otherwise there is nothing to read. */
  readonly stdin?: "ignore" | "pipe";
  /** After how many seconds the process is killed; the test then fails. */
  readonly limit?: number;
}

const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGPIPE: 13, SIGTERM: 15 } as const;

/** A child process with its output gathered. It never outlives the test. */
export class Process {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";
  readonly #start = performance.now();
  #running = true;
  #changed: () => void = () => {};

  constructor(command: readonly string[], options: ProcessOptions = {}) {
    const [file = "", ...args] = [...(options.prefix ?? []), ...command];
    this.child = spawn(file, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: [options.stdin ?? "ignore", "pipe", "pipe"],
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text) => {
      this.stdout += text;
      this.#changed();
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text) => {
      this.stderr += text;
      this.#changed();
    });
    const limit = options.limit ?? 25;
    const timer = setTimeout(() => this.kill("SIGKILL"), limit * 1000);
    this.ended = once(this.child, "close").then(([code, signal]) => {
      clearTimeout(timer);
      this.#running = false;
      this.#changed();
      const number = SIGNAL_NUMBERS[signal as keyof typeof SIGNAL_NUMBERS] ?? 0;
      const { stdout, stderr, elapsed } = this;
      return { status: code ?? 128 + number, stdout, stderr, elapsed };
    });
    onTestFinished(async () => {
      if (this.#running) this.kill("SIGKILL");
      await this.ended.catch(() => {});
    });
  }

  /** Milliseconds since the start. */
  get elapsed(): number {
    return performance.now() - this.#start;
  }

  type(text: string): void {
    this.child.stdin?.write(text);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Waits for `text` on standard output; returns how long it took from the start, in ms. */
  printed(text: string | RegExp): Promise<number> {
    return this.#until(text, () => this.stdout);
  }

  /** As {@link printed}, on standard error. */
  said(text: string | RegExp): Promise<number> {
    return this.#until(text, () => this.stderr);
  }

  async #until(text: string | RegExp, output: () => string): Promise<number> {
    const found = (): boolean =>
      typeof text === "string" ? output().includes(text) : text.test(output());
    while (!found()) {
      expect(this.#running, `ended before printing ${text}:\n${this.stdout}${this.stderr}`).toBe(
        true,
      );
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return this.elapsed;
  }
}

/** The processors that this host can run a guest on. */
export const PROCESSORS = missing("kvm") ? (["emu"] as const) : (["kvm", "emu"] as const);
type Processor = "kvm" | "emu";

let processor: Processor = PROCESSORS[0];

type Suite = (name: string, tests: (processor: Processor) => void) => void;

const suites =
  (skipped: boolean): Suite =>
  (name, tests) => {
    describe.skipIf(skipped).each<Processor>(PROCESSORS)(`${name} (%s)`, (one) => {
      beforeEach(() => {
        processor = one;
      });
      tests(one);
    });
  };

/** A `describe` for each of {@link PROCESSORS}: guests run on it, unless a test says which. */
export const describeOnEach = Object.assign(suites(false), { skipIf: suites });

const COMMANDS: readonly (string | undefined)[] = ["doctor", "help", "inspect", "iso", "net"];

/** Whether arguments are those of a guest's run, and leave the processor to the suite. */
function leavesProcessor(args: readonly string[]): boolean {
  const own = args.indexOf("--") < 0 ? args.length : args.indexOf("--");
  const runs = args.length > 0 && !COMMANDS.includes(args[0]) && !args[0]?.startsWith("-");
  return runs && !args.slice(0, own).includes("--accel");
}

/** `solo5-kvm` with these arguments, and a guest's processor if they name none. */
export function command(args: readonly string[]): string[] {
  const program = [process.execPath, PROGRAM];
  if (!leavesProcessor(args)) return [...program, ...args];
  return [...program, ...args.slice(0, 1), "--accel", processor, ...args.slice(1)];
}

/** Starts `solo5-kvm` with these arguments. */
export function start(args: readonly string[], options: ProcessOptions = {}): Process {
  const { env = process.env } = options;
  const onKvm = processor === "kvm" && leavesProcessor(args);
  const added = onKvm ? { env: { ...env, XDG_CACHE_HOME: nativeCache() } } : {};
  return new Process(command(args), { ...options, ...added });
}

/** Runs `solo5-kvm` to its end. */
export const run = (args: readonly string[], options: ProcessOptions = {}): Promise<Ended> =>
  start(args, options).ended;

/** Runs any command to its end. */
export const execute = (command: readonly string[], options: ProcessOptions = {}): Promise<Ended> =>
  new Process(command, options).ended;
