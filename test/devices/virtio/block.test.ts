import { beforeEach, describe, expect, it } from "vitest";
import { gpa } from "../../../src/core/units.ts";
import { VirtioBlock } from "../../../src/devices/virtio/block.ts";
import { FakeDisk } from "../../support/fake-backends.ts";
import type { FakeQueue, FakeSegment } from "../../support/fake-driver.ts";
import { VirtioRig } from "../../support/virtio-rig.ts";

const RINGS = 0x1_0000;
const HEADER = 0x4_0000;
const STATUS = 0x4_1000;
const DATA = 0x5_0000;

const SECTORS = 64;
const T = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8 };
const S = { OK: 0, IOERR: 1, UNSUPP: 2 };
const F_RO = 1 << 5;
const F_FLUSH = 1 << 9;

let disk: FakeDisk;
let block: VirtioBlock;
let rig: VirtioRig;
let queue: FakeQueue;

const use = (newDisk: FakeDisk, features = F_FLUSH) => {
  disk = newDisk;
  block = new VirtioBlock({ backend: disk, id: "disk-0" });
  rig = new VirtioRig(block);
  [queue] = rig.driver.start([RINGS], features) as [FakeQueue];
};

beforeEach(() => {
  use(new FakeDisk(SECTORS));
  disk.bytes.forEach((_, i) => {
    disk.bytes[i] = (i * 31 + (i >> 9)) & 0xff;
  });
});

const writeHeader = (type: number, sector: number) => {
  rig.memory.writeU32(gpa(HEADER), type);
  rig.memory.writeU32(gpa(HEADER + 4), 0);
  rig.memory.writeU64(gpa(HEADER + 8), sector);
};

/** One request with header, data and status each in a descriptor of its own. */
const request = (type: number, sector: number, ...data: FakeSegment[]) => {
  writeHeader(type, sector);
  rig.memory.writeU8(gpa(STATUS), 0xee);
  queue.add({ address: HEADER, length: 16 }, ...data, {
    address: STATUS,
    length: 1,
    writable: true,
  });
  rig.driver.notify(0);
  const [used] = queue.takeUsed();
  return { status: rig.memory.readU8(gpa(STATUS)), written: used?.length };
};

const room = (length: number, address = DATA) => ({ address, length, writable: true });
const memoryAt = (address: number, length: number) => [...rig.memory.slice(gpa(address), length)];
const diskAt = (sector: number, length: number) => [
  ...disk.bytes.subarray(512 * sector, 512 * sector + length),
];

describe("configuration", () => {
  it("tells capacity in sectors, segments and block size", () => {
    expect(rig.driver.readConfig(0, 4)).toBe(SECTORS);
    expect(rig.driver.readConfig(4, 4)).toBe(0);
    expect(rig.driver.readConfig(12, 4)).toBe(126);
    expect(rig.driver.readConfig(20, 4)).toBe(512);
    rig.driver.write("QUEUE_SELECT", 0);
    expect(rig.driver.read("QUEUE_SIZE")).toBe(128);
  });

  it("tells a capacity beyond 32 bits", () => {
    const huge = new FakeDisk(1);
    Object.defineProperty(huge, "capacity", { value: 5 * 2 ** 41 });
    use(huge);
    expect([rig.driver.readConfig(0, 4), rig.driver.readConfig(4, 4)]).toEqual([0, 5]);
  });

  it("says that the disk is read-only when it is", () => {
    expect(rig.driver.read("DEVICE_FEATURES") & F_RO).toBe(0);
    use(new FakeDisk(8, true));
    expect(rig.driver.read("DEVICE_FEATURES") & F_RO).toBe(F_RO);
  });
});

describe("reading", () => {
  it("fills the buffer and counts data and status", () => {
    expect(request(T.IN, 3, room(1024))).toEqual({ status: S.OK, written: 1025 });
    expect(memoryAt(DATA, 1024)).toEqual(diskAt(3, 1024));
    expect(block.stats).toEqual({ requests: 1, bytesRead: 1024, bytesWritten: 0, errors: 0 });
  });

  it("scatters over pieces of any size", () => {
    const pieces = [room(100), room(0x190, DATA + 0x1000), room(12, DATA + 0x2000)];
    expect(request(T.IN, 0, ...pieces)).toEqual({ status: S.OK, written: 513 });
    const got = pieces.flatMap(({ address, length }) => memoryAt(address, length));
    expect(got).toEqual(diskAt(0, 512));
  });

  it("takes data and status in one descriptor, and the header in pieces", () => {
    writeHeader(T.IN, 5);
    queue.add(
      { address: HEADER, length: 7 },
      { address: HEADER + 7, length: 9 },
      { address: DATA, length: 513, writable: true },
    );
    rig.memory.writeU8(gpa(DATA + 512), 0xee);
    rig.driver.notify(0);
    expect(memoryAt(DATA, 513)).toEqual([...diskAt(5, 512), S.OK]);
  });

  it("reads up to the last sector and not past it", () => {
    expect(request(T.IN, SECTORS - 1, room(512)).status).toBe(S.OK);
    expect(request(T.IN, SECTORS - 1, room(1024))).toEqual({ status: S.IOERR, written: 0 });
    expect(request(T.IN, SECTORS, room(512)).status).toBe(S.IOERR);
    expect(request(T.IN, 2 ** 63, room(512)).status).toBe(S.IOERR);
    expect(request(T.IN, 2 ** 55, room(512)).status).toBe(S.IOERR);
    expect(block.stats.errors).toBe(4);
  });

  it("refuses parts of sectors", () => {
    expect(request(T.IN, 0, room(511)).status).toBe(S.IOERR);
    expect(request(T.IN, 0, room(513)).status).toBe(S.IOERR);
  });
});

