import type { Machine } from "../../machine/machine.ts";
import { MONITOR_COMMANDS } from "./commands.ts";

/** One of the debugger's `monitor` commands. */
export interface MonitorCommand {
  /** For the list: what follows the name. */
  readonly usage: string;
  readonly help: string;
  /** @returns lines; may throw {@link UsageError} */
  readonly run: (monitor: MonitorContext, words: readonly string[]) => readonly string[];
}

/** A trace that can be interrupted. */
export interface TraceSwitch {
  on: boolean;
}

/** What commands work on. */
export interface MonitorContext {
  readonly machine: Machine;
  /** What is traced, if anything is. */
  readonly trace: TraceSwitch | undefined;
  /** Ends the run. */
  readonly kill: () => void;
  interruptsWhileStepping: boolean;
}

/** The command was not understood: the message says how it goes. */
export class UsageError extends Error {}

/** What a debugger's protocol has no packets for. Only while the guest stands still. */
export class Monitor implements MonitorContext {
  readonly machine: Machine;
  readonly trace: TraceSwitch | undefined;
  readonly kill: () => void;
  interruptsWhileStepping = false;

  constructor({ machine, trace, kill }: Omit<MonitorContext, "interruptsWhileStepping">) {
    this.machine = machine;
    this.trace = trace;
    this.kill = kill;
  }

  /** @returns what the command says, lines with their ends */
  execute(line: string): string {
    const [name = "help", ...words] = line.split(/\s+/).filter((word) => word !== "");
    return this.#run(name, words)
      .map((text) => `${text}\n`)
      .join("");
  }

  #run(name: string, words: readonly string[]): readonly string[] {
    if (name === "help") return help();
    const command = Object.hasOwn(MONITOR_COMMANDS, name) ? MONITOR_COMMANDS[name] : undefined;
    if (command === undefined) return [`there is no monitor command "${name}"; try monitor help`];
    try {
      return command.run(this, words);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      return [error.message];
    }
  }
}

const help = (): readonly string[] =>
  Object.entries(MONITOR_COMMANDS).map(
    ([name, { usage, help: text }]) => `${`${name} ${usage}`.padEnd(28)} ${text}`,
  );
