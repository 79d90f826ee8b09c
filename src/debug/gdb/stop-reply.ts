/** What a debugger is told when the guest stops (GDB manual, appendix E.3). */
import { instructionAddress } from "../../core/debug.ts";
import type { Outcome } from "../../machine/outcome.ts";
import type { Stop } from "../../machine/run-control.ts";
import { hexByte, toHex } from "./hex.ts";
import { REGISTERS, readRegister, registerNumber } from "./registers.ts";
import type { Session } from "./session.ts";

/** GDB's numbers of signals. */
const SIGNAL = { INT: 2, ILL: 4, TRAP: 5, ABRT: 6, SEGV: 11, TERM: 15 } as const;

/** Registers that every reply tells, since debuggers always want them. */
const EXPEDITED = ["rip", "rsp", "rbp"] as const;
const EXPEDITED_NUMBERS = EXPEDITED.map(registerNumber);

export const THREAD = "1";

function crashSignal(outcome: Outcome): number {
  if (outcome.kind === "triple-fault" || outcome.kind === "fault") return SIGNAL.SEGV;
  return outcome.kind === "cannot-continue" ? SIGNAL.ILL : SIGNAL.ABRT;
}

function signalOf(stop: Stop, interrupted: boolean): number {
  if (stop.kind === "crash") return crashSignal(stop.outcome);
  return stop.kind === "asked" && interrupted ? SIGNAL.INT : SIGNAL.TRAP;
}

const WATCH_KEYS = { write: "watch", read: "rwatch", access: "awatch" } as const;

function reasonOf({ stop, breakpoints, target, tellsBreakpoints }: Session): string {
  if (stop.kind !== "debug") return "";
  const { cause, watchpoint } = stop;
  if (watchpoint !== undefined) {
    return `${WATCH_KEYS[watchpoint.kind]}:${watchpoint.address.toString(16)};`;
  }
  if (cause !== "breakpoint" || !tellsBreakpoints) return "";
  return `${breakpoints.kindAt(instructionAddress(target.readState().registers))}:;`;
}

/** `T`: why the guest stands still. */
export function stopReply(session: Session): string {
  const state = session.target.readState();
  const registers = EXPEDITED_NUMBERS.map((number) => {
    const spec = REGISTERS[number];
    return spec === undefined ? "" : `${hexByte(number)}:${toHex(readRegister(spec, state))};`;
  });
  const signal = hexByte(signalOf(session.stop, session.interrupted));
  return `T${signal}thread:${THREAD};${reasonOf(session)}${registers.join("")}`;
}

/** `W` or `X`: the run is over. */
export function endReply(outcome: Outcome): string {
  switch (outcome.kind) {
    case "exit":
      return `W${hexByte(outcome.status & 0xff)}`;
    case "power-off":
      return "W00";
    case "stopped":
      return `X${hexByte(SIGNAL.TERM)}`;
    case "triple-fault":
    case "halted-forever":
    case "cannot-continue":
    case "fault":
      return `X${hexByte(crashSignal(outcome))}`;
  }
}
