import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TapNetwork } from "../../src/host/tap.ts";
import { defaultMac } from "../../src/net/mac.ts";

const FRAME_LENGTH = 60;
const NUMBER_AT = 20;
/** IEEE 802's for experiments: no protocol of the host answers. */
const ETHERTYPE = 0x88b5;
/** More than may be on their way. */
const MANY = 3000;

const ip = (...args: string[]): void => {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
};

/** Frames that the host got from the tap. */
const taken = (name: string): number =>
  Number(
    new RegExp(`^ *${name}: *\\d+ +(\\d+)`, "m").exec(readFileSync("/proc/net/dev", "utf8"))?.[1],
  );

const threads = (): number =>
  Number(/^Threads:\s*(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);

/** On how many processors each of our threads may run. */
const processors = (): number[] =>
  readdirSync("/proc/self/task").map((thread) => {
    const status = readFileSync(`/proc/self/task/${thread}/status`, "utf8");
    const mask = /^Cpus_allowed:\s*(\S+)/m.exec(status)?.[1]?.replaceAll(",", "") ?? "";
    return [...BigInt(`0x${mask}`).toString(2)].filter((bit) => bit === "1").length;
  });

const frame = Buffer.alloc(FRAME_LENGTH);
frame.fill(0xff, 0, 6);
frame.set(defaultMac(0), 6);
frame.writeUInt16BE(ETHERTYPE, 12);

function numbered(number: number): Uint8Array {
  frame.writeUInt32BE(number, NUMBER_AT);
  return frame;
}

function send(network: TapNetwork, count: number): void {
  for (let i = 0; i < count; i++) network.transmit(numbered(i));
}

const open: TapNetwork[] = [];
function tap(name: string, threaded = true): TapNetwork {
  const network = new TapNetwork(name, () => {}, { threaded });
  open.push(network);
  return network;
}

beforeEach(() => {
  ip("tuntap", "add", "t0", "mode", "tap");
  ip("link", "set", "t0", "up");
});

afterEach(() => {
  for (const network of open.splice(0)) network.close();
  for (const name of ["t0", "t1", "br0"]) spawnSync("ip", ["link", "delete", name]);
});

describe("frames sent many at a time", () => {
  it("have all left when the tap is closed", () => {
    const network = tap("t0");
    send(network, MANY);
    network.close();
    expect(taken("t0")).toBe(MANY);
    expect(network.dropped).toBe(0);
  });

  it("have all left when the process exits", () => {
    const program = `
      const tap = new (require("./build/Release/solo5_kvm.node").Tap)("t0", true);
      for (let i = 0; i < ${MANY}; i++) tap.write(new Uint8Array(${FRAME_LENGTH}));
      process.exit(3);
    `;
    const { status, stderr } = spawnSync(process.execPath, ["-e", program], { encoding: "utf8" });
    expect(status, stderr).toBe(3);
    expect(taken("t0")).toBe(MANY);
  });

  it("keep their order, whoever writes them", async () => {
    ip("link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0");
    ip("tuntap", "add", "t1", "mode", "tap");
    for (const name of ["t0", "t1"]) ip("link", "set", name, "master", "br0", "up");
    ip("link", "set", "br0", "up");
    const received: number[] = [];
    const network = tap("t0");
    network.connect(() => true);
    const other = tap("t1");
    other.connect((bytes) => {
      const { buffer, byteOffset, length } = bytes;
      const view = new DataView(buffer, byteOffset, length);
      if (view.getUint16(12) === ETHERTYPE) received.push(view.getUint32(NUMBER_AT));
      return true;
    });
    // The bridge takes a moment.
    await expect
      .poll(() => {
        network.transmit(numbered(0));
        network.poll();
        other.poll();
        return received.length;
      })
      .toBeGreaterThan(0);
    while (other.poll());
    received.length = 0;
    // The first frame of each burst is written at once, if those before have left.
    const bursts = [1, 2, 1, 70, 1, 1, 3, 200, 1, 20];
    let sent = 0;
    for (const burst of bursts) {
      for (let i = 0; i < burst; i++) network.transmit(numbered(sent++));
      network.poll();
    }
    network.close();
    while (other.poll());
    expect(received).toEqual(Array.from({ length: sent }, (_, i) => i));
  });

  it("are counted if the host does not take them", () => {
    const network = tap("t0");
    ip("link", "set", "t0", "down");
    send(network, MANY);
    network.close();
    expect(network.dropped).toBe(MANY);
    expect(taken("t0")).toBe(0);
  });

  it("leave while the receiver closes the tap", () => {
    const network = tap("t0");
    network.connect(() => {
      send(network, MANY);
      network.close();
      return true;
    });
    ip("address", "add", "10.0.0.1/24", "dev", "t0");
    spawnSync("ping", ["-q", "-c", "1", "-W", "0.01", "10.0.0.2"]);
    const before = taken("t0");
    network.poll();
    expect(taken("t0")).toBe(before + MANY);
  });

  it("take no thread while they come one by one, or wait for others than frames", () => {
    const network = tap("t0");
    network.connect(() => true);
    const before = threads();
    for (let i = 0; i < 10; i++) {
      send(network, 1);
      network.poll();
    }
    expect(threads()).toBe(before);
    send(network, 2);
    expect(threads()).toBe(before + 1);
    const processorTime = process.cpuUsage();
    spawnSync("sleep", ["0.2"]);
    expect(process.cpuUsage(processorTime).user).toBeLessThan(50_000);
    network.close();
    expect(threads()).toBe(before);
  });
});

it.skipIf(availableParallelism() < 2)("the thread keeps off the processor of the guest", () => {
  const network = tap("t0");
  network.connect(() => true);
  expect(processors()).not.toContain(availableParallelism() - 1);
  send(network, 2);
  expect(processors().filter((count) => count === availableParallelism() - 1)).toHaveLength(1);
});

it("without a processor for it there is no thread, and frames leave as they come", () => {
  const network = tap("t0", false);
  network.connect(() => true);
  const before = { threads: threads(), taken: taken("t0") };
  send(network, MANY);
  expect(threads()).toBe(before.threads);
  expect(taken("t0")).toBe(before.taken + MANY);
});

it("a frame longer than any is dropped", () => {
  const network = tap("t0");
  for (let i = 0; i < 2; i++) network.transmit(new Uint8Array(65_554));
  network.close();
  expect(network.dropped).toBe(2);
});
