import { describe, expect, it } from "vitest";
import { AlarmQueue, VirtualClock } from "../../src/core/clock.ts";
import { Bug } from "../../src/core/errors.ts";
import { NEVER, nanos } from "../../src/core/units.ts";

describe("alarm queue", () => {
  it("knows the earliest alarm", () => {
    const queue = new AlarmQueue();
    expect(queue.deadline).toBe(NEVER);
    const first = queue.create(() => {});
    const second = queue.create(() => {});
    first.set(nanos(30));
    second.set(nanos(20));
    expect(queue.deadline).toBe(20);
    second.set(nanos(40));
    expect(queue.deadline).toBe(30);
    first.cancel();
    second.cancel();
    expect(queue.deadline).toBe(NEVER);
  });

  it("fires what is due, earliest first, and each once", () => {
    const queue = new AlarmQueue();
    const fired: string[] = [];
    const late = queue.create(() => fired.push("late"));
    const early = queue.create(() => fired.push("early"));
    const future = queue.create(() => fired.push("future"));
    late.set(nanos(20));
    early.set(nanos(10));
    future.set(nanos(30));
    queue.fireDue(nanos(25));
    queue.fireDue(nanos(26));
    expect(fired).toEqual(["early", "late"]);
    expect(queue.deadline).toBe(30);
  });

  it("does not let an alarm that sets itself into the past starve the guest", () => {
    const queue = new AlarmQueue();
    let fired = 0;
    const alarm = queue.create(() => {
      fired++;
      alarm.set(nanos(0));
    });
    alarm.set(nanos(0));
    queue.fireDue(nanos(5));
    expect(fired).toBe(1);
    queue.fireDue(nanos(5));
    expect(fired).toBe(2);
  });

  it("does not fire an alarm that another one has just cancelled or put off", () => {
    const queue = new AlarmQueue();
    const fired: string[] = [];
    const first = queue.create(() => {
      fired.push("first");
      cancelled.cancel();
      putOff.set(nanos(50));
    });
    const cancelled = queue.create(() => fired.push("cancelled"));
    const putOff = queue.create(() => fired.push("put off"));
    first.set(nanos(1));
    cancelled.set(nanos(2));
    putOff.set(nanos(3));
    queue.fireDue(nanos(10));
    expect(fired).toEqual(["first"]);
    expect(queue.deadline).toBe(50);
  });
});

describe("virtual clock", () => {
  it("fires each alarm at its own time on the way", () => {
    const clock = new VirtualClock();
    const times: number[] = [];
    const alarm = clock.alarm(() => {
      times.push(clock.now());
      if (times.length < 3) alarm.set(nanos(clock.now() + 10));
    });
    alarm.set(nanos(5));
    clock.advance(100);
    expect(times).toEqual([5, 15, 25]);
    expect(clock.now()).toBe(100);
  });

  it("fires an alarm of the past without going back", () => {
    const clock = new VirtualClock();
    clock.advance(100);
    let at = -1;
    clock
      .alarm(() => {
        at = clock.now();
      })
      .set(nanos(50));
    clock.advance(0);
    expect(at).toBe(100);
  });

  it("tells civil time from its start", () => {
    const clock = new VirtualClock(1_000_000);
    clock.advance(5);
    expect(clock.wall()).toBe(1_000_005);
    expect(() => clock.advance(-1)).toThrow(Bug);
  });
});
