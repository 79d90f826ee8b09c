import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { image, PROGRAM, Process } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";

/** proc(5): of what is behind the name of the program, from the state on. */
const NICE_FIELD = 16;

/** Nice values of a process's threads, its first one's apart. */
function niceness(pid: number): { first: number; others: number[] } {
  const of = (thread: string): number => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[NICE_FIELD]);
  };
  const others = readdirSync(`/proc/${pid}/task`).filter((thread) => thread !== `${pid}`);
  return { first: of(`${pid}`), others: others.map(of) };
}

it.skipIf(missing("threads"))("runs the guest before what V8 does beside it", async () => {
  const guest = new Process([...[process.execPath, PROGRAM, "--accel", "emu"], image("kernel")]);
  await guest.printed("10.0.0.2");
  const { first, others } = niceness(guest.child.pid as number);
  guest.kill("SIGTERM");
  await guest.ended;
  expect(others.length).toBeGreaterThan(0);
  for (const nice of others) expect(nice).toBe(Math.min(19, first + 5));
});
