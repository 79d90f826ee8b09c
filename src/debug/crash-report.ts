/** What there is to tell of a guest that cannot go on, on one screen. */
import { createDisassembler } from "../../fallback/index.ts";
import type { FailedException, Registers } from "../core/cpu.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { hex } from "../core/units.ts";
import type { Outcome } from "../machine/outcome.ts";
import { describeOutcome, describeRegisters, filled } from "../machine/report.ts";
import { backtrace, type Frame } from "./backtrace.ts";
import { GuestCode } from "./code.ts";
import { EXCEPTION_NAMES, PAGE_FAULT } from "./exception-names.ts";
import { handledException } from "./interrupt-frame.ts";
import { type PageTableStep, walkPages } from "./page-walk.ts";
import type { SymbolTable } from "./symbols.ts";

/** Lines of a terminal. */
const SCREEN = 24;
/** However long the rest is. */
const LEAST_FRAMES = 4;

const STATE_LOST = [
  "this host's processor (AMD's do so) keeps no registers when it shuts down;",
  "--accel emu shows where it was, and what led to it",
];

/** Where the guest stands, and its memory. */
export interface StoppedGuest {
  readonly registers: Registers;
  readonly memory: GuestMemory;
}

/**
 * The report of a crash, the first line being what happened.
 * @returns undefined for an end that the guest chose
 */
export function crashReport(
  outcome: Outcome,
  { registers, memory }: StoppedGuest,
  symbols: SymbolTable,
): string[] | undefined {
  const reason = describeOutcome(outcome);
  if (reason === undefined) return undefined;
  if (outcome.kind === "triple-fault" && outcome.stateLost === true) return [reason, ...STATE_LOST];
  const code = new GuestCode(registers, memory);
  const frames = backtrace(code, symbols);
  const exceptions = exceptionsOf(outcome, code, frames);
  const head = [
    reason,
    ...describeExceptions(outcome, exceptions),
    ...describeRegisters(registers).split("\n"),
    ...describeInstructions(code, frames, symbols, outcome),
    ...describeWalk(faultAddress(exceptions, registers), registers, memory),
  ];
  return [...head, ...describeFrames(frames, symbols, SCREEN - head.length)];
}

/** Those that the guest could not take, or the one whose handler it is in. */
function exceptionsOf(
  outcome: Outcome,
  code: GuestCode,
  frames: readonly Frame[],
): readonly FailedException[] {
  if (outcome.kind === "triple-fault") return outcome.exceptions;
  const interrupted = frames.find((frame) => frame.interrupted !== undefined)?.interrupted;
  const handled = interrupted && handledException(code, interrupted);
  if (handled === undefined) return [];
  const address = handled.vector === PAGE_FAULT ? code.registers.cr2 : undefined;
  return [{ ...handled, address }];
}

function describeExceptions(outcome: Outcome, exceptions: readonly FailedException[]): string[] {
  if (exceptions.length === 0) return [];
  const names = exceptions.map(({ vector, errorCode, address }) => {
    const code = errorCode === undefined ? "" : ` ${hex(errorCode)}`;
    const at = address === undefined ? "" : ` at ${hex(address)}`;
    return `${EXCEPTION_NAMES[vector] ?? `vector ${vector}`}${code}${at}`;
  });
  const what = outcome.kind === "triple-fault" ? "no handler took:" : "in the handler of:";
  return filled([what, names.join(", then ")], " ");
}

/** The instruction at RIP, and the last one that a handler interrupted. */
function describeInstructions(
  code: GuestCode,
  frames: readonly Frame[],
  symbols: SymbolTable,
  outcome: Outcome,
): string[] {
  const symbolAt = (address: bigint): string | undefined => symbols.describe(address);
  const describe = (address: bigint): string | undefined => {
    const { bytes, text } = code.line(address, symbolAt);
    if (bytes.length === 0) return undefined;
    return `${hex(address)}: ${hexBytes(bytes)}  ${text}`;
  };
  // What KVM says it could not execute, it may have read elsewhere than where RIP is now.
  const told = outcome.kind === "cannot-continue" ? outcome.exit.instruction : undefined;
  if (told !== undefined && told.length > 0) {
    const { text } = createDisassembler().line(told, {
      address: code.position,
      codeSize: code.size,
      symbolAt,
    });
    return [`${hex(code.position)}: ${hexBytes(told)}  ${text}`];
  }
  const interrupted = frames.find(({ found }) => found === "interrupt");
  const lines = [describe(code.position), interrupted && describe(interrupted.address)];
  return lines.flatMap((line) => line ?? []);
}

const hexBytes = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");

/** The address of the page fault that it began with; or of the last one that there was. */
function faultAddress(
  exceptions: readonly FailedException[],
  { cr2 }: Registers,
): bigint | undefined {
  if (exceptions.length > 0) return exceptions.find(({ vector }) => vector === PAGE_FAULT)?.address;
  return cr2 === 0n ? undefined : cr2;
}

function describeWalk(
  address: bigint | undefined,
  registers: Registers,
  memory: GuestMemory,
): string[] {
  if (address === undefined) return [];
  const { mode, steps, mapping } = walkPages(registers, memory, address);
  if (mode === "none") return [];
  const end =
    mapping === undefined
      ? "not mapped"
      : [
          `maps ${hex(mapping.physical)}`,
          mapping.writable ? "write" : "read-only",
          mapping.executable ? "execute" : "no-execute",
          mapping.user ? "user" : "supervisor",
        ].join(" ");
  return filled([`${hex(address)}, ${mode} paging:`, ...steps.map(describeStep), end], " ");
}

const describeStep = ({ table, address, entry }: PageTableStep): string =>
  `${table}[${hex(address)}]=${entry === undefined ? "no RAM" : hex(entry)}`;

function describeFrames(frames: readonly Frame[], symbols: SymbolTable, room: number): string[] {
  const shown = Math.max(LEAST_FRAMES, frames.length > room ? room - 1 : room);
  const lines = frames.slice(0, shown).map((frame, i) => describeFrame(frame, i, symbols));
  const left = frames.length - lines.length;
  return left > 0 ? [...lines, `... and ${left} more`] : lines;
}

export function describeFrame({ address, found }: Frame, i: number, symbols: SymbolTable): string {
  const isReturn = found === "call" || found === "guess";
  // The call may be the last instruction of its function.
  const name = isReturn ? nameOfCall(address, symbols) : symbols.describe(address);
  const how = { registers: "", call: "", interrupt: "  interrupted", guess: "  perhaps" }[found];
  return `#${String(i).padEnd(2)} ${hex(address, 8)}${name === undefined ? "" : ` ${name}`}${how}`;
}

function nameOfCall(address: bigint, symbols: SymbolTable): string | undefined {
  const symbol = symbols.find(address - 1n);
  return symbol && `${symbol.name}+${hex(address - symbol.address)}`;
}
