import { describe, expect, it } from "vitest";
import { TestDevice } from "../../../src/devices/debug/test-device.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";

describe("the test device", () => {
  const create = (lines = 2) => {
    const levels: string[] = [];
    const device = new TestDevice(
      Array.from({ length: lines }, (_, line) => ({
        set: (level: boolean) => levels.push(`${line} ${level}`),
      })),
    );
    return { device, levels };
  };

  it("keeps what is written to its ports, in any width", () => {
    const { latch } = create().device;
    latch.write(0, 4, 0x8765_4321);
    expect([latch.read(0, 4), latch.read(2, 2), latch.read(1, 1)]).toEqual([
      ...[0x8765_4321, 0x8765, 0x43],
    ]);
    latch.write(2, 1, 0xff);
    latch.write(0, 2, 0xabcd);
    expect(latch.read(0, 4)).toBe(0x87ff_abcd);
  });

  it("drives interrupt lines", () => {
    const { device, levels } = create();
    device.lines.write(1, 1, 1);
    device.lines.write(0, 4, 0x100);
    device.lines.write(1, 1, 0);
    expect(levels).toEqual(["1 true", "0 true", "1 false"]);
  });

  it("has memory", () => {
    const { memory } = create().device;
    memory.write(0, 4, 0x8765_4321);
    memory.write(memory.length - 2, 2, 0xbeef);
    expect([memory.read(1, 2), memory.read(memory.length - 1, 1), memory.read(4, 4)]).toEqual([
      ...[0x6543, 0xbe, 0],
    ]);
  });

  it("lives through any access", () => {
    readWriteEverything(() => {
      const { latch, lines, memory } = create(24).device;
      return {
        ranges: [
          [latch, latch.length],
          [lines, lines.length],
          [memory, memory.length],
        ],
      };
    });
  });
});
