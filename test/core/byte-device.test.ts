import { describe, expect, it } from "vitest";
import { byteDevice } from "../../src/core/byte-device.ts";

describe("byte device", () => {
  it("makes one access for each byte, lowest address first", () => {
    const log: string[] = [];
    const device = byteDevice({
      readByte: (offset) => {
        log.push(`r${offset}`);
        return 0xf0 | offset;
      },
      writeByte: (offset, value) => log.push(`w${offset}=${value.toString(16)}`),
    });
    expect(device.read(0, 4)).toBe(0xf3f2f1f0);
    expect(device.read(2, 1)).toBe(0xf2);
    device.write(1, 2, 0xabcd);
    expect(log).toEqual(["r0", "r1", "r2", "r3", "r2", "w1=cd", "w2=ab"]);
  });
});
