import { spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { connect } from "node:net";
import { setImmediate, setTimeout } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import type { HostError } from "../../src/core/errors.ts";
import { OFFLOAD } from "../../src/core/offload.ts";
import { MICROSECOND, MILLISECOND, SECOND } from "../../src/core/units.ts";
import { loadAddon } from "../../src/host/addon.ts";
import type { WaitForEvents } from "../../src/host/event-loop.ts";
import { loadNetworkAddon } from "../../src/host/network-addon.ts";
import { TapNetwork } from "../../src/host/tap.ts";
import { parseEthernet } from "../../src/net/ethernet.ts";
import { PROTOCOL_UDP } from "../../src/net/ipv4.ts";
import { serialiseUdp } from "../../src/net/udp.ts";
import { GUEST, HOST, SimulatedGuest } from "../net/simulated-guest.ts";
import { tcpOf } from "../net/tcp-peer.ts";

const ip = (...args: string[]): string => {
  const { status, stdout, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
  return stdout;
};

const exists = (name: string): boolean => spawnSync("ip", ["link", "show", name]).status === 0;

const tapDescriptors = (): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === "/dev/net/tun";
    } catch {
      // The folder's own descriptor.
      return false;
    }
  }).length;

const open: TapNetwork[] = [];
const errors: HostError[] = [];
function tap(name: string, threaded = true): TapNetwork {
  const network = new TapNetwork(name, (error) => errors.push(error), { threaded });
  open.push(network);
  return network;
}

afterEach(() => {
  for (const network of open.splice(0)) network.close();
  errors.length = 0;
  for (const name of ["t0", "t1"]) spawnSync("ip", ["link", "delete", name]);
});

/** A tap with the host's address on it. */
function addressed(name: string, threaded = true): TapNetwork {
  const network = tap(name, threaded);
  ip("address", "add", "10.0.0.1/24", "dev", name);
  return network;
}

