import { examinePhysical } from "./examine.ts";
import { info } from "./info.ts";
import { type MonitorCommand, UsageError } from "./monitor.ts";

/** `on` or `off`; undefined if nothing is said. */
export function parseSwitch(word: string | undefined, usage: string): boolean | undefined {
  if (word === undefined) return undefined;
  if (word !== "on" && word !== "off") throw new UsageError(`usage: monitor ${usage}`);
  return word === "on";
}

const stepInterrupts: MonitorCommand = {
  usage: "[on|off]",
  help: "whether interrupts come in while the guest is stepped",
  run: (monitor, [word]) => {
    const wanted = parseSwitch(word, "step-interrupts [on|off]");
    if (wanted !== undefined) monitor.interruptsWhileStepping = wanted;
    return [`interrupts while stepping: ${monitor.interruptsWhileStepping ? "on" : "off"}`];
  },
};

const traceSwitch: MonitorCommand = {
  usage: "[on|off]",
  help: "whether what --trace asks for is written",
  run: ({ trace }, [word]) => {
    const wanted = parseSwitch(word, "trace [on|off]");
    if (trace === undefined) return ["nothing is traced: start with --trace KINDS[:FILE]"];
    if (wanted !== undefined) trace.on = wanted;
    return [`trace: ${trace.on ? "on" : "off"}`];
  },
};

const reset: MonitorCommand = {
  usage: "",
  help: "back to the start of the image, and stop there",
  run: ({ machine }) => {
    machine.reset();
    return ["the machine is at its start; maintenance flush register-cache shows it"];
  },
};

const quit: MonitorCommand = {
  usage: "",
  help: "end the run",
  run: ({ kill }) => {
    kill();
    return [];
  },
};

export const MONITOR_COMMANDS: Readonly<Record<string, MonitorCommand>> = {
  info,
  xp: examinePhysical,
  "step-interrupts": stepInterrupts,
  trace: traceSwitch,
  reset,
  quit,
};
