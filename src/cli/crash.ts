import { crashReport } from "../debug/crash-report.ts";
import type { SymbolTable } from "../debug/symbols.ts";
import type { Machine } from "../machine/machine.ts";
import type { Outcome } from "../machine/outcome.ts";
import { isGuestsChoice } from "../machine/report.ts";
import { signalOf, writeCore } from "./core.ts";
import { printError, say } from "./messages.ts";

/** Tells of an end that the guest did not choose, on standard error. */
export function reportCrash(
  outcome: Outcome,
  machine: Machine,
  symbols: () => SymbolTable,
  core: string | undefined,
): void {
  if (isGuestsChoice(outcome)) return;
  const registers = machine.cpu.readRegisters();
  const report = crashReport(outcome, { registers, memory: machine.memory }, symbols());
  const [reason = "", ...rest] = report ?? [];
  say(reason);
  printError(`${rest.join("\n")}\n`);
  if (core !== undefined) writeCore(core, machine, signalOf(outcome));
}
