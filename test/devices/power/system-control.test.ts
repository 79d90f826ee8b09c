import { describe, expect, it } from "vitest";
import { SystemControl } from "../../../src/devices/power/system-control.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";

const create = (): { device: SystemControl; resets: () => number } => {
  let count = 0;
  const onReset = (): void => {
    count++;
  };
  return { device: new SystemControl({ onReset }), resets: () => count };
};

describe("system control port", () => {
  it("has A20 open at first, and remembers what becomes of it", () => {
    const { device } = create();
    expect(device.read(0, 1)).toBe(0x02);
    device.write(0, 1, 0xfc);
    expect(device.read(0, 1)).toBe(0x00);
    device.reset();
    expect(device.read(0, 1)).toBe(0x02);
  });

  it("resets when bit 0 rises", () => {
    const { device, resets } = create();
    device.write(0, 1, 0x02);
    expect(resets()).toBe(0);
    device.write(0, 1, 0x03);
    device.write(0, 1, 0x03);
    expect(resets()).toBe(1);
    device.reset();
    device.write(0, 1, 0x01);
    expect(resets()).toBe(2);
  });

  it("lives through any access", () => {
    readWriteEverything(() => ({ ranges: [[create().device, 1]] }));
  });
});
