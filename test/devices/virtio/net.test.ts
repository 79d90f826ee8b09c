import { beforeEach, describe, expect, it } from "vitest";
import { HostError } from "../../../src/core/errors.ts";
import { gpa } from "../../../src/core/units.ts";
import { VirtioNet } from "../../../src/devices/virtio/net.ts";
import { VIRTIO_F } from "../../../src/devices/virtio/virtio-device.ts";
import { FakeLink } from "../../support/fake-backends.ts";
import type { FakeQueue } from "../../support/fake-driver.ts";
import { VirtioRig } from "../../support/virtio-rig.ts";

const MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
const RX = 0x1_0000;
const TX = 0x2_0000;
const DATA = 0x4_0000;

let link: FakeLink;
let net: VirtioNet;
let rig: VirtioRig;
let rx: FakeQueue;
let tx: FakeQueue;

const start = (features = 0) => {
  [rx, tx] = rig.driver.start([RX, TX], features) as [FakeQueue, FakeQueue];
};

beforeEach(() => {
  link = new FakeLink();
  net = new VirtioNet({ backend: link, mac: MAC });
  rig = new VirtioRig(net);
  start();
});

const frameOf = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + 1) & 0xff);
const memoryAt = (address: number, length: number) => [...rig.memory.slice(gpa(address), length)];

describe("configuration", () => {
  it("tells address, link and MTU", () => {
    expect([0, 1, 2, 3, 4, 5].map((i) => rig.driver.readConfig(i, 1))).toEqual([...MAC]);
    expect(rig.driver.readConfig(6, 2)).toBe(1);
    expect(rig.driver.readConfig(10, 2)).toBe(1500);
  });

  it("lets the driver set another address until the next reset, and nothing else", () => {
    const base = rig.driver.ioBase + 20;
    for (let i = 0; i < 12; i++) rig.ports.write(base + i, 1, 0xee);
    expect(rig.driver.readConfig(2, 4)).toBe(0xeeee_eeee);
    expect(rig.driver.readConfig(6, 2)).toBe(1);
    expect(rig.driver.readConfig(10, 2)).toBe(1500);
    rig.driver.write("DEVICE_STATUS", 0);
    expect(rig.driver.readConfig(2, 4)).toBe(0x5634_1200);
  });
});

describe("sending", () => {
  it.each([
    ["one descriptor", [10 + 60]],
    ["a header of its own", [10, 60]],
    ["a header in pieces", [3, 4, 3 + 20, 40]],
    ["many pieces", Array.from({ length: 70 }, () => 1)],
  ])("takes header and frame in %s", (_name, lengths) => {
    const frame = frameOf(60);
    rig.memory.write(gpa(DATA + 10), frame);
    let address = DATA;
    const segments = lengths.map((length) => {
      const segment = { address, length };
      address += length;
      return segment;
    });
    const head = tx.add(...segments);
    rig.driver.notify(1);
    expect(link.sent).toEqual([frame]);
    expect(tx.takeUsed()).toEqual([{ head, length: 0 }]);
    expect(net.stats).toMatchObject({ framesOut: 1, bytesOut: 60, dropped: 0 });
  });

  it("sends a queue full of frames at one notification, in order, with one interrupt", () => {
    for (let i = 0; i < 256; i++) {
      rig.memory.writeU8(gpa(DATA + 0x100 * i + 10), i);
      tx.add({ address: DATA + 0x100 * i, length: 10 + 60 });
    }
    rig.driver.notify(1);
    expect(link.sent.map((frame) => frame[0])).toEqual(Array.from({ length: 256 }, (_, i) => i));
    expect(tx.takeUsed()).toHaveLength(256);
    expect(rig.fn.stats.interrupts).toBe(1);
  });

  it("drops what is too short or too long for a frame, and gives the buffers back", () => {
    for (const length of [0, 13, 1519, 65535]) {
      tx.add({ address: DATA, length: 10 + length });
    }
    rig.driver.notify(1);
    expect(link.sent).toEqual([]);
    expect(tx.takeUsed()).toHaveLength(4);
    expect(net.stats.dropped).toBe(4);
    for (const length of [14, 1514, 1518]) tx.add({ address: DATA, length: 10 + length });
    rig.driver.notify(1);
    expect(link.sent.map((frame) => frame.length)).toEqual([14, 1514, 1518]);
  });

  it("refuses a buffer without room for a header", () => {
    tx.add({ address: DATA, length: 9 });
    rig.driver.notify(1);
    expect(rig.reports[0]?.message).toMatch(/less than a header/);
  });

  it("asks for a notification at the next buffer with EVENT_IDX", () => {
    start(VIRTIO_F.RING_EVENT_IDX);
    tx.add({ address: DATA, length: 70 });
    tx.add({ address: DATA, length: 70 });
    rig.driver.notify(1);
    expect(tx.availEvent).toBe(2);
  });

  it("loses the frame and tells the user once when the host fails", () => {
    link.failure = new HostError("cannot write to tap0", { errno: "EIO" });
    for (let i = 0; i < 3; i++) tx.add({ address: DATA, length: 70 });
    rig.driver.notify(1);
    expect(tx.takeUsed()).toHaveLength(3);
    expect(rig.reports).toEqual([link.failure]);
    expect(rig.driver.read("DEVICE_STATUS")).toBe(7);
  });
});

