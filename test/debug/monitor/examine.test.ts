import { expect, test } from "vitest";
import { GuestMemory } from "../../../src/core/guest-memory.ts";
import { gpa } from "../../../src/core/units.ts";
import { Monitor } from "../../../src/debug/monitor/monitor.ts";
import type { Machine } from "../../../src/machine/machine.ts";

const memory = new GuestMemory(new ArrayBuffer(0x2000));
memory.write(gpa(0x10), Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9));
const machine = { memory } as unknown as Machine;
const monitor = new Monitor({ machine, trace: undefined, kill: () => {} });

test.each([
  ["xp 0x10", "0x10:\t0x04030201\n"],
  ["xp /2h 16", "0x10:\t0x0201\t0x0403\n"],
  ["xp /gx 0x10", "0x10:\t0x0807060504030201\n"],
  ["xp /5 0x10", "0x10:\t0x04030201\t0x08070605\t0x00000009\t0x00000000\n0x20:\t0x00000000\n"],
  ["xp /2w 0x1ffc", "0x1ffc: no RAM here\n"],
])("%s shows physical memory", (command, lines) => {
  expect(monitor.execute(command)).toBe(lines);
});

test.each(["xp /99999999w 0", "xp /513 0", "xp /4q 0", "xp /-1w 0", "xp 4w 0", "xp", "xp /8w"])(
  "%s is told how it goes",
  (command) => {
    expect(monitor.execute(command)).toMatch(/^usage: monitor xp \[\/COUNT\{b,h,w,g\}\] ADDRESS/);
  },
);
