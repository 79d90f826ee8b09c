import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

const GIVE_UP_AFTER = 60_000;

/** What a process has used of the host so far. */
export interface Usage {
  /** On a processor, all threads, in nanoseconds. */
  readonly cpu: number;
  /** How often its threads slept and were woken. */
  readonly wakeUps: number;
}

/** A monitor running a guest, and what the guest printed when. */
export class GuestProcess {
  readonly #child: ChildProcess;
  readonly #start = performance.now();
  readonly #ended: Promise<unknown>;
  /** Only then is all of its output here: what it wrote may come after its exit. */
  #closed = false;
  #output = "";
  #waiting: (() => void) | undefined;
  /** Milliseconds from the start to the first byte. */
  firstByte = Number.NaN;

  constructor([program = "", ...args]: readonly string[]) {
    this.#child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    let complaints = "";
    this.#child.stderr?.on("data", (data) => {
      complaints += data;
    });
    this.#ended = once(this.#child, "close").then(() => {
      this.#closed = true;
      if (this.#output === "") throw new Error(`${program} printed nothing: ${complaints}`);
      this.#waiting?.();
    });
    this.#ended.catch(() => this.#waiting?.());
    this.#child.stdout?.on("data", (data) => {
      if (this.#output === "") this.firstByte = this.#elapsed();
      this.#output += data;
      this.#waiting?.();
    });
  }

  /** Waits until the guest has printed `text`; returns the milliseconds from the start. */
  async printed(text: string): Promise<number> {
    const deadline = performance.now() + GIVE_UP_AFTER;
    while (!this.#output.includes(text)) {
      if (this.#closed || performance.now() > deadline) {
        this.#child.kill("SIGKILL");
        await this.#ended;
        throw new Error(`the guest did not print "${text}" but:\n${this.#output}`);
      }
      const more = new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
      await Promise.race([more, setTimeout(1000)]);
    }
    return this.#elapsed();
  }

  /** Waits for the guest's own end; returns the milliseconds from the start. */
  async end(): Promise<number> {
    await this.#ended;
    return this.#elapsed();
  }

  /** Ends it from outside. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#ended;
  }

  /** Peak resident memory in MiB, as last seen before the process ended. */
  async peakMemory(untilEnd: boolean): Promise<number> {
    let peak = Number.NaN;
    do {
      const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(this.#proc("status"))?.[1];
      if (kibibytes === undefined) break;
      peak = Number(kibibytes) / 1024;
      await setTimeout(1);
    } while (untilEnd);
    return peak;
  }

  get usage(): Usage {
    let cpu = 0;
    let wakeUps = 0;
    for (const thread of readdirSync(`/proc/${this.#child.pid}/task`)) {
      // Time on a processor, in nanoseconds (Linux Documentation/scheduler/sched-stats.rst).
      cpu += Number(this.#proc(`task/${thread}/schedstat`).split(" ")[0]);
      const switches = /^voluntary_ctxt_switches:\s+(\d+)$/m;
      wakeUps += Number(switches.exec(this.#proc(`task/${thread}/status`))?.[1] ?? 0);
    }
    return { cpu, wakeUps };
  }

  /** Empty when the process is gone. */
  #proc(file: string): string {
    try {
      return readFileSync(`/proc/${this.#child.pid}/${file}`, "utf8");
    } catch {
      return "";
    }
  }

  #elapsed(): number {
    return performance.now() - this.#start;
  }
}
