import { describe, expect, it } from "vitest";
import { DeviceStatus } from "../../../src/devices/virtio/status.ts";

describe("DeviceStatus", () => {
  it("follows the driver through its steps", () => {
    const status = new DeviceStatus();
    expect(status.write(1)).toBe("sets-up");
    expect(status.write(3)).toBe("sets-up");
    expect(status.write(7)).toBe("ready");
    expect(status.value).toBe(7);
    expect(status.write(0)).toBe("resets");
    expect(status.value).toBe(0);
  });

  it("accepts a driver that drops its first steps again", () => {
    const status = new DeviceStatus();
    status.write(3);
    expect(status.write(4)).toBe("ready");
    expect(status.value).toBe(4);
  });

  it("notices a driver that gave up", () => {
    const status = new DeviceStatus();
    expect(status.write(0x80)).toBe("gave-up");
    expect(status.working).toBe(false);
  });

  it("stays in need of a reset until there is one", () => {
    const status = new DeviceStatus();
    status.write(7);
    status.requireReset();
    expect(status.write(7)).toBe("gave-up");
    expect(status.value).toBe(0x47);
    expect(status.working).toBe(false);
    status.write(0);
    expect(status.working).toBe(true);
  });

  it("does not let the driver claim that the device needs a reset", () => {
    const status = new DeviceStatus();
    status.write(0x47);
    expect(status.value).toBe(7);
  });
});
