#!/usr/bin/env node
import { basename } from "node:path";
import { Command, CommanderError } from "commander";
import { addDoctorCommand } from "./doctor.ts";
import { EXIT_STATUS } from "./exit-status.ts";
import { completeHelp } from "./help.ts";
import { addInspectCommand } from "./inspect.ts";
import { addIsoCommand } from "./iso.ts";
import { explain, printError } from "./messages.ts";
import { addNetCommand } from "./net.ts";
import { addRunCommand } from "./run.ts";
import { runSolo5Hvt } from "./solo5-hvt.ts";
import { standardOutput, watchStandardOutput } from "./standard-output.ts";
import { expandTenderOptions } from "./tender-options.ts";
import { version } from "./version.ts";

/** What follows the first `--` is the guest's, whatever it looks like. */
function splitArguments(args: readonly string[]): { own: string[]; guest: string[] } {
  const at = args.indexOf("--");
  return at < 0
    ? { own: [...args], guest: [] }
    : { own: args.slice(0, at), guest: args.slice(at + 1) };
}

/** Commander's message as one line: a suggestion comes on a second. */
const oneLine = (text: string): string =>
  `${text
    .replace(/^error: /, "")
    .trimEnd()
    .replaceAll("\n", " ")}\n`;

function createProgram(
  guestArguments: readonly string[],
  finish: (status: number) => void,
): Command {
  const program = new Command("solo5-kvm")
    .description("Runs x86-64 unikernels: KVM where there is one, TypeScript for everything else.")
    .version(version())
    .configureOutput({
      writeOut: (text) => standardOutput.write(text),
      writeErr: printError,
      outputError: (text, write) => write(`solo5-kvm: ${oneLine(text)}`),
    })
    .exitOverride();
  const run = addRunCommand(program, guestArguments, finish);
  addIsoCommand(program, guestArguments);
  addInspectCommand(program);
  addDoctorCommand(program, finish);
  addNetCommand(program);
  completeHelp(program, run);
  return program;
}

async function main(): Promise<number> {
  const [, invoked = "", ...args] = process.argv;
  if (basename(invoked, ".js") === "solo5-hvt") return await runSolo5Hvt(args);
  const { own, guest } = splitArguments(args);
  let status: number = EXIT_STATUS.success;
  const program = createProgram(guest, (result) => {
    status = result;
  });
  if (own.length === 0 && guest.length === 0) {
    program.outputHelp({ error: true });
    return EXIT_STATUS.refused;
  }
  try {
    await program.parseAsync(expandTenderOptions(own), { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? EXIT_STATUS.success : EXIT_STATUS.refused;
    }
    return explain(error);
  }
  return status;
}

watchStandardOutput();
// Not `await`: the bundle is a script.
void main().then((status) => {
  process.exitCode = status;
  // At an orderly exit Node puts terminals back, and aborts if one is gone (its `ResetStdio`). A
  // shell sees the same status.
  if (status === EXIT_STATUS.hangUp && process.stdin.isTTY) process.kill(process.pid, "SIGHUP");
  // With nothing left to do Node would still wait for what V8 compiles in the background.
  if (process.getActiveResourcesInfo().length === 0) process.exit();
});
// What the status stays if the event loop runs dry with the command unfinished. Only now: while it
// parses, commander takes this for the status of `help`.
process.exitCode = EXIT_STATUS.bug;
