import { readdirSync } from "node:fs";
import { getPriority, setPriority } from "node:os";

/** As nice values count. More would leave the guest's code unoptimised on a host that has other work. */
const LESS = 5;
const LOWEST = 19;

/**
 * Lets the threads that there are beside this one, V8's, give way to it. They optimise and compile what
 * this thread runs: four of them, or one as the command starts Node on two processors (`tools/start.sh`).
 * Without this they would have as much of the processors as it has. Only Linux has priorities of threads; elsewhere, or where that is refused, nothing changes.
 */
export function favourThisThread(): void {
  if (process.platform !== "linux") return;
  try {
    for (const name of readdirSync("/proc/self/task")) {
      const thread = Number(name);
      if (thread === process.pid) continue;
      setPriority(thread, Math.min(LOWEST, getPriority(thread) + LESS));
    }
  } catch {
    // A thread has ended meanwhile, or there is no /proc.
  }
}
