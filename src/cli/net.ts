import { Argument, type Command } from "commander";
import { describeChange, describeStatus, NetSetup } from "../host/net-setup.ts";
import { standardOutput } from "./standard-output.ts";

/** Each verb's report, a line a part. */
const VERBS = {
  up: (setup: NetSetup) => setup.up().map(describeChange),
  down: (setup: NetSetup) => setup.down().map(describeChange),
  status: (setup: NetSetup) => setup.status().map(describeStatus),
} as const;

export function addNetCommand(program: Command): void {
  program
    .command("net")
    .description("the host's side of real networking: bridge virbr0 (10.0.0.1/24) with tap veth0")
    .addArgument(new Argument("<verb>", "what to do").choices(Object.keys(VERBS)))
    .action((verb: keyof typeof VERBS) => {
      for (const line of VERBS[verb](new NetSetup())) standardOutput.write(`${line}\n`);
    });
}
