import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { Process, ROOT } from "./monitor.ts";

/** A path for `--gdb unix:`, gone with the test. */
export function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), "solo5-gdb-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "gdb");
}

const QUIET = ["set confirm off", "set pagination off", "set width 0"];

/** GDB with nothing but these commands, in the folder that the kernel's sources are named from. */
export function gdb(...commands: readonly string[]): Process {
  const all = [...QUIET, ...commands].flatMap((command) => ["-ex", command]);
  return new Process(["gdb", "-nx", "-batch", ...all], { cwd: join(ROOT, "kernel"), limit: 60 });
}

/** A command that begins a part of the output: see {@link parts}. */
export const part = (name: string): string => `echo @${name}\\n`;

/** What GDB printed, by the names of the parts. */
export function parts(output: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    output.split(/^@/m).map((text) => {
      const end = text.indexOf("\n");
      return [text.slice(0, end), text.slice(end + 1)] as const;
    }),
  );
}
