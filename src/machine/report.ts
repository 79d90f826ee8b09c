import { GENERAL_REGISTERS, type Registers, SEGMENT_REGISTERS } from "../core/cpu.ts";
import { hex } from "../core/units.ts";
import type { Outcome } from "./outcome.ts";

const REGISTERS_PER_LINE = 4;

const wide = (value: bigint): string => value.toString(16).padStart(16, "0");

/** The architectural state as text, one screen at most. */
export function describeRegisters(registers: Registers): string {
  const names = [...GENERAL_REGISTERS, "rip", "rflags"] as const;
  const cells = names.map((name) => `${name.padEnd(6)} ${wide(registers[name])}`);
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += REGISTERS_PER_LINE) {
    lines.push(cells.slice(i, i + REGISTERS_PER_LINE).join("  "));
  }
  const control = (["cr0", "cr2", "cr3", "cr4", "efer"] as const).map(
    (name) => `${name} ${hex(registers[name])}`,
  );
  lines.push(control.join("  "));
  const segments = SEGMENT_REGISTERS.map(
    (name) => `${name} ${hex(registers[name].selector)}@${hex(registers[name].base)}`,
  );
  lines.push(segments.join("  "));
  lines.push(
    `gdt ${hex(registers.gdtr.base)}+${hex(registers.gdtr.limit)}  ` +
      `idt ${hex(registers.idtr.base)}+${hex(registers.idtr.limit)}  ` +
      `tr ${hex(registers.tr.selector)}@${hex(registers.tr.base)}`,
  );
  return lines.join("\n");
}

/** What to tell the user about an end that the guest did not choose; undefined for one it did. */
export function describeOutcome(outcome: Outcome): string | undefined {
  switch (outcome.kind) {
    case "exit":
    case "power-off":
    case "stopped":
      return undefined;
    case "halted-forever":
      return `the guest halted with interrupts disabled, at rip ${hex(outcome.registers.rip)}`;
    case "triple-fault":
      return `the guest brought its processor down (triple fault)\n${describeRegisters(outcome.registers)}`;
    case "cannot-continue": {
      const { reason, instruction } = outcome.exit;
      const bytes = [...instruction].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
      const at = `at rip ${hex(outcome.registers.rip)}: ${bytes === "" ? "(no bytes)" : bytes}`;
      return `${reason}, ${at}\n${describeRegisters(outcome.registers)}`;
    }
  }
}
