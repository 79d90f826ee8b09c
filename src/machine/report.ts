import { GENERAL_REGISTERS, type Registers, SEGMENT_REGISTERS } from "../core/cpu.ts";
import { hex } from "../core/units.ts";
import type { Outcome } from "./outcome.ts";

/** Of a terminal, in characters. */
const LINE = 80;
/** What our kernel ends with after an exception, or when the application gives up. */
const ABORT_STATUS = 255;

/** Of a guest that breaks a device's rules again and again. */
const MAX_REPORTS = 20;

const wide = (value: bigint): string => value.toString(16).padStart(16, "0");

/** The architectural state as text, in lines of at most 80 characters. */
export function describeRegisters(registers: Registers): string {
  const names = [...GENERAL_REGISTERS, "rip", "rflags"] as const;
  const cells = names.map((name) => `${name.padEnd(6)} ${wide(registers[name])}`);
  const control = (["cr0", "cr2", "cr3", "cr4", "efer"] as const).map(
    (name) => `${name} ${hex(registers[name])}`,
  );
  const segments = SEGMENT_REGISTERS.map(
    (name) => `${name} ${hex(registers[name].selector)}@${hex(registers[name].base)}`,
  );
  return [
    ...filled(cells),
    ...filled(control),
    ...filled(segments),
    ...filled([
      `gdt ${hex(registers.gdtr.base)}+${hex(registers.gdtr.limit)}`,
      `idt ${hex(registers.idtr.base)}+${hex(registers.idtr.limit)}`,
      `tr ${hex(registers.tr.selector)}@${hex(registers.tr.base)}`,
    ]),
  ].join("\n");
}

/** Whether a run ended as the guest or the host's side wanted it to. */
export const isGuestsChoice = (outcome: Outcome): boolean => describeOutcome(outcome) === undefined;

/** What to tell the user about an end that the guest did not choose; undefined for one it did. */
export function describeOutcome(outcome: Outcome): string | undefined {
  switch (outcome.kind) {
    case "exit":
      return outcome.status === ABORT_STATUS ? "the guest aborted" : undefined;
    case "power-off":
    case "stopped":
      return undefined;
    case "fault": {
      const { reason, registers } = outcome;
      if (registers === undefined) return `the guest cannot go on: ${reason}`;
      return `${reason}, rip=${hex(registers.rip)}`;
    }
    case "halted-forever":
      return `the guest halted with interrupts disabled, at rip ${hex(outcome.registers.rip)}`;
    case "triple-fault":
      return "the guest brought its processor down (triple fault)";
    case "cannot-continue": {
      const { reason, instruction } = outcome.exit;
      const bytes = [...instruction].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
      return `${reason}, at rip ${hex(outcome.registers.rip)}: ${bytes === "" ? "(no bytes)" : bytes}`;
    }
  }
}

/** As many cells in a line as there is room for. */
export function filled(cells: readonly string[], gap = "  "): string[] {
  const lines: string[] = [];
  for (const cell of cells) {
    const last = lines.at(-1);
    const joined = `${last}${gap}${cell}`;
    if (last === undefined || joined.length > LINE) lines.push(cell);
    else lines[lines.length - 1] = joined;
  }
  return lines;
}

/** What takes a guest's errors and says no more of them than a user will read. */
export function limitedReports(say: (line: string) => void): (error: Error) => void {
  let left = MAX_REPORTS;
  return ({ message }) => {
    if (left > 0) say(message);
    if (left === 1) say("more reports of this kind are not shown");
    left = Math.max(0, left - 1);
  };
}
