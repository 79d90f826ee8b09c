import { describe, expect, it } from "vitest";
import { Bus } from "../../src/core/bus.ts";
import type { AccessSize, BusDevice } from "../../src/core/device.ts";
import { Bug } from "../../src/core/errors.ts";

/** Remembers accesses, and reads as its own tag in every byte. */
class Recorder implements BusDevice {
  readonly accesses: string[] = [];
  readonly tag: number;

  constructor(tag: number) {
    this.tag = tag;
  }

  read(offset: number, size: AccessSize): number {
    this.accesses.push(`r${size}@${offset}`);
    return (this.tag * 0x0101_0101) >>> (8 * (4 - size));
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.accesses.push(`w${size}@${offset}=${value.toString(16)}`);
  }
}

describe("bus", () => {
  it("hands the whole access to the device that claims it, with the offset in its range", () => {
    const bus = new Bus("port");
    const device = new Recorder(0x11);
    bus.claim(0x100, 4, device);
    expect(bus.read(0x100, 4)).toBe(0x11111111);
    bus.write(0x102, 2, 0xabcd);
    expect(device.accesses).toEqual(["r4@0", "w2@2=abcd"]);
  });

  it("reads all ones where nobody answers, and swallows writes", () => {
    const bus = new Bus("port");
    expect([bus.read(0x80, 1), bus.read(0x80, 2), bus.read(0x80, 4)]).toEqual([
      0xff, 0xffff, 0xffffffff,
    ]);
    bus.write(0x80, 4, 1);
  });

  it("splits an access over two devices into bytes", () => {
    const bus = new Bus("port");
    const low = new Recorder(0x11);
    const high = new Recorder(0x22);
    bus.claim(0x100, 2, low);
    bus.claim(0x102, 2, high);
    expect(bus.read(0x101, 4)).toBe(0xff222211);
    bus.write(0x101, 2, 0xabcd);
    expect(low.accesses).toEqual(["r1@1", "w1@1=cd"]);
    expect(high.accesses).toEqual(["r1@0", "r1@1", "w1@0=ab"]);
  });

  it("splits an access that begins before a device", () => {
    const bus = new Bus("port");
    const device = new Recorder(0x11);
    bus.claim(0x102, 1, device);
    expect(bus.read(0x100, 4)).toBe(0xff11ffff);
    bus.write(0x100, 4, 0x12345678);
    expect(device.accesses).toEqual(["r1@0", "w1@0=34"]);
  });

  it("forgets a device that was given up, even if it was the last used", () => {
    const bus = new Bus("port");
    const release = bus.claim(0x100, 1, new Recorder(0x11));
    expect(bus.read(0x100, 1)).toBe(0x11);
    release();
    expect(bus.read(0x100, 1)).toBe(0xff);
    expect(bus.claimed(0x100, 1)).toBe(false);
    bus.claim(0x100, 1, new Recorder(0x22));
    expect(bus.read(0x100, 1)).toBe(0x22);
  });

  it("refuses two devices at one address", () => {
    const bus = new Bus("port");
    bus.claim(0x100, 4, new Recorder(1));
    expect(() => bus.claim(0x103, 1, new Recorder(2))).toThrow(Bug);
    bus.claim(0x104, 1, new Recorder(2));
  });
});
