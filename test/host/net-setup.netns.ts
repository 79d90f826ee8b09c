import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeChange, describeStatus, NetSetup } from "../../src/host/net-setup.ts";
import { TapNetwork } from "../../src/host/tap.ts";
import { SimulatedGuest } from "../net/simulated-guest.ts";
import { configuration } from "../support/configuration.ts";

const ip = (...args: string[]): string => {
  const { status, stdout, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
  return stdout;
};

/** Names of all interfaces. */
const interfaces = (): string[] =>
  JSON.parse(ip("-json", "link")).map((link: { ifname: string }) => link.ifname);

const addresses = (name: string): string[] =>
  JSON.parse(ip("-json", "-4", "address", "show", name)).flatMap(
    (link: { addr_info: { local: string; prefixlen: number }[] }) =>
      link.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  );

let parent: string;
let folder: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "solo5-kvm-"));
  folder = join(parent, "state");
});
afterEach(() => {
  for (const name of ["veth0", "virbr0", "other"]) spawnSync("ip", ["link", "delete", name]);
  rmSync(parent, { recursive: true });
});

const setup = (owner = -1): NetSetup => new NetSetup(owner, undefined, folder);
const up = () => setup().up().map(describeChange);
const down = () => setup().down().map(describeChange);
const status = () => setup().status().map(describeStatus);

describe("net up", () => {
  it("makes bridge, address and tap, and connects them", () => {
    const before = interfaces();
    expect(up()).toEqual([
      "bridge virbr0: made",
      "address 10.0.0.1/24 on virbr0: made",
      "virbr0 up: made",
      "tap veth0: made",
      "veth0 in virbr0: made",
      "veth0 up: made",
    ]);
    expect(interfaces()).toEqual([...before, "virbr0", "veth0"]);
    expect(addresses("virbr0")).toEqual(["10.0.0.1/24"]);
    expect(ip("link", "show", "veth0")).toMatch(/[<,]UP[,>].* master virbr0/);
    expect(ip("-4", "route", "show")).toMatch(/^10\.0\.0\.0\/24 dev virbr0/);
    expect(status()).toEqual(["bridge virbr0: up, 10.0.0.1/24", "tap veth0: up, in virbr0"]);
  });

  it("twice changes nothing more", () => {
    up();
    const before = configuration(ip("address"));
    expect(up().every((line) => line.endsWith(": there already"))).toBe(true);
    expect(configuration(ip("address"))).toBe(before);
  });

  it("lets a monitor open the tap, and the host ping its guest", async () => {
    up();
    const network = new TapNetwork("veth0", (error) => {
      throw error;
    });
    const guest = new SimulatedGuest(network);
    guest.onFrame = (frame) => {
      guest.answerArp(frame);
      guest.answerEcho(frame);
    };
    const child = spawn("ping", ["-q", "-c", "3", "-i", "0.01", "10.0.0.2"]);
    const [exitStatus] = await once(child, "close");
    network.close();
    expect(exitStatus).toBe(0);
    expect(interfaces()).toContain("veth0");
  });

  it("gives the tap to a user, who may then open it", () => {
    setup(65_534).up();
    expect(ip("-details", "link", "show", "veth0")).toMatch(/persist on user (65534|nobody) /);
  });

  it("puts right what was taken apart since", () => {
    up();
    ip("link", "set", "veth0", "nomaster");
    ip("address", "flush", "dev", "virbr0");
    expect(up().filter((line) => line.endsWith(": made"))).toEqual([
      "address 10.0.0.1/24 on virbr0: made",
      "veth0 in virbr0: made",
    ]);
  });

  it("undoes its work when a part fails", () => {
    ip("tuntap", "add", "veth0", "mode", "tun");
    const before = interfaces();
    expect(up).toThrow(/an interface veth0 exists and is not a tap: rename or remove it/);
    expect(interfaces()).toEqual(before);
    expect(existsSync(folder)).toBe(false);
  });

  it("refuses a virbr0 that is no bridge", () => {
    ip("tuntap", "add", "virbr0", "mode", "tap");
    expect(up).toThrow(/an interface virbr0 exists and is not a bridge/);
  });

  it("without permission says so, and leaves nothing behind", () => {
    const before = interfaces();
    const unprivileged = setup();
    process.seteuid?.(65_534);
    try {
      expect(() => unprivileged.up()).toThrow(
        /cannot make bridge virbr0 \(EPERM\): run as root, for example with sudo/,
      );
    } finally {
      process.seteuid?.(0);
    }
    expect(interfaces()).toEqual(before);
  });
});

