import { describe, expect, it } from "vitest";
import { MICROSECOND, MILLISECOND, NEVER, nanos } from "../../src/core/units.ts";
import { RunLoop } from "../../src/machine/run-loop.ts";
import { end, Recorder, Rig } from "../support/run-loop-rig.ts";
import { HALT, KICKED, portWrite } from "../support/scripted-cpu.ts";

describe("a guest that waits", () => {
  it("sleeps to the next alarm, and goes on with its interrupt", async () => {
    const rig = new Rig(HALT, end);
    const alarm = rig.clock.alarm(() => rig.interrupts.queue.push(0x20));
    alarm.set(nanos(5 * MILLISECOND));
    await rig.loop.run();
    expect(rig.eventLoop.sleeps).toEqual([5 * MILLISECOND]);
    expect(rig.cpu.log).toEqual(["run", "rest", "interrupt 32", "run", "rest"]);
    expect(rig.clock.now()).toBe(5 * MILLISECOND);
    expect(rig.loop.statistics.idle).toBe(5 * MILLISECOND);
  });

  it("does not run when it is woken for no reason", async () => {
    const rig = new Rig(HALT, end);
    rig.eventLoop.events.push(
      () => {},
      () => {},
      () => {},
      () => rig.interrupts.queue.push(0x21),
    );
    await rig.loop.run();
    expect(rig.eventLoop.sleeps).toEqual([NEVER, NEVER, NEVER]);
    expect(rig.cpu.log).toEqual(["run", "rest", "rest", "rest", "interrupt 33", "run", "rest"]);
  });

  it("does not sleep when its interrupt is already there", async () => {
    const rig: Rig = new Rig(() => {
      rig.interrupts.queue.push(0x20);
      return HALT;
    }, end);
    await rig.loop.run();
    expect(rig.eventLoop.sleeps).toEqual([]);
    expect(rig.cpu.log).toEqual(["run", "interrupt 32", "run", "rest"]);
  });

  it("waits again after it handled an interrupt and halted", async () => {
    const rig = new Rig(HALT, portWrite(0, 1, 0), HALT, end);
    const alarm = rig.clock.alarm(() => {
      rig.interrupts.queue.push(0x20);
      alarm.set(nanos(rig.clock.now() + 2 * MILLISECOND));
    });
    alarm.set(nanos(2 * MILLISECOND));
    await rig.loop.run();
    expect(rig.eventLoop.sleeps).toEqual([2 * MILLISECOND, 4 * MILLISECOND]);
  });
});

describe("spare work", () => {
  /** A guest that waits from 3 ms on, and an interrupt that ends the run; some pieces of work. */
  function rigWith(pieces: number, interruptAt: number): Rig {
    const rig: Rig = new Rig(() => {
      rig.clock.advance(3 * MILLISECOND);
      return HALT;
    }, end);
    rig.clock.alarm(() => rig.interrupts.queue.push(0x20)).set(nanos(interruptAt));
    let left = pieces;
    Object.defineProperty(rig.cpu, "hasSpareWork", { get: () => left > 0 });
    Object.assign(rig.cpu, {
      doSpareWork: () => {
        left--;
        rig.cpu.log.push("work");
      },
    });
    return rig;
  }

  it("is done when the guest has waited for a while, piece by piece between turns", async () => {
    const rig = rigWith(2, 8 * MILLISECOND);
    await rig.loop.run();
    expect(rig.eventLoop.sleeps).toEqual([4 * MILLISECOND, 8 * MILLISECOND]);
    const waits = ["rest", "rest", "work", "rest", "work", "rest"];
    expect(rig.cpu.log).toEqual(["run", ...waits, "interrupt 32", "run", "rest"]);
  });

  it("is left when the guest goes on sooner", async () => {
    const rig = rigWith(2, 3.5 * MILLISECOND);
    await rig.loop.run();
    expect(rig.cpu.log).toEqual(["run", "rest", "interrupt 32", "run", "rest"]);
  });

  it("ends at once when a frame is there", async () => {
    const rig = rigWith(9, 8 * MILLISECOND);
    const nothing = () => undefined;
    const frame = (): true => {
      rig.interrupts.queue.push(0x21);
      return true;
    };
    rig.frames.push(nothing, nothing, nothing, nothing, frame);
    await rig.loop.run();
    expect(rig.cpu.log.filter((entry) => entry === "work").length).toBeLessThan(5);
    expect(rig.cpu.log).toContain("interrupt 33");
  });
});

describe("slices", () => {
  it("end at the next alarm, and at the latest after 20 ms", async () => {
    const rig = new Rig(portWrite(0, 1, 0), KICKED, end);
    const alarm = rig.clock.alarm(() => {});
    rig.ports.claim(0, 1, {
      read: () => 0,
      write: () => alarm.set(nanos(7 * MILLISECOND)),
    });
    await rig.loop.run();
    expect(rig.cpu.deadlines).toEqual([20 * MILLISECOND, 7 * MILLISECOND, 7 * MILLISECOND]);
  });

  it("go on after a kick for an alarm, which fired", async () => {
    let fired = 0;
    const rig: Rig = new Rig((deadline) => {
      // Time passes in the guest; the host's clock fires nothing by itself.
      passed = deadline;
      return KICKED;
    }, end);
    let passed = nanos(0);
    const now = (): typeof passed => passed;
    const clock = { now, wall: now, alarm: (fire: () => void) => rig.clock.alarm(fire) };
    const loop = new RunLoop({
      ...rig,
      clock,
      alarms: rig.clock.alarms,
      flush: () => {},
      poll: () => false,
      restart: () => {},
    });
    rig.ports.claim(0x600, 1, new Recorder());
    clock
      .alarm(() => {
        fired++;
        loop.end({ kind: "exit", status: 0 });
      })
      .set(nanos(3 * MILLISECOND));
    expect(await loop.run()).toEqual({ kind: "exit", status: 0 });
    expect(fired).toBe(1);
    // The first turn is from before the first slice.
    expect(rig.eventLoop.turns).toBe(1);
    expect(rig.cpu.left).toBe(1);
  });

  it("give the thread to the host after any other kick", async () => {
    const handled: string[] = [];
    const rig = new Rig(KICKED, KICKED, end);
    rig.eventLoop.events.push(
      () => handled.push("before"),
      () => handled.push("first"),
      () => handled.push("second"),
    );
    await rig.loop.run();
    expect(handled).toEqual(["before", "first", "second"]);
    expect(rig.cpu.log).toEqual(["run", "rest", "run", "rest", "run", "rest"]);
  });
});

describe("frames", () => {
  const arrival = (rig: Rig) => () => {
    rig.interrupts.queue.push(0x2b);
    return true as const;
  };

  it("that break a slice off reach the guest without a turn of the event loop", async () => {
    const rig: Rig = new Rig(KICKED, end);
    rig.frames.push(arrival(rig));
    await rig.loop.run();
    expect(rig.cpu.log).toEqual(["run", "interrupt 43", "run", "rest"]);
    expect(rig.eventLoop.turns).toBe(1);
  });

  it("that come soon wake the guest without one", async () => {
    const rig: Rig = new Rig(HALT, end);
    rig.frames.push(() => undefined, arrival(rig));
    rig.eventLoop.arrivals.push({ after: 30 * MICROSECOND });
    await rig.loop.run();
    expect(rig.cpu.log).toEqual(["run", "interrupt 43", "run", "rest"]);
    expect(rig.eventLoop.sleeps).toEqual([]);
    expect(rig.loop.statistics.idle).toBe(30 * MICROSECOND);
  });
});
