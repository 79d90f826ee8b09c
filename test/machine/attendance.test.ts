import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../src/core/clock.ts";
import { MICROSECOND, MILLISECOND, NEVER, nanos } from "../../src/core/units.ts";
import { Attendance } from "../../src/machine/attendance.ts";
import { VirtualEventLoop } from "../support/virtual-event-loop.ts";

let clock: VirtualClock;
let eventLoop: VirtualEventLoop;
let waiting: number;
let attendance: Attendance;

beforeEach(() => {
  clock = new VirtualClock();
  eventLoop = new VirtualEventLoop(clock);
  waiting = 0;
  const poll = () => waiting > 0 && waiting-- > 0;
  attendance = new Attendance({ clock, eventLoop, poll });
});

const arrive = (after: number) =>
  eventLoop.arrivals.push({
    after,
    happen: () => {
      waiting++;
    },
  });

describe("a guest that computes", () => {
  it("goes on with a frame that is there, and is not kept waiting for one", () => {
    waiting = 1;
    expect(attendance.attend(clock.now())).toBe(true);
    expect(attendance.attend(clock.now())).toBe(false);
    expect(eventLoop.blocks).toEqual([]);
  });

  it("leaves the event loop its turn every millisecond, frames or not", () => {
    waiting = Number.POSITIVE_INFINITY;
    let turns = 0;
    for (let i = 0; i < 100; i++) {
      clock.advance(50 * MICROSECOND);
      if (attendance.attend(clock.now())) continue;
      turns++;
      attendance.turned();
    }
    expect(turns).toBe(5);
  });
});

describe("a guest that waits", () => {
  it("gets the frame that comes within a millisecond", () => {
    arrive(300 * MICROSECOND);
    expect(attendance.attend(NEVER)).toBe(true);
    expect(clock.now()).toBe(300 * MICROSECOND);
  });

  it("is left to the event loop when none comes", () => {
    expect(attendance.attend(NEVER)).toBe(false);
    expect(clock.now()).toBe(MILLISECOND);
  });

  it("is left to the event loop when that has something else to do", () => {
    eventLoop.arrivals.push({ after: 10 * MICROSECOND });
    expect(attendance.attend(NEVER)).toBe(false);
    expect(clock.now()).toBe(10 * MICROSECOND);
  });

  it("goes on when its time has come", () => {
    expect(attendance.attend(nanos(200 * MICROSECOND))).toBe(true);
    expect(clock.now()).toBe(200 * MICROSECOND);
  });

  it("is waited for awake as long as frames come soon", () => {
    const gaps = [20, 20, 300, 20].map((gap) => gap * MICROSECOND);
    for (const gap of gaps) {
      arrive(gap);
      expect(attendance.attend(NEVER)).toBe(true);
    }
    attendance.attend(NEVER);
    attendance.turned();
    attendance.attend(NEVER);
    const awake = eventLoop.blocks.map((block) => block.awake / MICROSECOND);
    expect(awake).toEqual([0, 50, 50, 0, 50, 0]);
  });
});