async function ping(...args: string[]): Promise<string> {
  const child = spawn("ping", [...args, "10.0.0.2"], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  await once(child, "close");
  return output;
}

describe("a tap", () => {
  it("is made, is up, and is gone when closed", () => {
    const network = tap("t0");
    expect(ip("link", "show", "t0")).toMatch(/[<,]UP[,>]/);
    expect(network.mtu).toBe(1500);
    network.close();
    network.close();
    expect(exists("t0")).toBe(false);
  });

  it("that exists is used as it is, and stays", () => {
    ip("tuntap", "add", "t0", "mode", "tap");
    ip("link", "set", "t0", "mtu", "1400");
    const network = tap("t0");
    expect(network.mtu).toBe(1400);
    expect(ip("link", "show", "t0")).not.toMatch(/[<,]UP[,>]/);
    network.close();
    expect(exists("t0")).toBe(true);
  });

  it.each([
    ["which another process uses", "t0", /cannot open tap t0 \(EBUSY\): another process uses it/],
    ["which is no tap", "lo", /cannot open tap lo \(EINVAL\): .* is not a tap/],
    ["without a name", "", /"" is not a name for a network interface/],
    ["with a long name", "sixteen-letters!", /is not a name for a network interface/],
    ["with a slash in it", "a/b", /is not a name for a network interface/],
    ["with a pattern for a name", "tap%d", /is not a name for a network interface/],
  ])("is refused %s", (_what, name, message) => {
    tap("t0");
    const before = tapDescriptors();
    expect(() => tap(name)).toThrow(
      expect.objectContaining({ name: "HostError", message: expect.stringMatching(message) }),
    );
    expect(tapDescriptors()).toBe(before);
  });

  it("carries a thousand pings of the host's ping(8), of every size", async () => {
    const guest = new SimulatedGuest(addressed("t0"));
    guest.onFrame = (frame) => {
      guest.answerArp(frame);
      guest.answerEcho(frame);
    };
    expect(await ping("-q", "-f", "-c", "1000")).toMatch(/1000 packets transmitted, 1000 received/);
    for (const size of [8, 56, 1472]) {
      expect(await ping("-q", "-c", "20", "-i", "0.002", "-s", String(size))).toMatch(
        / 20 received/,
      );
    }
  });

  it("keeps frames for a guest without room, and loses none", async () => {
    const network = addressed("t0");
    const guest = new SimulatedGuest(network);
    guest.onFrame = (frame) => guest.answerArp(frame);
    await ping("-q", "-c", "1", "-W", "0.1");
    guest.onFrame = () => {};
    guest.received.length = 0;
    guest.room = 2;
    await ping("-q", "-c", "10", "-i", "0.002", "-W", "0.1");
    const pings = () => guest.received.filter((frame) => guest.echoRequest(frame)).length;
    expect(guest.received.length).toBe(2);
    guest.room = Number.POSITIVE_INFINITY;
    network.resume();
    await expect.poll(pings).toBe(10);
    const sequences = guest.received.map((frame) => guest.echoRequest(frame)?.sequence);
    expect(sequences.filter((n) => n !== undefined)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("wakes whoever waits on the event loop, but not while the guest has no room", async () => {
    const { waitForEvents } = loadAddon<{ waitForEvents: WaitForEvents }>();
    const network = addressed("t0");
    const guest = new SimulatedGuest(network);
    const broadcast = () =>
      spawnSync("ping", ["-q", "-b", "-c", "1", "-W", "0.01", "10.0.0.255"], { stdio: "ignore" });
    guest.room = 0;
    broadcast();
    await expect.poll(() => waitForEvents(0)).toBe(false);
    broadcast();
    expect(waitForEvents(20 * MILLISECOND)).toBe(false);
    // From here on the loop does not turn, as while a guest computes.
    guest.room = 1;
    network.resume();
    expect(guest.received).toHaveLength(1);
    expect(waitForEvents(SECOND)).toBe(true);
  });

  it("hands over frames when asked, without a turn of the event loop", () => {
    const { waitForEvents } = loadAddon<{ waitForEvents: WaitForEvents }>();
    const network = addressed("t0");
    const guest = new SimulatedGuest(network);
    while (network.poll()) guest.received.length = 0;
    const flood = ["-q", "-b", "-c", "100", "-f", "-W", "0.01", "10.0.0.255"];
    spawnSync("ping", flood, { stdio: "ignore" });
    expect(network.poll()).toBe(true);
    // A bounded number of them.
    expect(guest.received.length).toBe(64);
    while (network.poll());
    expect(guest.received.length).toBeGreaterThanOrEqual(100);
    expect(waitForEvents(0, 10 * MICROSECOND)).toBe(false);
  });

  it("leaves checksums to a guest that makes them, as long as it does", async () => {
    const guest = new SimulatedGuest(addressed("t0"));
    guest.onFrame = (frame) => guest.answerArp(frame);
    /** What is left to do on the first segment of a connection. */
    const opening = async () => {
      const before = guest.received.length;
      const socket = connect(80, "10.0.0.2");
      socket.on("error", () => {});
      const segment = () => guest.received.findIndex((each, i) => i >= before && tcpOf(each));
      await expect.poll(segment).toBeGreaterThanOrEqual(before);
      socket.destroy();
      return guest.headers[segment()];
    };
    expect(await opening()).toBeUndefined();
    guest.takes(OFFLOAD.CSUM | OFFLOAD.TSO4);
    // Behind Ethernet's and IPv4's header, and where TCP has its checksum.
    expect((await opening())?.[0]).toBe(1);
    expect([...((await opening()) ?? [])].slice(6)).toEqual([34, 0, 16, 0]);
    guest.takes(0);
    expect(await opening()).toBeUndefined();
  });

  it.each([true, false])(
    "makes checksums for a guest, drops what it cannot do",
    async (threaded) => {
      const network = addressed("t0", threaded);
      const guest = new SimulatedGuest(network);
      guest.onFrame = (frame) => guest.answerArp(frame);
      const socket = createSocket("udp4").bind(9999, "10.0.0.1");
      await once(socket, "listening");
      const messages: string[] = [];
      socket.on("message", (message) => messages.push(String(message)));
      const { address: mac } =
        /link\/ether (?<address>\S+)/.exec(ip("link", "show", "t0"))?.groups ?? {};
      const to = Uint8Array.from((mac ?? "").split(":"), (byte) => Number.parseInt(byte, 16));
      const send = (message: string, header?: Uint8Array) => {
        const addresses = { source: GUEST, destination: HOST };
        const datagram = { sourcePort: 5, destinationPort: 9999, payload: Buffer.from(message) };
        const payload = serialiseUdp(datagram, addresses, true);
        guest.sendPacket({ ...addresses, protocol: PROTOCOL_UDP, payload }, to, header);
      };
      const missing = Uint8Array.of(1, 0, 0, 0, 0, 0, 34, 0, 6, 0);
      send("wrong");
      send("made", missing);
      send("wrong after all");
      send("outside", missing.with(7, 0xff));
      send("of no size", missing.with(1, 1));
      send("made again", missing);
      await expect.poll(() => messages).toEqual(["made", "made again"]);
      expect(network.dropped).toBe(2);
      socket.close();
    },
  );

  it("drops and counts frames while the interface is down, and for junk", async () => {
    const network = tap("t0");
    network.transmit(new Uint8Array(3));
    expect(network.dropped).toBe(1);
    ip("link", "set", "t0", "down");
    network.transmit(new Uint8Array(60));
    await expect.poll(() => network.dropped).toBe(2);
    network.close();
    network.transmit(new Uint8Array(60));
    expect(network.dropped).toBe(3);
  });

  it("says once that the interface was removed, and rests", async () => {
    const network = tap("t0");
    network.connect(() => true);
    await setImmediate();
    ip("link", "delete", "t0");
    await expect.poll(() => errors.length).toBe(1);
    const before = process.cpuUsage();
    await setTimeout(100);
    const { user, system } = process.cpuUsage(before);
    expect(user + system).toBeLessThan(50_000);
    expect(errors.map((error) => error.message)).toEqual([
      expect.stringMatching(/^tap t0 is gone/),
    ]);
  });

  it("may be closed from within its receiver", async () => {
    const network = addressed("t0");
    let frames = 0;
    network.connect((frame) => {
      if (parseEthernet(frame) !== undefined) frames++;
      network.close();
      return true;
    });
    await ping("-q", "-c", "1", "-W", "0.1");
    expect(frames).toBe(1);
    expect(exists("t0")).toBe(false);
  });

  it("that nobody refers to is closed", async () => {
    const addon = loadNetworkAddon();
    const before = tapDescriptors();
    (() => {
      new addon.Tap("t0", false);
      new addon.Tap("t1", false).start(() => {});
    })();
    expect(tapDescriptors()).toBe(before + 2);
    await expect
      .poll(() => {
        globalThis.gc?.();
        return tapDescriptors();
      })
      .toBe(before);
  });

  it("once closed, does not keep the process alive", () => {
    const addon = "./build/Release/solo5_kvm.node";
    const program = `
      const tap = new (require("${addon}").Tap)("t1", false);
      tap.start(() => tap.read());
      setTimeout(() => tap.close(), 10);
    `;
    const { status, stderr } = spawnSync(process.execPath, ["-e", program], {
      encoding: "utf8",
      timeout: 10_000,
    });
    expect(status, stderr).toBe(0);
  });

  it("may get frames while its thread ends", () => {
    const program = `
      const { Worker } = require("node:worker_threads");
      const { execSync, spawn } = require("node:child_process");
      const code = \`
        const tap = new (require("./build/Release/solo5_kvm.node").Tap)("t1", false);
        tap.start(() => tap.read());
        require("node:worker_threads").parentPort.postMessage("open");
      \`;
      (async () => {
        for (let i = 0; i < 5; i++) {
          const worker = new Worker(code, { eval: true });
          await new Promise((resolve) => worker.once("message", resolve));
          execSync("ip addr add 10.9.9.1/24 dev t1");
          const flood = spawn("ping", ["-q", "-b", "-f", "10.9.9.255"], { stdio: "ignore" });
          await new Promise((resolve) => setTimeout(resolve, 100));
          await worker.terminate();
          flood.kill();
        }
      })();
    `;
    const { status, stderr } = spawnSync(process.execPath, ["-e", program], {
      encoding: "utf8",
      timeout: 20_000,
    });
    expect(status, stderr).toBe(0);
  });

  it("is closed when its thread ends", () => {
    const program = `
      const { Worker } = require("node:worker_threads");
      const code = \`
        const tap = new (require("./build/Release/solo5_kvm.node").Tap)("t1", false);
        tap.start(() => tap.read());
        require("node:worker_threads").parentPort.postMessage("open");
      \`;
      const worker = new Worker(code, { eval: true });
      worker.on("message", async () => {
        await worker.terminate();
        const { status } = require("node:child_process").spawnSync("ip", ["link", "show", "t1"]);
        process.exitCode = status === 0 ? 1 : 0;
      });
    `;
    const { status, stderr } = spawnSync(process.execPath, ["-e", program], {
      encoding: "utf8",
      timeout: 10_000,
    });
    expect(status, stderr).toBe(0);
    expect(exists("t1")).toBe(false);
  });
});
