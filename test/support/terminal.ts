import { join } from "node:path";
import { expect } from "vitest";
import { command, Process, ROOT } from "./monitor.ts";

/** What is done at the terminal; `terminal.py` describes the steps. */
export type Step =
  | readonly ["expect" | "type", string]
  | readonly ["signal" | "sleep" | "hang up", number];

export interface Session {
  /** As a shell has it: 128 and the number of the signal that killed it. */
  readonly status: number;
  /** What was on the screen. */
  readonly output: string;
  /** The terminal's settings; `during` is from the first key or signal. */
  readonly before: unknown;
  readonly during: unknown;
  readonly after: unknown;
}

/** Runs `solo5-kvm` on a terminal, and does the steps there. */
export const atTerminal = (args: readonly string[], ...steps: Step[]): Promise<Session> =>
  onTerminal(command(args), ...steps);

/** The same for any command. */
export async function onTerminal(command: readonly string[], ...steps: Step[]): Promise<Session> {
  const script = join(ROOT, "test/support/terminal.py");
  const process_ = new Process(["python3", script, ...command], { stdin: "pipe" });
  process_.child.stdin?.end(steps.map((step) => `${JSON.stringify(step)}\n`).join(""));
  const { status, stdout, stderr } = await process_.ended;
  expect(status, stderr).toBe(0);
  const { failure, ...session } = JSON.parse(stdout) as Session & { failure: string | null };
  expect(failure, session.output).toBeNull();
  return { ...session, status: session.status < 0 ? 128 - session.status : session.status };
}
