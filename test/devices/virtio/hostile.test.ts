import { describe, expect, it } from "vitest";
import { gpa } from "../../../src/core/units.ts";
import { VirtioBlock } from "../../../src/devices/virtio/block.ts";
import { VirtioConsole } from "../../../src/devices/virtio/console.ts";
import { VirtioEntropy } from "../../../src/devices/virtio/entropy.ts";
import { VirtioNet } from "../../../src/devices/virtio/net.ts";
import { VIRTIO_F } from "../../../src/devices/virtio/virtio-device.ts";
import { FakeDisk, FakeLink } from "../../support/fake-backends.ts";
import { FakeConsole } from "../../support/fake-console.ts";
import { DESC, type FakeQueue, type VirtioTestDriver } from "../../support/fake-driver.ts";
import { VirtioRig } from "../../support/virtio-rig.ts";

const RAM = 0x10_0000;
const RINGS = [0x1_0000, 0x2_0000];
const DATA = 0x4_0000;
const TABLE = 0x5_0000;

type Interface = "legacy" | "modern";

/** A device, the queue that attacks go to, and a proof that the device works. */
interface Target {
  readonly name: string;
  readonly queues: number;
  readonly victim: number;
  build(over: Interface): Built;
}

interface Built {
  readonly rig: VirtioRig;
  readonly driver: VirtioTestDriver;
  works(queues: FakeQueue[]): void;
}

const built = (
  rig: VirtioRig,
  over: Interface,
  works: (driver: VirtioTestDriver, queues: FakeQueue[]) => void,
): Built => {
  const driver = over === "legacy" ? rig.driver : rig.modern;
  return { rig, driver, works: (queues) => works(driver, queues) };
};

const TARGETS: readonly Target[] = [
  {
    name: "network",
    queues: 2,
    victim: 1,
    build: (over) => {
      const link = new FakeLink();
      const rig = new VirtioRig(new VirtioNet({ backend: link, mac: new Uint8Array(6) }), RAM);
      return built(rig, over, (driver, queues) => {
        link.sent.length = 0;
        queues[1]?.add({ address: DATA, length: 72 });
        driver.notify(1);
        expect(link.sent).toHaveLength(1);
        queues[0]?.add({ address: DATA, length: 1526, writable: true });
        expect(link.deliver(new Uint8Array(60))).toBe(true);
      });
    },
  },
  {
    name: "block",
    queues: 1,
    victim: 0,
    build: (over) => {
      const rig = new VirtioRig(new VirtioBlock({ backend: new FakeDisk(64) }), RAM);
      return built(rig, over, (driver, queues) => {
        rig.memory.fill(gpa(DATA), 16);
        rig.memory.writeU8(gpa(DATA + 0x1200), 0xee);
        queues[0]?.add(
          { address: DATA, length: 16 },
          { address: DATA + 0x1000, length: 512, writable: true },
          { address: DATA + 0x1200, length: 1, writable: true },
        );
        driver.notify(0);
        expect(rig.memory.readU8(gpa(DATA + 0x1200))).toBe(0);
      });
    },
  },
  {
    name: "console",
    queues: 2,
    victim: 1,
    build: (over) => {
      const host = new FakeConsole();
      const rig = new VirtioRig(new VirtioConsole(host), RAM);
      return built(rig, over, (driver, queues) => {
        rig.memory.write(gpa(DATA), Uint8Array.of(0x68, 0x69));
        queues[1]?.add({ address: DATA, length: 2 });
        driver.notify(1);
        expect(host.text).toMatch(/hi$/);
      });
    },
  },
  {
    name: "entropy",
    queues: 1,
    victim: 0,
    build: (over) => {
      const rig = new VirtioRig(new VirtioEntropy({ fill: (into) => into.fill(0xa5) }), RAM);
      return built(rig, over, (driver, queues) => {
        rig.memory.fill(gpa(DATA), 16);
        queues[0]?.add({ address: DATA, length: 16, writable: true });
        driver.notify(0);
        expect(rig.memory.readU8(gpa(DATA + 15))).toBe(0xa5);
      });
    },
  },
];

/** A buffer of no length is a request without header, but nothing wrong with the others. */
const EMPTY_ALLOWED = new Set(["console", "entropy"]);

