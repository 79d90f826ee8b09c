import { expect, test } from "vitest";
import { VirtualClock } from "../../../src/core/clock.ts";
import { NO_STOPS } from "../../../src/core/debug.ts";
import { GuestMemory } from "../../../src/core/guest-memory.ts";
import { NEVER } from "../../../src/core/units.ts";
import { SymbolTable } from "../../../src/debug/symbols.ts";
import { TraceLog } from "../../../src/debug/trace/trace-log.ts";
import { parseTrace } from "../../../src/debug/trace/trace-spec.ts";
import { tracedSteps } from "../../../src/debug/trace/traced-steps.ts";
import { registersAt, ScriptedCpu } from "../../support/scripted-cpu.ts";

test("a traced guest stops at a debugger's breakpoints", () => {
  const clock = new VirtualClock();
  const cpu = new ScriptedCpu(() => {
    cpu.registers = registersAt(0x102);
    return { kind: "debug", cause: "step", watchpoint: undefined };
  });
  cpu.registers = registersAt(0x100);
  const log = new TraceLog(parseTrace("cpu"), clock, () => {});
  const memory = new GuestMemory(new ArrayBuffer(0x1000));
  const traced = tracedSteps(cpu, { log, clock, memory, symbols: new SymbolTable([]) });
  traced.stopAt({ ...NO_STOPS, breakpoints: new Set([0x102n]) });
  expect(traced.run(NEVER)).toMatchObject({ kind: "debug", cause: "breakpoint" });
  expect(cpu.left).toBe(0);
});
