import { describe, expect, it } from "vitest";
import { assignDevices, inManifestOrder } from "../../../src/boot/solo5/devices.ts";
import { parseManifest } from "../../../src/boot/solo5/manifest.ts";
import { DEVICES, manifestBytes } from "../../support/solo5-builder.ts";

const MANIFEST = parseManifest(manifestBytes(DEVICES));

describe("devices of a manifest", () => {
  it("are found by name and by order", () => {
    const assign = (...names: (string | undefined)[]) =>
      assignDevices(
        MANIFEST,
        "net",
        names.map((name) => ({ name })),
      );
    expect(assign("service0", "service1")).toEqual([2, 3]);
    expect(assign("service1", "service0")).toEqual([3, 2]);
    expect(assign(undefined, undefined)).toEqual([2, 3]);
    expect(assign(undefined, "service0")).toEqual([3, 2]);
    expect(() => assign("service0")).toThrow(
      "device 'service1' of type NET_BASIC declared but not attached: add --net service1=user",
    );
    expect(() => assign("service0", "service1", undefined)).toThrow(
      "another net device: it declares block 'storage', net 'service0', net 'service1'",
    );
    expect(() => assign("service0", "service0")).toThrow("not declared in manifest: 'service0'");
    expect(() => assign("storage", undefined)).toThrow("not declared in manifest: 'storage'");
  });

  it("keep the user's order on a PC unless all names are known", () => {
    const order = (...names: (string | undefined)[]) =>
      inManifestOrder(
        MANIFEST,
        "net",
        names.map((name) => ({ name })),
      ).map(({ name }) => name);
    expect(order("service1", "service0")).toEqual(["service0", "service1"]);
    expect(order("service1", undefined)).toEqual(["service1", undefined]);
    expect(order("b", "a")).toEqual(["b", "a"]);
    expect(inManifestOrder(undefined, "net", [{ name: "z" }, { name: "a" }])).toHaveLength(2);
  });
});
