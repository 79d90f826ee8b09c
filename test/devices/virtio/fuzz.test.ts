import { describe, expect, it } from "vitest";
import type { Bus } from "../../../src/core/bus.ts";
import type { AccessSize } from "../../../src/core/device.ts";
import { gpa } from "../../../src/core/units.ts";
import { VirtioBlock } from "../../../src/devices/virtio/block.ts";
import { VirtioNet } from "../../../src/devices/virtio/net.ts";
import { VIRTIO_F } from "../../../src/devices/virtio/virtio-device.ts";
import { FakeDisk, FakeLink } from "../../support/fake-backends.ts";
import { DESC, type FakeQueue, type VirtioTestDriver } from "../../support/fake-driver.ts";
import { SeededRandom } from "../../support/random.ts";
import { IO_BASE, MEMORY_BASE, SLOT, VirtioRig } from "../../support/virtio-rig.ts";

const RAM = 0x6_0000;
const SEEDS = Array.from({ length: 8 }, (_, i) => i + 1);
const STEPS = 1500;

/** The guest's memory: rings, tables for indirect descriptors, what the device may write, the rest. */
const RINGS = [0x1_0000, 0x2_0000];
const TABLES = 0x3_0000;
const TABLES_LENGTH = 0x1000;
const ROOM = 0x4_0000;
const ROOM_LENGTH = 0x1_0000;

/** Buffers begin here that reach past the end of RAM; the short ones end before it. */
const EDGE = RAM - 4;

const SIZES = [1, 2, 4] as const satisfies readonly AccessSize[];

interface Subject {
  readonly rig: VirtioRig;
  readonly driver: VirtioTestDriver;
  /** Where its queues go. */
  readonly rings: readonly number[];
  /** The driver makes a good buffer available. */
  addGood(random: SeededRandom, queues: readonly FakeQueue[]): void;
  /** Something happens on the host's side. */
  provoke(random: SeededRandom): void;
  /** A request through fresh queues succeeds. */
  works(): void;
}

/** Where a buffer of up to a page may lie. */
const room = (random: SeededRandom) => ROOM + random.below(ROOM_LENGTH - 4096);

type Interface = "legacy" | "modern";

const driverOf = (rig: VirtioRig, over: Interface): VirtioTestDriver =>
  over === "legacy" ? rig.driver : rig.modern;

/** `virtio_net_hdr` that often makes sense. */
const offloadHeader = (random: SeededRandom): Uint8Array =>
  Uint8Array.of(
    random.pick([0, 1, 1, 2, random.below(256)]),
    random.pick([0, 1, 1, 4, 0x81, random.below(256)]),
    ...[random.below(256), random.pick([0, 0, 4]), random.below(256), random.pick([0, 5])],
    ...[random.below(256), random.pick([0, 0, 5]), random.below(64), random.pick([0, 0, 255])],
  );

function network(over: Interface): Subject {
  const link = new FakeLink(1500, 0xf);
  const rig = new VirtioRig(new VirtioNet({ backend: link, mac: new Uint8Array(6) }), RAM);
  const driver = driverOf(rig, over);
  const header = over === "legacy" ? 10 : 12;
  return {
    rig,
    driver,
    rings: RINGS,
    addGood: (random, queues) => {
      const address = room(random);
      const length = random.chance(50) ? 1526 : 12 + random.below(100);
      if (random.chance(50)) queues[0]?.add({ address, length, writable: true });
      else {
        rig.memory.write(gpa(address), offloadHeader(random));
        queues[1]?.add({ address, length: header }, { address, length: 14 + random.below(1600) });
      }
    },
    provoke: (random) => {
      link.sent.length = 0;
      link.echo = random.chance(50);
      const frame = new Uint8Array(random.below(2000)).fill(random.next());
      link.deliver(frame, random.chance(50) ? offloadHeader(random) : undefined);
    },
    works: () => {
      link.echo = true;
      rig.memory.fill(gpa(ROOM + 0x1000), header);
      const [rx, tx] = driver.start(RINGS) as [FakeQueue, FakeQueue];
      rx.add({ address: ROOM, length: 1526, writable: true });
      tx.add({ address: ROOM + 0x1000, length: header + 60 });
      driver.notify(1);
      expect(tx.takeUsed()).toEqual([{ head: 0, length: 0 }]);
      expect(rx.takeUsed()).toEqual([{ head: 0, length: header + 60 }]);
    },
  };
}

function block(over: Interface): Subject {
  const disk = new FakeDisk(64);
  const rig = new VirtioRig(new VirtioBlock({ backend: disk }), RAM);
  const driver = driverOf(rig, over);
  const rings = RINGS.slice(0, 1);
  return {
    rig,
    driver,
    rings,
    addGood: (random, [queue]) => {
      const header = room(random);
      rig.memory.writeU32(gpa(header), random.pick([0, 1, 4, 8, 9]));
      rig.memory.writeU64(gpa(header + 8), random.below(70));
      const length = 512 * random.below(6);
      queue?.add(
        { address: header, length: 16 },
        { address: room(random), length, writable: random.chance(50) },
        { address: room(random), length: 1, writable: true },
      );
    },
    provoke: (random) => {
      disk.broken = random.chance(10);
    },
    works: () => {
      disk.broken = false;
      const [queue] = driver.start(rings) as [FakeQueue];
      rig.memory.fill(gpa(ROOM), 16);
      queue.add({ address: ROOM, length: 16 }, { address: ROOM + 16, length: 513, writable: true });
      driver.notify(0);
      expect(queue.takeUsed()).toEqual([{ head: 0, length: 513 }]);
    },
  };
}

