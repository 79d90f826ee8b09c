import { describe, expect, it } from "vitest";
import { ResetControl } from "../../../src/devices/power/reset-control.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";

const create = (): { device: ResetControl; resets: () => number } => {
  let count = 0;
  const onReset = (): void => {
    count++;
  };
  return { device: new ResetControl({ onReset }), resets: () => count };
};

describe("reset control", () => {
  it("resets when bit 2 rises, after the kind was chosen or with it", () => {
    for (const writes of [[0x02, 0x06], [0x06], [0x04], [0x0a, 0x0e]]) {
      const { device, resets } = create();
      for (const value of writes) device.write(0, 1, value);
      expect(resets()).toBe(1);
    }
  });

  it("resets only on the rise", () => {
    const { device, resets } = create();
    device.write(0, 1, 0x02);
    expect(resets()).toBe(0);
    device.write(0, 1, 0x06);
    device.write(0, 1, 0x06);
    expect(resets()).toBe(1);
    device.write(0, 1, 0x02);
    device.write(0, 1, 0x06);
    expect(resets()).toBe(2);
  });

  it("can be reset again after the machine was", () => {
    const { device, resets } = create();
    device.write(0, 1, 0x06);
    device.reset();
    expect(device.read(0, 1)).toBe(0);
    device.write(0, 1, 0x06);
    expect(resets()).toBe(2);
  });

  it("lives through any access", () => {
    readWriteEverything(() => ({ ranges: [[create().device, 1]] }));
  });
});