describe("net down", () => {
  it("removes all that net up made", () => {
    const before = interfaces();
    up();
    expect(down()).toEqual(["tap veth0: removed", "bridge virbr0: removed"]);
    expect(interfaces()).toEqual(before);
    expect(existsSync(folder)).toBe(false);
  });

  it("twice, or without net up, is fine", () => {
    const absent = ["bridge virbr0: does not exist", "tap veth0: does not exist"];
    expect(down()).toEqual(absent);
    up();
    down();
    expect(down()).toEqual(absent);
    expect(status()).toEqual(absent);
  });

  it("leaves a bridge and a tap that were there before as they were", () => {
    ip("link", "add", "virbr0", "type", "bridge");
    ip("address", "add", "192.168.122.1/24", "dev", "virbr0");
    ip("tuntap", "add", "veth0", "mode", "tap");
    const before = [ip("link"), addresses("virbr0")];
    up();
    expect(addresses("virbr0")).toEqual(["192.168.122.1/24", "10.0.0.1/24"]);
    expect(status()).toEqual([
      "bridge virbr0: up, 10.0.0.1/24, not made by `net up`",
      "tap veth0: up, in virbr0, not made by `net up`",
    ]);
    expect(down()).toEqual([
      "veth0 up: removed",
      "veth0 in virbr0: removed",
      "virbr0 up: removed",
      "address 10.0.0.1/24 on virbr0: removed",
      "bridge virbr0: left alone, it was not made by `net up`",
      "tap veth0: left alone, it was not made by `net up`",
    ]);
    const linkState = (text: string) => text.replace(/qdisc \w+|qlen \d+|ether [\w:]+/g, "");
    expect(linkState(ip("link"))).toBe(linkState(before[0] as string));
    expect(addresses("virbr0")).toEqual(before[1]);
  });

  it("leaves alone what somebody else made after net up's was removed", () => {
    up();
    ip("link", "delete", "virbr0");
    ip("link", "delete", "veth0");
    ip("link", "add", "virbr0", "type", "bridge");
    expect(down()).toEqual([
      "bridge virbr0: left alone, it was not made by `net up`",
      "tap veth0: does not exist",
    ]);
    expect(interfaces()).toContain("virbr0");
    expect(existsSync(folder)).toBe(false);
  });

  it("changes nothing while a monitor uses the tap", () => {
    up();
    const network = new TapNetwork("veth0", () => {});
    const before = ip("address");
    expect(down).toThrow(/cannot remove tap veth0 \(EBUSY\): somebody uses it/);
    expect(ip("address")).toBe(before);
    network.close();
    expect(down()).toEqual(["tap veth0: removed", "bridge virbr0: removed"]);
  });
});

describe("a tap that is in another bridge", () => {
  it("is not taken out of it", () => {
    ip("link", "add", "other", "type", "bridge");
    ip("tuntap", "add", "veth0", "mode", "tap");
    ip("link", "set", "veth0", "master", "other");
    expect(up).toThrow(/cannot make veth0 in virbr0 \(EBUSY\)/);
    expect(interfaces()).not.toContain("virbr0");
    expect(ip("link", "show", "veth0")).toMatch(/master other/);
  });
});