/** A descriptor that is often plausible. The device may write to ROOM only. */
function plausibleDescriptor(random: SeededRandom, queue: FakeQueue, table?: number): void {
  const flags = random.pick([0, 0, DESC.NEXT, DESC.NEXT, DESC.WRITE, DESC.WRITE | DESC.NEXT]);
  const length = random.pick([0, 1, 10, 16, 512, 513, random.below(4096), 0xffff_ffff]);
  const writable = (flags & DESC.WRITE) !== 0;
  const inside = writable ? room(random) : random.below(RAM - 4096);
  const address = random.chance(95) ? inside : random.pick([RAM, EDGE, 2 ** 63]);
  const index = random.below(table === undefined ? 16 : TABLES_LENGTH / 16);
  const next = random.chance(95) ? random.below(16) : random.next() & 0xffff;
  if (table === undefined && random.chance(15)) {
    const size = random.pick([16, 32, 64, TABLES_LENGTH, 24, 0]);
    queue.describe(index, { address: TABLES, length: size, flags: DESC.INDIRECT });
  } else {
    queue.describe(index, { address, length, flags, next }, table);
  }
}

function ringStep(random: SeededRandom, queue: FakeQueue): void {
  switch (random.below(6)) {
    case 0:
      plausibleDescriptor(random, queue, TABLES);
      break;
    case 1:
    case 2:
      plausibleDescriptor(random, queue);
      break;
    case 3:
    case 4:
      queue.offer(random.chance(98) ? random.below(16) : random.next() & 0xffff);
      break;
    default:
      if (random.chance(2)) queue.setAvailableIndex(random.next() & 0xffff);
      queue.availableFlags = random.below(2);
  }
}

function registerStep(random: SeededRandom, { driver }: Subject): void {
  if (random.chance(20)) {
    driver.status = random.pick([0, 1, 3, 4, 7, 7, 0x0b, 0x0f, 0x0f, 0x87, random.below(256)]);
  } else if (random.chance(50)) {
    random.pick(driver.registers).write(random);
  } else {
    random.pick(driver.registers).read();
    driver.takeInterrupts();
  }
}

/** Bytes that only the guest may change must be what the guest wrote last. */
function expectUntouched(rig: VirtioRig, queues: readonly FakeQueue[], run: () => void): void {
  const mine: [number, number][] = [
    [0, RINGS[0] as number],
    ...queues.map((queue): [number, number] => [queue.descriptors, queue.used]),
    [TABLES, ROOM],
    [ROOM + ROOM_LENGTH, EDGE],
  ];
  const slices = mine.map(([from, to]) => rig.memory.slice(gpa(from), to - from));
  const before = slices.map((slice) => slice.slice());
  run();
  slices.forEach((slice, i) => {
    expect(Buffer.compare(slice, before[i] as Uint8Array)).toBe(0);
  });
}

/** One access of any size; what is read is a value of that size. */
function memoryAccess(random: SeededRandom, mmio: Bus, address: number): void {
  const size = random.pick(SIZES);
  if (random.chance(70)) mmio.write(address, size, random.next() >>> (32 - 8 * size));
  else expect(mmio.read(address, size)).toBeLessThan(2 ** (8 * size));
}

describe.each([
  ["network", "legacy", network],
  ["network", "modern", network],
  ["block", "legacy", block],
  ["block", "modern", block],
] as const)("the %s device under random use by the %s interface", (_name, over, build) => {
  it.each(SEEDS)("writes to rings and writable buffers only (seed %i)", (seed) => {
    const random = new SeededRandom(seed);
    const subject = build(over);
    const { rig, driver } = subject;
    const begin = () =>
      driver.start(subject.rings, (random.next() | VIRTIO_F.RING_INDIRECT_DESC) >>> 0);
    const ready = over === "legacy" ? 7 : 0x0f;
    let queues = begin();
    for (let step = 0; step < STEPS; step++) {
      if (driver.status !== ready && random.chance(20)) queues = begin();
      const queue = random.pick(queues);
      // The guest's own writes come first; then the device works, on the same memory.
      if (random.chance(70)) subject.addGood(random, queues);
      else if (random.chance(80)) ringStep(random, queue);
      else registerStep(random, subject);
      expectUntouched(rig, queues, () => {
        driver.notify(random.below(3));
        if (random.chance(30)) subject.provoke(random);
      });
    }
    subject.works();
  });

  it.each(SEEDS)("survives random ports and random rings (seed %i)", (seed) => {
    const random = new SeededRandom(seed);
    const subject = build(over);
    const { rig, driver } = subject;
    const ports = [0xcf8, IO_BASE];
    const structures = [0, 0x400, 0x800, 0x1000, 0x2000, 0x3000];
    for (let step = 0; step < STEPS; step++) {
      if (random.chance(10)) {
        const at = (random.pick(RINGS) + random.below(0x3000)) & ~3;
        rig.memory.writeU32(gpa(at), random.chance(50) ? random.below(256) : random.next());
      }
      if (random.chance(2)) {
        rig.assignResources();
        driver.start(subject.rings, random.next());
      }
      if (random.chance(5)) subject.provoke(random);
      // Mostly at the device and at its header, so that it comes to something.
      if (random.chance(30)) rig.ports.write(0xcf8, 4, 0x8000_0000 + (SLOT << 11));
      if (over === "modern" && random.chance(50)) {
        memoryAccess(random, rig.mmio, MEMORY_BASE + random.pick(structures) + random.below(64));
        continue;
      }
      const port = random.chance(90)
        ? random.pick(ports) + random.below(64)
        : random.below(0x1_0000);
      const size = random.pick(SIZES);
      if (random.chance(70)) rig.ports.write(port, size, random.next() >>> (32 - 8 * size));
      else expect(rig.ports.read(port, size)).toBeLessThan(2 ** (8 * size));
    }
    rig.assignResources();
    subject.works();
  });
});
