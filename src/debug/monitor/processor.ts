import type { Registers } from "../../core/cpu.ts";
import { instructionAddress } from "../../core/debug.ts";
import { hex } from "../../core/units.ts";
import type { Machine } from "../../machine/machine.ts";
import { describeRegisters } from "../../machine/report.ts";
import { pagingMode } from "../page-walk.ts";

const CR0_PE = 1n << 0n;
const EFER_LMA = 1n << 10n;
const RFLAGS_IF = 1n << 9n;
const RFLAGS_VM = 1n << 17n;
/** Of a code segment's attributes. */
const LONG = 1 << 13;
const BIG = 1 << 14;

/** The operating mode (Intel SDM vol. 3A §2.2). */
export function describeMode({ cr0, efer, rflags, cs }: Registers): string {
  if ((cr0 & CR0_PE) === 0n) return "real mode";
  if ((rflags & RFLAGS_VM) !== 0n) return "virtual-8086 mode";
  const width = (cs.attributes & BIG) !== 0 ? "32-bit" : "16-bit";
  if ((efer & EFER_LMA) === 0n) return `protected mode, ${width}`;
  return (cs.attributes & LONG) !== 0 ? "64-bit mode" : `compatibility mode, ${width}`;
}

const levelOf = ({ cr0, cs }: Registers): number => ((cr0 & CR0_PE) === 0n ? 0 : cs.selector & 3);

/** Mode, what is pending, and the registers. */
export function describeProcessor(machine: Machine): string[] {
  const { cpu, board, halted } = machine;
  const state = cpu.readState();
  const { registers, shadow, nmiMasked } = state;
  const held = [
    ...(shadow.sti ? ["STI"] : []),
    ...(shadow.movSs ? ["MOV SS"] : []),
    ...(nmiMasked ? ["NMI handler"] : []),
  ];
  const interrupts = (registers.rflags & RFLAGS_IF) !== 0n ? "enabled" : "disabled";
  return [
    `processor   ${cpu.name}, ${describeMode(registers)}, level ${levelOf(registers)}, ` +
      `paging ${pagingMode(registers)}${halted ? ", halted" : ""}`,
    `next        ${hex(instructionAddress(registers))}`,
    `interrupts  ${interrupts}${held.length > 0 ? `, held off by ${held.join(", ")}` : ""}; ` +
      `${board.interrupts.pending ? "one is" : "none are"} pending` +
      `${board.interrupts.nmiPending ? ", NMI pending" : ""}`,
    ...describeRegisters(registers).split("\n"),
  ];
}
