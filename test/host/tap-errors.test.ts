import { expect, it } from "vitest";
import type { NativeTap, NetworkAddon } from "../../src/host/network-addon.ts";
import { TapNetwork } from "../../src/host/tap.ts";

/** The addon on a host that refuses taps. */
function refusing(code: string, syscall: string): Pick<NetworkAddon, "Tap"> {
  class Tap {
    constructor() {
      throw Object.assign(new Error(`${syscall}: refused`), { code, syscall });
    }
  }
  return { Tap: Tap as unknown as new (name: string) => NativeTap };
}

it.each([
  [
    "EPERM",
    "TUNSETIFF",
    "cannot open tap t0 (EPERM): no permission: run as root, or make it yours with `sudo ip tuntap add t0 mode tap user $USER`",
  ],
  [
    "EACCES",
    "open",
    "cannot open tap t0 (EACCES): no permission for /dev/net/tun: run as root, or let your group open it",
  ],
  [
    "ENOENT",
    "open",
    "cannot open tap t0 (ENOENT): there is no /dev/net/tun: load the driver with `sudo modprobe tun`",
  ],
  ["ENOMEM", "TUNSETIFF", "cannot open tap t0 (ENOMEM)"],
])("a tap refused with %s at %s is one line that helps", (code, syscall, message) => {
  expect(() => new TapNetwork("t0", () => {}, { addon: refusing(code, syscall) })).toThrow(
    expect.objectContaining({ name: "HostError", message, errno: code }),
  );
});