const ATTACKS: readonly [
  string,
  (queue: FakeQueue, driver: VirtioTestDriver, index: number) => void,
][] = [
  [
    "a descriptor that follows itself",
    (queue) => {
      queue.describe(0, { address: DATA, length: 16, flags: DESC.NEXT, next: 0 });
      queue.offer(0);
    },
  ],
  [
    "two descriptors that follow each other",
    (queue) => {
      queue.describe(0, { address: DATA, length: 16, flags: DESC.NEXT, next: 1 });
      queue.describe(1, { address: DATA, length: 16, flags: DESC.NEXT, next: 0 });
      queue.offer(0);
    },
  ],
  ["a buffer outside RAM", (queue) => queue.add({ address: RAM, length: 16 })],
  ["a buffer that runs out of RAM", (queue) => queue.add({ address: RAM - 8, length: 16 })],
  ["a buffer of 4 GiB", (queue) => queue.add({ address: 0, length: 0xffff_ffff, writable: true })],
  ["a buffer at the end of 64 bits", (queue) => queue.add({ address: 2 ** 64 - 2048, length: 16 })],
  ["a buffer of no length", (queue) => queue.add({ address: DATA, length: 0 })],
  ["a head beyond the table", (queue) => queue.offer(queue.size)],
  ["a head of 65535", (queue) => queue.offer(0xffff)],
  ["an available index far ahead", (queue) => queue.setAvailableIndex(queue.size + 1)],
  ["an available index behind", (queue) => queue.setAvailableIndex(-1)],
  [
    "writable before readable",
    (queue) =>
      queue.add(
        { address: DATA, length: 16, writable: true },
        { address: DATA, length: 16 },
        { address: DATA, length: 16, writable: true },
      ),
  ],
  [
    "an indirect table of odd length",
    (queue) => {
      queue.describe(0, { address: TABLE, length: 24, flags: DESC.INDIRECT });
      queue.offer(0);
    },
  ],
  [
    "indirect tables in each other",
    (queue) => {
      queue.describe(0, { address: TABLE, length: 16, flags: DESC.INDIRECT });
      queue.describe(0, { address: TABLE, length: 16, flags: DESC.INDIRECT }, TABLE);
      queue.offer(0);
    },
  ],
];

const PLACES: readonly [string, number][] = [
  ["outside RAM", RAM],
  ["that run out of RAM", RAM - 64],
  ["at the last page frame", 0xffff_ffff * 4096],
];

const CASES = TARGETS.flatMap((target) =>
  (["legacy", "modern"] as const).map((over) => ({ ...target, over })),
);

describe.each(CASES)("a hostile $over driver of the $name device", (target) => {
  const { name, over, queues, victim, build } = target;
  const addresses = RINGS.slice(0, queues);
  const ready = over === "legacy" ? 7 : 0x0f;
  const attacks = ATTACKS.filter(
    ([attack]) => !(EMPTY_ALLOWED.has(name) && attack === "a buffer of no length"),
  );

  it.each(attacks)("with %s stops the device until it resets it", (_name, attack) => {
    const { rig, driver, works } = build(over);
    const victims = driver.start(addresses, VIRTIO_F.RING_INDIRECT_DESC);
    attack(victims[victim] as FakeQueue, driver, victim);
    const before = rig.memory.slice(gpa(0), RAM).slice();
    driver.notify(victim);
    driver.notify(victim);

    expect(driver.status).toBe(0x40 | ready);
    expect(rig.reports).toHaveLength(1);
    expect(Buffer.compare(rig.memory.slice(gpa(0), RAM), before)).toBe(0);
    works(driver.start(addresses));
  });

  it.each(PLACES)("with rings %s stops the device until it resets it", (_name, place) => {
    const { rig, driver, works } = build(over);
    driver.start([]);
    driver.tellQueue(victim, place);
    expect(driver.status).toBe(0x40 | ready);
    expect(rig.reports).toHaveLength(1);
    works(driver.start(addresses));
  });

  it("that notifies before there are queues, or that none is, changes nothing", () => {
    const { rig, driver, works } = build(over);
    for (const status of [0, 1, 3, 7]) {
      driver.status = status;
      for (const index of [0, 1, 2, 0xffff]) driver.notify(index);
    }
    expect(driver.status).toBe(7);
    expect(rig.reports).toEqual([]);
    works(driver.start(addresses));
  });
});

it("a driver that writes a queue size by the legacy interface goes on with the one offered", () => {
  for (const { queues, build } of TARGETS) {
    const { rig, works } = build("legacy");
    for (const size of [0, 1, 3, 0xffff]) {
      rig.driver.write("QUEUE_SIZE", size);
      works(rig.driver.start(RINGS.slice(0, queues)));
    }
  }
});