describe("writing", () => {
  it("stores what the pieces hold", () => {
    const pieces = [
      { address: DATA, length: 500 },
      { address: DATA + 0x1000, length: 524 },
    ];
    rig.memory.fill(gpa(DATA), 500, 0x11);
    rig.memory.fill(gpa(DATA + 0x1000), 524, 0x22);
    expect(request(T.OUT, 7, ...pieces)).toEqual({ status: S.OK, written: 1 });
    expect(diskAt(7, 1024)).toEqual([...Array(500).fill(0x11), ...Array(524).fill(0x22)]);
    expect(block.stats.bytesWritten).toBe(1024);
  });

  it("takes header and data in one descriptor", () => {
    writeHeader(T.OUT, 2);
    rig.memory.fill(gpa(HEADER + 16), 512, 0x33);
    queue.add({ address: HEADER, length: 528 }, { address: STATUS, length: 1, writable: true });
    rig.driver.notify(0);
    expect(diskAt(2, 512)).toEqual(Array(512).fill(0x33));
  });

  it("fails past the end and changes nothing", () => {
    const before = disk.bytes.slice();
    expect(request(T.OUT, SECTORS, { address: DATA, length: 512 }).status).toBe(S.IOERR);
    expect(request(T.OUT, SECTORS - 1, { address: DATA, length: 1024 }).status).toBe(S.IOERR);
    expect(disk.bytes).toEqual(before);
  });

  it("fails on a read-only disk", () => {
    use(new FakeDisk(8, true));
    rig.memory.fill(gpa(DATA), 512, 0x44);
    expect(request(T.OUT, 0, { address: DATA, length: 512 }).status).toBe(S.IOERR);
    expect(diskAt(0, 1)).toEqual([0]);
  });

  it("waits for stable storage only for a driver that cannot flush", () => {
    request(T.OUT, 0, { address: DATA, length: 512 });
    expect(disk.flushes).toBe(0);
    use(new FakeDisk(8), 0);
    request(T.OUT, 0, { address: DATA, length: 512 });
    expect(disk.flushes).toBe(1);
  });
});

describe("other requests", () => {
  it("flush", () => {
    expect(request(T.FLUSH, 0)).toEqual({ status: S.OK, written: 1 });
    expect(disk.flushes).toBe(1);
  });

  it("tell the disk's name, padded to 20 bytes", () => {
    expect(request(T.GET_ID, 0, room(20))).toEqual({ status: S.OK, written: 21 });
    const id = String.fromCharCode(...memoryAt(DATA, 20));
    expect(id).toBe("disk-0".padEnd(20, "\0"));
  });

  it("tell as much of the name as there is room for", () => {
    expect(request(T.GET_ID, 0, room(4))).toEqual({ status: S.OK, written: 5 });
    expect(request(T.GET_ID, 0, room(30))).toEqual({ status: S.OK, written: 20 });
  });

  it("are unsupported when unknown", () => {
    for (const type of [2, 3, 11, 0x8000_0001]) {
      expect(request(type, 0, room(512)).status).toBe(S.UNSUPP);
    }
  });
});

it("serves many requests at one notification, with one interrupt", () => {
  writeHeader(T.IN, 1);
  for (let i = 0; i < 40; i++) {
    queue.add({ address: HEADER, length: 16 }, room(512, DATA + 512 * i), {
      address: STATUS + i,
      length: 1,
      writable: true,
    });
  }
  rig.driver.notify(0);
  expect(queue.takeUsed()).toHaveLength(40);
  expect(rig.fn.stats.interrupts).toBe(1);
  expect(memoryAt(DATA + 512 * 39, 512)).toEqual(diskAt(1, 512));
});

it("tells the guest of every failure of the host, and the user once", () => {
  disk.broken = true;
  expect(request(T.IN, 0, room(512)).status).toBe(S.IOERR);
  expect(request(T.FLUSH, 0).status).toBe(S.IOERR);
  expect(rig.reports.map((error) => error.message)).toEqual(["cannot access the disk (EIO)"]);
  disk.broken = false;
  expect(request(T.IN, 0, room(512)).status).toBe(S.OK);
});

it.each([
  ["a header", [{ address: HEADER, length: 15 }, room(1)]],
  ["a status", [{ address: HEADER, length: 16 }]],
])("refuses a request without %s", (_name, segments) => {
  queue.add(...segments);
  rig.driver.notify(0);
  expect(rig.reports[0]?.message).toMatch(/without header or status/);
  expect(rig.driver.read("DEVICE_STATUS")).toBe(0x47);
});
