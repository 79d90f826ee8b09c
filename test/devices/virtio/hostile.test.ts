import { describe, expect, it } from "vitest";
import { gpa } from "../../../src/core/units.ts";
import { VirtioBlock } from "../../../src/devices/virtio/block.ts";
import { VirtioNet } from "../../../src/devices/virtio/net.ts";
import { VIRTIO_F } from "../../../src/devices/virtio/virtio-device.ts";
import { FakeDisk, FakeLink } from "../../support/fake-backends.ts";
import { DESC, type FakeDriver, type FakeQueue } from "../../support/fake-driver.ts";
import { VirtioRig } from "../../support/virtio-rig.ts";

const RAM = 0x10_0000;
const RINGS = [0x1_0000, 0x2_0000];
const DATA = 0x4_0000;
const TABLE = 0x5_0000;

/** A device, the queue that attacks go to, and a proof that the device works. */
interface Target {
  readonly name: string;
  readonly queues: number;
  readonly victim: number;
  build(): { rig: VirtioRig; works(queues: FakeQueue[]): void };
}

const TARGETS: readonly Target[] = [
  {
    name: "network",
    queues: 2,
    victim: 1,
    build: () => {
      const link = new FakeLink();
      const rig = new VirtioRig(new VirtioNet({ backend: link, mac: new Uint8Array(6) }), RAM);
      const works = (queues: FakeQueue[]) => {
        link.sent.length = 0;
        queues[1]?.add({ address: DATA, length: 70 });
        rig.driver.notify(1);
        expect(link.sent).toHaveLength(1);
        queues[0]?.add({ address: DATA, length: 1526, writable: true });
        expect(link.deliver(new Uint8Array(60))).toBe(true);
      };
      return { rig, works };
    },
  },
  {
    name: "block",
    queues: 1,
    victim: 0,
    build: () => {
      const rig = new VirtioRig(new VirtioBlock({ backend: new FakeDisk(64) }), RAM);
      const works = (queues: FakeQueue[]) => {
        rig.memory.fill(gpa(DATA), 16);
        rig.memory.writeU8(gpa(DATA + 0x1200), 0xee);
        queues[0]?.add(
          { address: DATA, length: 16 },
          { address: DATA + 0x1000, length: 512, writable: true },
          { address: DATA + 0x1200, length: 1, writable: true },
        );
        rig.driver.notify(0);
        expect(rig.memory.readU8(gpa(DATA + 0x1200))).toBe(0);
      };
      return { rig, works };
    },
  },
];

const ATTACKS: readonly [string, (queue: FakeQueue, driver: FakeDriver) => void][] = [
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
  ["rings outside RAM", (_queue, driver) => driver.write("QUEUE_PFN", RAM / 4096)],
  ["rings that run out of RAM", (_queue, driver) => driver.write("QUEUE_PFN", RAM / 4096 - 1)],
  ["rings at the last page frame", (_queue, driver) => driver.write("QUEUE_PFN", 0xffff_ffff)],
];

describe.each(TARGETS)("a hostile driver of the $name device", ({ queues, victim, build }) => {
  const addresses = RINGS.slice(0, queues);

  it.each(ATTACKS)("with %s stops the device until it resets it", (_name, attack) => {
    const { rig, works } = build();
    const { driver } = rig;
    const victims = driver.start(addresses, VIRTIO_F.RING_INDIRECT_DESC);
    driver.write("QUEUE_SELECT", victim);
    attack(victims[victim] as FakeQueue, driver);
    const before = rig.memory.slice(gpa(0), RAM).slice();
    driver.notify(victim);
    driver.notify(victim);

    expect(driver.read("DEVICE_STATUS")).toBe(0x47);
    expect(rig.reports).toHaveLength(1);
    expect(Buffer.compare(rig.memory.slice(gpa(0), RAM), before)).toBe(0);
    works(driver.start(addresses));
  });

  it("that notifies before there are queues, or that none is, changes nothing", () => {
    const { rig, works } = build();
    for (const status of [0, 1, 3, 7]) {
      rig.driver.write("DEVICE_STATUS", status);
      for (const index of [0, 1, 2, 0xffff]) rig.driver.notify(index);
    }
    expect(rig.driver.read("DEVICE_STATUS")).toBe(7);
    expect(rig.reports).toEqual([]);
    works(rig.driver.start(addresses));
  });

  it("that writes a queue size not offered goes on with the one offered", () => {
    const { rig, works } = build();
    for (const size of [0, 1, 3, 0xffff]) {
      rig.driver.write("QUEUE_SIZE", size);
      works(rig.driver.start(addresses));
    }
  });
});
