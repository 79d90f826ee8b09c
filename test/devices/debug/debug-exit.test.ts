import { describe, expect, it } from "vitest";
import { DebugExit, exitStatus, qemuStatus } from "../../../src/devices/debug/debug-exit.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";

describe("debug exit", () => {
  const statusOf = (size: 1 | 2 | 4, value: number, statusOf = exitStatus): number => {
    const statuses: number[] = [];
    new DebugExit({ onExit: (status) => statuses.push(status), statusOf }).write(0, size, value);
    expect(statuses).toHaveLength(1);
    return statuses[0] as number;
  };

  it("takes Solo5's 41 for success, in every width", () => {
    expect([statusOf(1, 41), statusOf(2, 41), statusOf(4, 41)]).toEqual([0, 0, 0]);
  });

  it("hands on the exact status that our kernel marks", () => {
    expect([0, 1, 41, 255].map((status) => statusOf(2, 0x5300 | status))).toEqual([0, 1, 41, 255]);
  });

  it("treats anything else as QEMU does", () => {
    expect([statusOf(1, 0), statusOf(1, 1), statusOf(2, 0x31)]).toEqual([1, 3, 0x63]);
    expect([statusOf(1, 0xff), statusOf(2, 0x5400), statusOf(4, 0x15300)]).toEqual([0xff, 1, 1]);
  });

  it("elsewhere than at Solo5's port is QEMU's and nothing else", () => {
    const statuses = [0, 41, 0x10, 0x5300].map((value) => statusOf(2, value, qemuStatus));
    expect(statuses).toEqual([1, 83, 33, 1]);
  });

  it("reads as all ones", () => {
    const device = new DebugExit({ onExit: () => {}, statusOf: exitStatus });
    expect([device.read(0, 1), device.read(0, 2), device.read(0, 4)]).toEqual([
      ...[0xff, 0xffff, 0xffff_ffff],
    ]);
  });

  it("lives through any access, with statuses of one byte", () => {
    readWriteEverything(() => {
      const device = new DebugExit({
        onExit: (status) => expect(status & ~0xff).toBe(0),
        statusOf: exitStatus,
      });
      return { ranges: [[device, device.length]] };
    });
  });
});
