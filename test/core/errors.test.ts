import { describe, expect, it } from "vitest";
import { assert, Bug, GuestError, HostError } from "../../src/core/errors.ts";

describe("errors", () => {
  it("says in one line what the host refused, why, and what to do", () => {
    const details = { errno: "EACCES", remedy: "join group kvm, or use --accel emu" };
    const error = new HostError("cannot open /dev/kvm", details);
    expect(error.message).toBe("cannot open /dev/kvm (EACCES): join group kvm, or use --accel emu");
    expect(new HostError("no room").message).toBe("no room");
  });

  it("tells the three kinds apart", () => {
    expect(new GuestError("image", "truncated")).toMatchObject({
      name: "GuestError",
      code: "image",
    });
    expect(() => assert(false, "sky is up")).toThrow(Bug);
    assert(true, "sky is up");
  });
});
