import type { ByteSource } from "../boot/byte-source.ts";
import { bootFiles } from "../boot/direct-boot.ts";
import { GuestError } from "../core/errors.ts";
import { crashReport } from "../debug/crash-report.ts";
import { SymbolTable } from "../debug/symbols.ts";
import type { Machine } from "../machine/machine.ts";
import type { Outcome } from "../machine/outcome.ts";
import { isGuestsChoice } from "../machine/report.ts";
import { signalOf, writeCore } from "./core.ts";
import { printError, say } from "./messages.ts";

/** Tells of an end that the guest did not choose, on standard error. */
export function reportCrash(
  outcome: Outcome,
  machine: Machine,
  image: ByteSource,
  core: string | undefined,
): void {
  if (isGuestsChoice(outcome)) return;
  const registers = machine.cpu.readRegisters();
  const report = crashReport(outcome, { registers, memory: machine.memory }, symbolsOf(image));
  const [reason = "", ...rest] = report ?? [];
  say(reason);
  printError(`${rest.join("\n")}\n`);
  if (core !== undefined) writeCore(core, machine, signalOf(outcome));
}

/** Those of the files that the image boots; of an image that boots otherwise, its own. */
export function symbolsOf(image: ByteSource): SymbolTable {
  try {
    return new SymbolTable(bootFiles(image));
  } catch (error) {
    if (error instanceof GuestError) return new SymbolTable([image]);
    throw error;
  }
}
