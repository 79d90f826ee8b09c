import { beforeEach, describe, expect, it } from "vitest";
import { GuestError } from "../../../src/core/errors.ts";
import { GuestMemory } from "../../../src/core/guest-memory.ts";
import { gpa } from "../../../src/core/units.ts";
import { VIRTIO_F } from "../../../src/devices/virtio/virtio-device.ts";
import { Virtqueue } from "../../../src/devices/virtio/virtqueue.ts";
import { DESC, FakeQueue } from "../../support/fake-driver.ts";

const SIZE = 8;
const RAM = 0x10_0000;
const RINGS = 0x1_0000;
const DATA = 0x2_0000;
const TABLE = 0x3_0000;

let memory: GuestMemory;
let driver: FakeQueue;
let queue: Virtqueue;

beforeEach(() => {
  memory = new GuestMemory(new ArrayBuffer(RAM));
  driver = new FakeQueue(memory, RINGS, SIZE);
  queue = new Virtqueue(memory, 0, SIZE, "test");
  queue.place(driver);
});

const popped = () => {
  const chain = queue.pop();
  if (chain === undefined) throw new Error("the queue is empty");
  return chain;
};

const refuses = (reason: RegExp) => {
  let caught: unknown;
  try {
    queue.pop();
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(GuestError);
  expect((caught as GuestError).code).toBe("driver");
  expect((caught as GuestError).message).toMatch(reason);
};

describe("buffers", () => {
  it("come in the order in which they were made available", () => {
    const first = driver.add({ address: DATA, length: 4 });
    const second = driver.add({ address: DATA, length: 4 });
    expect(popped().head).toBe(first);
    expect(popped().head).toBe(second);
    expect(queue.pop()).toBeUndefined();
  });

  it("have a readable and a writable part, each in pieces", () => {
    memory.write(gpa(DATA), Uint8Array.of(1, 2, 3, 4, 5, 6));
    driver.add(
      { address: DATA, length: 2 },
      { address: DATA + 4, length: 2 },
      { address: DATA + 0x100, length: 3, writable: true },
      { address: DATA + 0x200, length: 3, writable: true },
    );
    const chain = popped();
    expect(chain.readableLength).toBe(4);
    expect(chain.writableLength).toBe(6);
    const read = new Uint8Array(3);
    chain.read(1, read);
    expect([...read]).toEqual([2, 5, 6]);
    chain.write(2, Uint8Array.of(7, 8, 9));
    expect([...memory.slice(gpa(DATA + 0x100), 4)]).toEqual([0, 0, 7, 0]);
    expect([...memory.slice(gpa(DATA + 0x200), 4)]).toEqual([8, 9, 0, 0]);
    expect(chain.writable(1, 4).map((part) => part.length)).toEqual([2, 2]);
    expect(chain.readable(2, 2).map((part) => [...part])).toEqual([[5, 6]]);
  });

  it("may have empty pieces, wherever those are said to be", () => {
    driver.add(
      { address: DATA, length: 4 },
      { address: 2 ** 40, length: 0 },
      { address: DATA, length: 0, writable: true },
      { address: DATA, length: 1, writable: true },
    );
    const chain = popped();
    expect([chain.readableLength, chain.writableLength]).toEqual([4, 1]);
  });

  it("may end at the last byte of RAM", () => {
    driver.add({ address: RAM - 4, length: 4, writable: true });
    expect(popped().writableLength).toBe(4);
  });

  it("may be as long as the queue", () => {
    driver.add(...Array.from({ length: SIZE }, () => ({ address: DATA, length: 1 })));
    expect(popped().readableLength).toBe(SIZE);
  });

  it("are given back with their head and length, the index last of all", () => {
    driver.add({ address: DATA, length: 4, writable: true });
    const head = driver.add({ address: DATA, length: 4, writable: true });
    popped();
    queue.push(popped(), 3);
    expect(driver.takeUsed()).toEqual([{ head, length: 3 }]);
  });

  it("can be put back, and come again", () => {
    const head = driver.add({ address: DATA, length: 4 });
    popped();
    queue.unpop();
    expect(popped().head).toBe(head);
  });

  it("go round the rings and past index 65535", () => {
    for (let i = 0; i < 70_000; i++) {
      const head = driver.add({ address: DATA, length: 4, writable: true });
      queue.push(popped(), i % 5);
      expect(driver.takeUsed()).toEqual([{ head, length: i % 5 }]);
    }
  });
});

describe("indirect tables", () => {
  beforeEach(() => queue.setFeatures(VIRTIO_F.RING_INDIRECT_DESC));

  it("hold a whole chain, even as long as the queue", () => {
    driver.addIndirect(
      TABLE,
      ...Array.from({ length: SIZE }, (_, i) => ({
        address: DATA,
        length: 2,
        writable: i >= SIZE / 2,
      })),
    );
    const chain = popped();
    expect([chain.readableLength, chain.writableLength]).toEqual([SIZE, SIZE]);
  });

  it("may follow direct descriptors, and may be flagged writable themselves", () => {
    driver.describe(0, { address: DATA, length: 4, flags: DESC.NEXT, next: 1 });
    const flags = DESC.INDIRECT | DESC.WRITE;
    driver.describe(1, { address: TABLE, length: 16, flags });
    driver.describe(0, { address: DATA, length: 2, flags: DESC.WRITE }, TABLE);
    driver.offer(0);
    const chain = popped();
    expect([chain.readableLength, chain.writableLength]).toEqual([4, 2]);
  });

  it("are refused when not negotiated", () => {
    queue.setFeatures(0);
    driver.addIndirect(TABLE, { address: DATA, length: 4 });
    refuses(/not negotiated/);
  });

  it.each([0, 8, 17, 0xffff_ffff])("are refused at a length of %i", (length) => {
    driver.describe(0, { address: TABLE, length, flags: DESC.INDIRECT });
    driver.offer(0);
    refuses(/indirect table of/);
  });

  it("are refused outside RAM", () => {
    driver.describe(0, { address: RAM - 16, length: 32, flags: DESC.INDIRECT });
    driver.offer(0);
    refuses(/not in RAM/);
  });

  it("are refused within each other, also when they are the queue's own table", () => {
    for (const table of [TABLE, RINGS]) {
      driver.describe(0, { address: table, length: 16, flags: DESC.INDIRECT });
      driver.describe(0, { address: table, length: 16, flags: DESC.INDIRECT }, TABLE);
      driver.offer(0);
      refuses(/within/);
    }
  });

  it("are refused with a next descriptor after them", () => {
    const flags = DESC.INDIRECT | DESC.NEXT;
    driver.describe(0, { address: TABLE, length: 16, flags, next: 1 });
    driver.offer(0);
    refuses(/not the last/);
  });

  it("are refused when they loop or lead outside themselves", () => {
    driver.describe(0, { address: TABLE, length: 32, flags: DESC.INDIRECT });
    driver.describe(0, { address: DATA, length: 4, flags: DESC.NEXT, next: 0 }, TABLE);
    driver.offer(0);
    refuses(/more than 8 descriptors/);
    driver.describe(0, { address: DATA, length: 4, flags: DESC.NEXT, next: 2 }, TABLE);
    driver.offer(0);
    refuses(/descriptor 2 of a table of 2/);
  });
});

describe("a driver that breaks the rules", () => {
  it("is refused a head beyond the table", () => {
    driver.offer(SIZE);
    refuses(/descriptor 8 of a table of 8/);
  });

  it("is refused a chain that loops", () => {
    driver.describe(0, { address: DATA, length: 4, flags: DESC.NEXT, next: 1 });
    driver.describe(1, { address: DATA, length: 4, flags: DESC.NEXT, next: 0 });
    driver.offer(0);
    refuses(/more than 8 descriptors/);
  });

  it("is refused a loop of empty descriptors", () => {
    driver.describe(0, { address: DATA, length: 0, flags: DESC.NEXT, next: 0 });
    driver.offer(0);
    refuses(/more than 8 descriptors/);
  });

  it("is refused a chain that leads out of the table", () => {
    driver.describe(0, { address: DATA, length: 4, flags: DESC.NEXT, next: 0xffff });
    driver.offer(0);
    refuses(/descriptor 65535/);
  });

  it.each([
    [RAM, 1],
    [RAM - 1, 2],
    [0, RAM + 1],
    [0, 0xffff_ffff],
    [2 ** 63, 4096],
    [2 ** 64 - 4096, 4096],
  ])("is refused a buffer at %i of %i bytes", (address, length) => {
    driver.add({ address, length, writable: true });
    refuses(/buffer at .* not in RAM/);
  });

  it("is refused readable descriptors after writable ones", () => {
    driver.add({ address: DATA, length: 4, writable: true }, { address: DATA, length: 4 });
    refuses(/readable descriptor after a writable one/);
  });

  it("is refused an available index further on than the queue is long", () => {
    driver.setAvailableIndex(SIZE + 1);
    refuses(/available index jumped/);
    driver.setAvailableIndex(0xffff);
    refuses(/available index jumped/);
  });

  it.each([RAM, RAM - 4096, 2 ** 43])("is refused rings at %i", (address) => {
    const layout = { descriptors: address, available: address + 128, used: address + 4096 };
    expect(() => queue.place(layout)).toThrow(GuestError);
    expect(queue.ready).toBe(false);
    expect(queue.pop()).toBeUndefined();
  });
});

describe("interrupts", () => {
  const use = () => {
    driver.add({ address: DATA, length: 4 });
    queue.push(popped(), 0);
  };

  it("are wanted once for what was used", () => {
    expect(queue.interruptWanted()).toBe(false);
    use();
    use();
    expect(queue.interruptWanted()).toBe(true);
    expect(queue.interruptWanted()).toBe(false);
  });

  it("are not wanted while the driver says so", () => {
    driver.availableFlags = 1;
    use();
    expect(queue.interruptWanted()).toBe(false);
    driver.availableFlags = 0;
    use();
    expect(queue.interruptWanted()).toBe(true);
  });

  it("are wanted with EVENT_IDX when the used index passes the one named", () => {
    queue.setFeatures(VIRTIO_F.RING_EVENT_IDX);
    driver.usedEvent = 2;
    use();
    expect(queue.interruptWanted()).toBe(false);
    use();
    expect(queue.interruptWanted()).toBe(false);
    use();
    expect(queue.interruptWanted()).toBe(true);
    use();
    expect(queue.interruptWanted()).toBe(false);
    driver.usedEvent = 5;
    use();
    use();
    use();
    expect(queue.interruptWanted()).toBe(true);
  });

  it("ignore the flag with EVENT_IDX", () => {
    queue.setFeatures(VIRTIO_F.RING_EVENT_IDX);
    driver.availableFlags = 1;
    use();
    expect(queue.interruptWanted()).toBe(true);
  });
});

describe("notifications", () => {
  it("are asked for by the flag when the queue was found empty", () => {
    driver.add({ address: DATA, length: 4 });
    popped();
    queue.deferNotifications();
    expect(driver.usedFlags).toBe(1);
    expect(queue.pop()).toBeUndefined();
    expect(driver.usedFlags).toBe(0);
  });

  it("are asked for by index with EVENT_IDX, and the flag left alone", () => {
    queue.setFeatures(VIRTIO_F.RING_EVENT_IDX);
    driver.add({ address: DATA, length: 4 });
    driver.add({ address: DATA, length: 4 });
    popped();
    queue.deferNotifications();
    expect(driver.availEvent).toBe(0);
    popped();
    expect(queue.pop()).toBeUndefined();
    expect(driver.availEvent).toBe(2);
    expect(driver.usedFlags).toBe(0);
  });
});
