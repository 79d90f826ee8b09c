import { describe, expect, it } from "vitest";
import { FwCfg } from "../../../src/devices/firmware/fw-cfg.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";

describe("firmware configuration", () => {
  const device = new FwCfg({ memoryBytes: 0xc000_0000 });
  const item = (key: number, bytes: number): number[] => {
    device.write(0, 2, key);
    return Array.from({ length: bytes }, () => device.read(1, 1));
  };

  it("says who answers, how much memory there is and how many processors", () => {
    expect(String.fromCharCode(...item(0, 4))).toBe("QEMU");
    expect(item(1, 4)).toEqual([1, 0, 0, 0]);
    expect(item(3, 8)).toEqual([0, 0, 0, 0xc0, 0, 0, 0, 0]);
    expect([item(5, 2), item(0xf, 2)]).toEqual([
      [1, 0],
      [1, 0],
    ]);
  });

  it("has no files, and zeros for what it does not know and behind each item", () => {
    expect(item(0x19, 4)).toEqual([0, 0, 0, 0]);
    expect(item(0x8003, 2)).toEqual([0, 0]);
    expect(item(5, 4)).toEqual([1, 0, 0, 0]);
  });

  it("begins an item anew each time it is selected, and with the signature after a reset", () => {
    item(0, 2);
    expect(item(0, 1)).toEqual(["Q".charCodeAt(0)]);
    item(3, 1);
    device.reset();
    expect(device.read(1, 1)).toBe("Q".charCodeAt(0));
  });

  it("lives through any access", () => {
    readWriteEverything(() => {
      const fuzzed = new FwCfg({ memoryBytes: 1 << 20 });
      return { ranges: [[fuzzed, fuzzed.length]] };
    });
  });
});
