import { beforeEach, describe, expect, test } from "vitest";
import { Bus } from "../../src/core/bus.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import type { VmExit } from "../../src/core/cpu.ts";
import { NO_STOPS } from "../../src/core/debug.ts";
import type { Outcome } from "../../src/machine/outcome.ts";
import type { Resumption, Stop } from "../../src/machine/run-control.ts";
import { type InterruptSource, RunLoop } from "../../src/machine/run-loop.ts";
import { HALT, KICKED, registersAt, type Scripted, ScriptedCpu } from "../support/scripted-cpu.ts";
import { VirtualEventLoop } from "../support/virtual-event-loop.ts";

const STEPPED: VmExit = { kind: "debug", cause: "step", watchpoint: undefined };
const AT_BREAKPOINT: VmExit = { kind: "debug", cause: "breakpoint", watchpoint: undefined };
const STEP: Resumption = { stops: { ...NO_STOPS, step: true } };
const GO: Resumption = { stops: NO_STOPS };

/** One request at a time. */
class Interrupts implements InterruptSource {
  vector: number | undefined;
  nmiPending = false;
  readonly connected = true;

  get requested(): boolean {
    return this.vector !== undefined;
  }

  get pending(): boolean {
    return this.vector !== undefined;
  }

  acknowledge(): number {
    const { vector = 0 } = this;
    this.vector = undefined;
    return vector;
  }

  acknowledgeNmi(): void {}
  synchronise(): void {}
}

describe("a debugger's hold on the guest", () => {
  let interrupts: Interrupts;
  let loop: RunLoop;
  let cpu: ScriptedCpu;
  let stops: Stop["kind"][];

  beforeEach(() => {
    interrupts = new Interrupts();
    stops = [];
  });

  const end = (): VmExit => {
    loop.end({ kind: "exit", status: 0 });
    return KICKED;
  };

  /** @param resumptions how to go on from each stop, or what to do before that */
  function run(
    script: readonly Scripted[],
    resumptions: readonly (Resumption | (() => Resumption))[],
  ): Promise<Outcome> {
    const clock = new VirtualClock();
    const eventLoop = new VirtualEventLoop(clock);
    cpu = new ScriptedCpu(...script);
    loop = new RunLoop({
      cpu,
      interrupts,
      clock,
      eventLoop,
      ports: new Bus("port"),
      mmio: new Bus("memory"),
      alarms: clock.alarms,
      flush: () => undefined,
      poll: () => false,
      restart: () => cpu.log.push("restart"),
    });
    const waiting = [...resumptions];
    loop.control.onStop = (stop) => {
      stops.push(stop.kind);
      const next = waiting.shift();
      if (next === undefined) throw new Error(`nobody expected this ${stop.kind}`);
      // As a debugger does: in a turn of the event loop.
      queueMicrotask(() => loop.control.resume(typeof next === "function" ? next() : next));
    };
    loop.control.stop();
    return loop.run();
  }

  test("nothing runs before it lets go", async () => {
    await run([end], [GO]);
    expect(stops).toEqual(["asked"]);
    expect(cpu.log).toEqual(["rest", "stop at []", "run", "rest"]);
  });

  test("a step stops again", async () => {
    await run([STEPPED, end], [STEP, GO]);
    expect(stops).toEqual(["asked", "debug"]);
    expect(cpu.log.filter((entry) => entry.startsWith("stop"))).toEqual([
      "stop at [] step",
      "stop at []",
    ]);
  });

  test("interrupts wait while it steps, unless they are asked for", async () => {
    const request = (resumption: Resumption) => () => {
      interrupts.vector = 0x20;
      return resumption;
    };
    await run([STEPPED, end], [request(STEP), GO]);
    expect(cpu.log.indexOf("interrupt 32")).toBeGreaterThan(cpu.log.indexOf("run"));
    stops = [];
    await run([STEPPED, end], [request({ ...STEP, interrupts: true }), GO]);
    expect(cpu.log.indexOf("interrupt 32")).toBeLessThan(cpu.log.indexOf("run"));
  });

  test("a step that sleeps lets the handler run that wakes it, then steps", async () => {
    const sleep = (): VmExit => {
      cpu.registers = registersAt(0x1001);
      return HALT;
    };
    const handler = (): VmExit => {
      expect(cpu.log.at(-2)).toBe("interrupt 32");
      return AT_BREAKPOINT;
    };
    const wake = (): Resumption => {
      interrupts.vector = 0x20;
      return STEP;
    };
    await run([sleep, STEPPED, handler, STEPPED, end], [STEP, wake, GO]);
    expect(stops).toEqual(["asked", "debug", "debug"]);
    expect(cpu.log.filter((entry) => entry.startsWith("stop"))).toEqual([
      "stop at [] step",
      "stop at [4097]",
      "stop at [] step",
      "stop at []",
    ]);
  });

  test("a breakpoint in that handler is a stop", async () => {
    const wake = (): Resumption => {
      cpu.registers = registersAt(0x1001);
      interrupts.vector = 0x20;
      return { stops: { ...STEP.stops, breakpoints: new Set([0x2000n]) } };
    };
    const inHandler = (): VmExit => {
      cpu.registers = registersAt(0x2000);
      return AT_BREAKPOINT;
    };
    await run([HALT, STEPPED, inHandler, end], [STEP, wake, GO]);
    expect(stops).toEqual(["asked", "debug", "debug"]);
  });

  test("a range is stepped through in one go, up to its end or a breakpoint", async () => {
    const stepTo = (rip: number) => (): VmExit => {
      cpu.registers = registersAt(rip);
      return STEPPED;
    };
    const range = { start: 0x1000n, end: 0x1010n };
    const breakpoints = new Set([0x1008n]);
    await run([0x1002, 0x1004, 0x1010, 0x1002, 0x1008].map(stepTo).concat(end), [
      { ...STEP, range },
      { stops: { ...STEP.stops, breakpoints }, range },
      GO,
    ]);
    expect(stops).toEqual(["asked", "debug", "debug"]);
    expect(cpu.left).toBe(0);
  });

  test("a crash may be looked at, if anybody is there", async () => {
    const shutdown: VmExit = { kind: "shutdown", exceptions: [] };
    const attach = (): Resumption => {
      loop.control.attached = true;
      return GO;
    };
    expect((await run([shutdown], [attach, GO])).kind).toBe("triple-fault");
    expect(stops).toEqual(["asked", "crash"]);
    stops = [];
    expect((await run([shutdown], [GO])).kind).toBe("triple-fault");
    expect(stops).toEqual(["asked"]);
  });

  test("the end of the run comes while it stands as well", async () => {
    const never = (): Resumption => {
      loop.end({ kind: "stopped", reason: "timeout" });
      loop.control.stop();
      return GO;
    };
    let told: Outcome | undefined;
    const outcome = run([], [never]);
    loop.control.onEnd = (one) => {
      told = one;
    };
    expect((await outcome).kind).toBe("stopped");
    expect(told).toEqual({ kind: "stopped", reason: "timeout" });
  });

  test("letting go takes all stops away, whether the guest stands or runs", async () => {
    const release = (): VmExit => {
      loop.control.release();
      return end();
    };
    await run([release], [{ stops: { ...NO_STOPS, breakpoints: new Set([1n]) } }]);
    expect(cpu.log.filter((entry) => entry.startsWith("stop"))).toEqual([
      "stop at [1]",
      "stop at []",
    ]);
  });
});