describe("receiving", () => {
  it.each([
    ["one descriptor", [1526]],
    ["a header of its own", [10, 1514]],
    ["many pieces", [4, 9, 1, 30, 200]],
  ])("puts header and frame into %s", (_name, lengths) => {
    const frame = frameOf(60);
    rig.memory.fill(gpa(DATA), 2000, 0xff);
    let address = DATA;
    const segments = lengths.map((length) => {
      const segment = { address, length, writable: true };
      address += length;
      return segment;
    });
    const head = rx.add(...segments);
    expect(link.deliver(frame)).toBe(true);
    expect(rx.takeUsed()).toEqual([{ head, length: 70 }]);
    expect(memoryAt(DATA, 10)).toEqual(Array(10).fill(0));
    expect(memoryAt(DATA + 10, 60)).toEqual([...frame]);
    expect(memoryAt(DATA + 70, 10)).toEqual(Array(10).fill(0xff));
    expect(rig.irq).toBe(true);
    expect(net.stats).toMatchObject({ framesIn: 1, bytesIn: 60 });
  });

  it("has no room without buffers, and asks for more when there are some", () => {
    expect(link.deliver(frameOf(60))).toBe(false);
    expect(link.resumed).toBe(0);
    rx.add({ address: DATA, length: 1526, writable: true });
    rig.driver.notify(0);
    expect(link.resumed).toBe(1);
    expect(link.deliver(frameOf(60))).toBe(true);
    rig.driver.notify(0);
    expect(link.resumed).toBe(1);
  });

  it("has no room before the driver is ready, and asks for frames then", () => {
    rig.driver.write("DEVICE_STATUS", 0);
    expect(link.deliver(frameOf(60))).toBe(false);
    rig.driver.notify(0);
    expect(link.resumed).toBe(0);
    start();
    expect(link.resumed).toBe(1);
  });

  it("wants to be notified only while it has run out of buffers", () => {
    rx.add({ address: DATA, length: 1526, writable: true });
    link.deliver(frameOf(60));
    expect(rx.usedFlags).toBe(1);
    link.deliver(frameOf(60));
    expect(rx.usedFlags).toBe(0);
  });

  it("drops a frame that the next buffer is too small for, and keeps the buffer", () => {
    const head = rx.add({ address: DATA, length: 80, writable: true });
    expect(link.deliver(frameOf(71))).toBe(true);
    expect(rx.takeUsed()).toEqual([]);
    expect(net.stats.dropped).toBe(1);
    expect(link.deliver(frameOf(70))).toBe(true);
    expect(rx.takeUsed()).toEqual([{ head, length: 80 }]);
  });

  it("refuses a buffer that cannot be written", () => {
    rx.add({ address: DATA, length: 1526 });
    expect(link.deliver(frameOf(60))).toBe(false);
    expect(rig.reports[0]?.message).toMatch(/a receive buffer with no room/);
    expect(rig.driver.read("DEVICE_STATUS")).toBe(0x47);
  });

  it("interrupts with EVENT_IDX only where the driver asked", () => {
    start(VIRTIO_F.RING_EVENT_IDX);
    for (let i = 0; i < 4; i++) rx.add({ address: DATA, length: 1526, writable: true });
    rx.usedEvent = 2;
    const levels = [0, 1, 2, 3].map(() => {
      link.deliver(frameOf(60));
      const level = rig.irq;
      rig.driver.read("ISR_STATUS");
      return level;
    });
    expect(levels).toEqual([false, false, true, false]);
  });
});

describe("answers that come while a frame is being sent", () => {
  beforeEach(() => {
    link.echo = true;
  });

  it("are received", () => {
    rx.add({ address: DATA, length: 1526, writable: true });
    tx.add({ address: DATA + 0x1000, length: 70 });
    rig.driver.notify(1);
    expect(rx.takeUsed()).toHaveLength(1);
    expect(tx.takeUsed()).toHaveLength(1);
  });

  it("stop the sending too when their buffer is bad", () => {
    rx.add({ address: 2 ** 40, length: 1526, writable: true });
    tx.add({ address: DATA, length: 70 });
    tx.add({ address: DATA, length: 70 });
    rig.driver.notify(1);
    expect(link.sent).toHaveLength(1);
    expect(tx.takeUsed()).toEqual([]);
    expect(rig.reports).toHaveLength(1);
  });

  it("end even when they land in the ring of what to send and extend it", () => {
    const waiting = 100;
    for (let i = 0; i < 256; i++) {
      // Frame i, when it comes back, overwrites the available index and the first entries.
      const frame = Uint16Array.of(i + 1 + waiting, 0, 1, 2, 3, 4, 5, 6);
      rig.memory.write(gpa(DATA + 64 * i + 10), new Uint8Array(frame.buffer));
      tx.describe(i, { address: DATA + 64 * i, length: 10 + frame.byteLength });
      rig.memory.writeU16(gpa(tx.available + 4 + 2 * i), i);
      rx.add(
        { address: DATA + 0x8000, length: 10, writable: true },
        { address: tx.available + 2, length: 16, writable: true },
      );
    }
    tx.setAvailableIndex(waiting);
    rig.driver.notify(1);
    expect(link.sent).toHaveLength(256);
    expect(rig.reports).toEqual([]);
  });
});
