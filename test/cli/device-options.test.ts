import { describe, expect, it } from "vitest";
import { parseBlock, parseNet } from "../../src/cli/device-options.ts";
import { parsePublish } from "../../src/cli/publish-option.ts";

describe("--net", () => {
  it.each([
    ["user", { kind: "user" }],
    ["user,nat", { kind: "user", nat: true }],
    [
      "a=user,nat,mac=52:54:00:00:00:01",
      { kind: "user", nat: true, name: "a", mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1) },
    ],
    ["none", { kind: "none" }],
    ["tap:veth0", { kind: "tap", interface: "veth0" }],
    ["service0=user", { kind: "user", name: "service0" }],
    ["net0=tap:tap100", { kind: "tap", interface: "tap100", name: "net0" }],
    [
      "a=tap:t0,mac=52:54:00:00:00:01",
      { kind: "tap", interface: "t0", name: "a", mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1) },
    ],
  ])("understands %s", (text, spec) => {
    expect(parseNet(text)).toEqual(spec);
  });

  it.each([
    ["", `there is no network back end "": use user, tap:IFNAME or none`],
    ["bridge", `there is no network back end "bridge": use user, tap:IFNAME or none`],
    ["service0=", `there is no network back end "": use user, tap:IFNAME or none`],
    ["tap:", "name the interface: tap:IFNAME"],
    ["=user", "there is no name before '='"],
    [`${"n".repeat(68)}=user`, "a name has at most 67 characters"],
    ["user,", `"" is not known here: only nat and mac=MAC are`],
    ["user,mtu=9000", `"mtu=9000" is not known here: only nat and mac=MAC are`],
    ["tap:veth0,nat", `"nat" is not known here: only mac=MAC is`],
    ["user,mac=1", `"1" is not a MAC address: write it as 52:54:00:12:34:56`],
    ["user,mac=52:54:00:00:00:01,mac=52:54:00:00:00:02", "mac= is given twice"],
    ["user,nat,nat", "nat is given twice"],
  ])("refuses %j", (text, message) => {
    expect(() => parseNet(text)).toThrow(new Error(message));
  });

  it.each(["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"])(
    "refuses %s, which is no single device's",
    (mac) => {
      expect(() => parseNet(`user,mac=${mac}`)).toThrow(/cannot be one device's address/);
    },
  );
});

describe("--publish", () => {
  const local = { kind: "tcp", address: "127.0.0.1" };
  it.each([
    ["80", { ...local, port: 80, guestPort: 80 }],
    ["8080:80", { ...local, port: 8080, guestPort: 80 }],
    ["0:80", { ...local, port: 0, guestPort: 80 }],
    ["53/udp", { ...local, kind: "udp", port: 53, guestPort: 53 }],
    ["8080:80/tcp", { ...local, port: 8080, guestPort: 80 }],
    ["0.0.0.0:80", { kind: "tcp", address: "0.0.0.0", port: 80, guestPort: 80 }],
    ["[::1]:8080:80/udp", { kind: "udp", address: "::1", port: 8080, guestPort: 80 }],
  ])("understands %s", (text, port) => {
    expect(parsePublish(text)).toEqual(port);
  });

  const form = "is no port to publish: write [ADDRESS:]PORT[:GUESTPORT][/tcp|/udp], as 8080:80";
  it.each([
    ["", `"" ${form}`],
    ["http", `"http" ${form}`],
    ["1:2:3", `"1:2:3" ${form}`],
    ["localhost:80", `"localhost:80" ${form}`],
    ["80/sctp", `"80/sctp" ${form}`],
    ["1.2.3:80", '"1.2.3" is not an address'],
    ["1.2.3.256:80", '"1.2.3.256" is not an address'],
    ["[::g]:80", `"[::g]:80" ${form}`],
    ["[1:2]:80", '"1:2" is not an address'],
    ["65536", "a port is a number of at most 65535"],
    ["0", "say which port of the guest it is, as 0:80"],
    ["80:0", "say which port of the guest it is, as 0:80"],
  ])("refuses %j", (text, message) => {
    expect(() => parsePublish(text)).toThrow(new Error(message));
  });
});

describe("--block", () => {
  it.each([
    ["disk.img", { path: "disk.img", readOnly: false }],
    ["disk.img,ro", { path: "disk.img", readOnly: true }],
    ["data=/var/disk.img,ro", { name: "data", path: "/var/disk.img", readOnly: true }],
    ["./a=b.img", { path: "./a=b.img", readOnly: false }],
    ["x=a=b.img", { name: "x", path: "a=b.img", readOnly: false }],
    ["one,,two.img,ro", { path: "one,two.img", readOnly: true }],
    ["one,,,ro", { path: "one,", readOnly: true }],
  ])("understands %s", (text, spec) => {
    expect(parseBlock(text)).toEqual(spec);
  });

  it.each([
    ["", "there is no file name"],
    [",ro", "there is no file name"],
    ["data=", "there is no file name"],
    ["disk.img,ro,ro", "ro is given twice"],
    ["disk.img,rw", '"rw" is not known here: only ro is (a comma in a file name is written twice)'],
  ])("refuses %j", (text, message) => {
    expect(() => parseBlock(text)).toThrow(new Error(message));
  });
});
