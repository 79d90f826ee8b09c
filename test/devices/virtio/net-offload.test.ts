import { beforeEach, describe, expect, it } from "vitest";
import { OFFLOAD } from "../../../src/core/offload.ts";
import { gpa } from "../../../src/core/units.ts";
import { VirtioNet } from "../../../src/devices/virtio/net.ts";
import { VIRTIO_NET_F as F } from "../../../src/devices/virtio/net-features.ts";
import { VIRTIO_F } from "../../../src/devices/virtio/virtio-device.ts";
import { FakeLink } from "../../support/fake-backends.ts";
import type { FakeQueue, VirtioTestDriver } from "../../support/fake-driver.ts";
import { VirtioRig } from "../../support/virtio-rig.ts";

const [RX, TX, DATA, ROOM] = [0x1_0000, 0x2_0000, 0x4_0000, 0x6_0000];
const ALL = OFFLOAD.CSUM | OFFLOAD.TSO4 | OFFLOAD.TSO6 | OFFLOAD.TSO_ECN;
const TO_DEVICE = F.CSUM | F.HOST_TSO4 | F.HOST_TSO6 | F.HOST_ECN;
const TO_DRIVER = F.GUEST_CSUM | F.GUEST_TSO4 | F.GUEST_TSO6 | F.GUEST_ECN;

let link: FakeLink;
let net: VirtioNet;
let rig: VirtioRig;

const build = (offloads = ALL) => {
  link = new FakeLink(1500, offloads);
  net = new VirtioNet({ backend: link, mac: new Uint8Array(6) });
  rig = new VirtioRig(net);
};

beforeEach(() => build());

const start = (driver: VirtioTestDriver, features: number) =>
  driver.start([RX, TX], features) as [FakeQueue, FakeQueue];

interface Header {
  readonly flags?: number;
  readonly type?: number;
  readonly headerLength?: number;
  readonly segmentSize?: number;
  readonly checksumStart?: number;
  readonly checksumOffset?: number;
}

/** `virtio_net_hdr` without the number of buffers; what is not said is a good TCP segment's over IPv4. */
function headerOf(fields: Header = {}): Uint8Array {
  const { flags = 1, type = 1, headerLength = 54, segmentSize = 1460 } = fields;
  const { checksumStart = 34, checksumOffset = 16 } = fields;
  const words = [headerLength, segmentSize, checksumStart, checksumOffset];
  return Uint8Array.of(flags, type, ...words.flatMap((word) => [word & 0xff, word >>> 8]));
}
const PARTIAL = { type: 0, headerLength: 0, segmentSize: 0 };

const frameOf = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + 1) & 0xff);
const memoryAt = (address: number, length: number) => rig.memory.slice(gpa(address), length);

describe("features", () => {
  it("are those that the back end can carry, and buffers that can be merged", () => {
    const offered = () => rig.modern.offered()[0];
    expect(offered() & (TO_DEVICE | TO_DRIVER | F.MRG_RXBUF)).toBe(
      TO_DEVICE | TO_DRIVER | F.MRG_RXBUF,
    );
    build(OFFLOAD.CSUM | OFFLOAD.TSO4);
    const ipv4 = F.CSUM | F.GUEST_CSUM | F.HOST_TSO4 | F.GUEST_TSO4;
    expect(offered() & (TO_DEVICE | TO_DRIVER | F.MRG_RXBUF)).toBe(ipv4 | F.MRG_RXBUF);
    build(0);
    expect(offered() & (TO_DEVICE | TO_DRIVER | F.MRG_RXBUF)).toBe(F.MRG_RXBUF);
  });

  it.each([
    ["HOST_TSO4 without CSUM", F.HOST_TSO4 | F.GUEST_CSUM],
    ["HOST_TSO6 without CSUM", F.HOST_TSO6],
    ["HOST_ECN without a kind of segment", F.CSUM | F.HOST_ECN],
    ["GUEST_TSO4 without GUEST_CSUM", F.GUEST_TSO4 | F.CSUM],
    ["GUEST_TSO6 without GUEST_CSUM", F.GUEST_TSO6],
    ["GUEST_ECN without a kind of segment", F.GUEST_CSUM | F.GUEST_ECN | F.CSUM | F.HOST_TSO4],
  ])("with %s are refused by the modern interface, and nothing to a legacy driver", (_, set) => {
    expect(rig.modern.negotiate(set)).toBe(0x03);
    start(rig.driver, set);
    expect(link.guestOffloads).toBe((set & F.GUEST_CSUM) !== 0 ? OFFLOAD.CSUM : 0);
  });

  it.each([
    ["none", 0, 0],
    ["all", TO_DEVICE | TO_DRIVER, ALL],
    ["GUEST_CSUM", F.GUEST_CSUM, OFFLOAD.CSUM],
    ["GUEST_TSO4", F.GUEST_CSUM | F.GUEST_TSO4, OFFLOAD.CSUM | OFFLOAD.TSO4],
    ["GUEST_TSO6 and ECN", TO_DRIVER & ~F.GUEST_TSO4, ALL & ~OFFLOAD.TSO4],
    ["what is for the device", TO_DEVICE, 0],
  ])("with %s are accepted, and told to the back end until the reset", (_, set, offloads) => {
    for (const driver of [rig.modern, rig.driver]) {
      start(driver, set);
      expect(link.guestOffloads).toBe(offloads);
      driver.status = 0;
      expect(link.guestOffloads).toBe(0);
    }
  });
});

describe.each(["legacy", "modern"] as const)("sending by a %s driver", (over) => {
  const send = (features: number, header: Uint8Array, frame: Uint8Array, pieces = 1) => {
    const driver = over === "legacy" ? rig.driver : rig.modern;
    const [, tx] = start(driver, features | VIRTIO_F.RING_INDIRECT_DESC);
    const length = over === "legacy" && (features & F.MRG_RXBUF) === 0 ? 10 : 12;
    rig.memory.write(gpa(DATA), header);
    rig.memory.write(gpa(DATA + length), frame);
    const size = Math.ceil((length + frame.length) / pieces);
    const segments = Array.from({ length: pieces }, (_, i) => ({
      address: DATA + size * i,
      length: Math.min(size, length + frame.length - size * i),
    }));
    tx.addIndirect(0x3_0000, ...segments);
    driver.notify(1);
    expect(tx.takeUsed()).toHaveLength(1);
    expect(rig.reports).toEqual([]);
  };

  it.each([0, F.MRG_RXBUF])("passes on what is undone (features 0x%x too)", (more) => {
    const frame = frameOf(1514);
    send(TO_DEVICE | more, headerOf(PARTIAL), frame);
    expect(link.sent).toEqual([frame]);
    expect(link.headers).toEqual([headerOf(PARTIAL)]);
  });

  it("takes segments of up to 64 KiB in any number of pieces", () => {
    const frame = frameOf(65_550);
    send(TO_DEVICE | F.MRG_RXBUF, headerOf(), frame, 19);
    send(TO_DEVICE, headerOf({ type: 0x84 }), frame, 1);
    expect(link.sent.map((each) => Buffer.compare(each, frame))).toEqual([0, 0]);
    expect(link.headers).toEqual([headerOf(), headerOf({ type: 0x84 })]);
    expect(net.stats).toMatchObject({ framesOut: 2, bytesOut: 131_100 });
  });

  it("says nothing of frames on which all is done, whatever else their headers say", () => {
    send(TO_DEVICE, headerOf({ flags: 0, type: 0 }), frameOf(60));
    send(TO_DEVICE, headerOf({ flags: 2, type: 0, checksumStart: 0xffff }), frameOf(60));
    send(0, headerOf({ flags: 0xff, type: 0xff }), frameOf(60));
    expect(link.headers).toEqual([undefined, undefined, undefined]);
  });

  it.each<[string, number, Header, number]>([
    ["a checksum that begins beyond the frame", TO_DEVICE, { ...PARTIAL, checksumStart: 60 }, 60],
    ["a checksum's place one byte out", TO_DEVICE, { ...PARTIAL, checksumOffset: 25 }, 60],
    ["the farthest place there is", TO_DEVICE, { checksumStart: 65535, checksumOffset: 65535 }, 60],
    ["segments of no size", TO_DEVICE, { segmentSize: 0 }, 3000],
    ["headers longer than the frame", TO_DEVICE, { headerLength: 3001 }, 3000],
    ["an unknown kind of segment", TO_DEVICE, { type: 2 }, 3000],
    ["UDP fragments, which were not offered", TO_DEVICE, { type: 3 }, 3000],
    ["ECN and no segment", TO_DEVICE, { type: 0x80 }, 1000],
    ["segments with checksums", TO_DEVICE, { flags: 0 }, 3000],
    ["segments, not negotiated", F.CSUM, {}, 3000],
    ["segments over IPv6, not negotiated", F.CSUM | F.HOST_TSO4, { type: 4 }, 3000],
    ["segments with ECN, not negotiated", F.CSUM | F.HOST_TSO4, { type: 0x81 }, 3000],
    ["a frame too long for the link, of one piece", TO_DEVICE, PARTIAL, 1519],
    ["a frame of more than 64 KiB", TO_DEVICE, {}, 65_551],
    ["a frame too long, not negotiated at all", 0, {}, 1519],
  ])("drops %s", (_, features, header, length) => {
    send(features, headerOf(header), frameOf(length));
    expect(link.sent).toEqual([]);
    expect(net.stats).toMatchObject({ framesOut: 0, dropped: 1 });
    send(TO_DEVICE, headerOf(), frameOf(3000));
    expect(link.sent).toHaveLength(1);
  });
});

describe.each(["legacy", "modern"] as const)("receiving by a %s driver", (over) => {
  let driver: VirtioTestDriver;
  let rx: FakeQueue;
  let headerLength: number;
  const begin = (features: number) => {
    driver = over === "legacy" ? rig.driver : rig.modern;
    [rx] = start(driver, features);
    headerLength = over === "legacy" && (features & F.MRG_RXBUF) === 0 ? 10 : 12;
  };
  /** Buffers of these lengths, one behind the other. */
  const offer = (...lengths: number[]) => {
    let address = ROOM;
    for (const length of lengths) {
      rx.add({ address, length, writable: true });
      address += length;
    }
  };

  it("passes on what is undone, and one buffer", () => {
    begin(TO_DRIVER);
    offer(2000, 2000);
    const frame = frameOf(1514);
    expect(link.deliver(frame, headerOf(PARTIAL))).toBe(true);
    expect(link.deliver(frame)).toBe(true);
    const count = over === "legacy" ? [] : [1, 0];
    expect([...memoryAt(ROOM, headerLength)]).toEqual([...headerOf(PARTIAL), ...count]);
    expect([...memoryAt(ROOM + 2000, headerLength)]).toEqual([...new Uint8Array(10), ...count]);
    expect([...memoryAt(ROOM + headerLength, 1514)]).toEqual([...frame]);
  });

  it.each([
    ["two", [1000, 1100]],
    ["a header and the rest", [12, 2000]],
    ["buffers that it just fills", [512, 500, 1000]],
    ["many of one byte", [1900, ...Array.from({ length: 112 }, () => 1)]],
  ])("merges buffers: %s", (_, lengths) => {
    begin(TO_DRIVER | F.MRG_RXBUF);
    const frame = frameOf(2000);
    offer(...lengths, 3000);
    expect(link.deliver(frame, headerOf())).toBe(true);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    const last = (lengths.at(-1) ?? 0) - (total - 2012);
    expect(rx.takeUsed()).toEqual(
      lengths.map((length, head) => ({
        head,
        length: head === lengths.length - 1 ? last : length,
      })),
    );
    expect([...memoryAt(ROOM, 12)]).toEqual([...headerOf(), lengths.length, 0]);
    expect(Buffer.compare(memoryAt(ROOM + 12, 2000), frame)).toBe(0);
    expect(net.stats).toMatchObject({ framesIn: 1, bytesIn: 2000, dropped: 0 });
    // The next one has one buffer again.
    expect(link.deliver(frameOf(60))).toBe(true);
    expect([...memoryAt(ROOM + total, 12)]).toEqual([...new Uint8Array(10), 1, 0]);
  });

  it("fills a whole queue of buffers", () => {
    begin(TO_DRIVER | F.MRG_RXBUF);
    const frame = frameOf(256 * 256 - 12);
    offer(...Array.from({ length: 256 }, () => 256));
    expect(link.deliver(frame, headerOf())).toBe(true);
    expect(rx.takeUsed()).toHaveLength(256);
    expect([...memoryAt(ROOM + 10, 2)]).toEqual([0, 1]);
    expect(Buffer.compare(memoryAt(ROOM + 12, frame.length), frame)).toBe(0);
  });

  it("lets a frame wait for which there are too few buffers, and uses none", () => {
    begin(TO_DRIVER | F.MRG_RXBUF);
    const frame = frameOf(3000);
    offer(1000, 1000);
    expect(link.deliver(frame, headerOf())).toBe(false);
    expect(rx.takeUsed()).toEqual([]);
    expect(link.resumed).toBe(0);
    rx.add({ address: ROOM + 2000, length: 1100, writable: true });
    driver.notify(0);
    expect(link.resumed).toBe(1);
    expect(link.deliver(frame, headerOf())).toBe(true);
    expect(rx.takeUsed().map(({ head }) => head)).toEqual([0, 1, 2]);
    expect(Buffer.compare(memoryAt(ROOM + 12, 3000), frame)).toBe(0);
  });

  it("asks to be notified behind the buffers that were too few", () => {
    begin(TO_DRIVER | F.MRG_RXBUF | VIRTIO_F.RING_EVENT_IDX);
    offer(1000, 1000);
    expect(link.deliver(frameOf(3000), headerOf())).toBe(false);
    expect(rx.availEvent).toBe(2);
  });

  it("drops what a whole queue of buffers is too small for", () => {
    begin(TO_DRIVER | F.MRG_RXBUF);
    offer(...Array.from({ length: 256 }, () => 20));
    expect(link.deliver(frameOf(256 * 20), headerOf())).toBe(true);
    expect(net.stats).toMatchObject({ framesIn: 0, dropped: 1 });
    expect(rx.takeUsed()).toEqual([]);
    expect(link.deliver(frameOf(256 * 20 - 12), headerOf())).toBe(true);
    expect(rx.takeUsed()).toHaveLength(256);
  });

  it("drops what one buffer is too small for, if they are not to be merged", () => {
    begin(TO_DRIVER);
    offer(2000, 2000);
    expect(link.deliver(frameOf(2000), headerOf())).toBe(true);
    expect(net.stats.dropped).toBe(1);
    expect(rx.takeUsed()).toEqual([]);
  });

  it.each([
    ["a missing checksum", 0, PARTIAL],
    ["a segment", F.GUEST_CSUM, {}],
    ["a segment over IPv6", F.GUEST_CSUM | F.GUEST_TSO4, { type: 4 }],
    ["a segment with ECN", F.GUEST_CSUM | F.GUEST_TSO4, { type: 0x81 }],
  ])("drops %s that the driver does not take", (_, features, header) => {
    begin(features | F.MRG_RXBUF);
    offer(4000);
    expect(link.deliver(frameOf(1000), headerOf(header))).toBe(true);
    expect(net.stats.dropped).toBe(1);
    expect(link.deliver(frameOf(1000))).toBe(true);
    expect(rx.takeUsed()).toHaveLength(1);
  });

  it("tells that a checksum was right only a driver that asked", () => {
    const valid = Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    for (const [features, told] of [
      [F.GUEST_CSUM, 2],
      [0, 0],
    ] as const) {
      begin(features);
      offer(2000);
      expect(link.deliver(frameOf(60), valid)).toBe(true);
      expect(memoryAt(ROOM, 1)[0]).toBe(told);
    }
  });

  it.each([
    ["a first buffer with less than a header's room", [11, 2000]],
    ["one that cannot be written", [1000, -500]],
  ])("refuses %s", (_, lengths) => {
    begin(TO_DRIVER | F.MRG_RXBUF);
    for (const length of lengths) {
      rx.add({ address: ROOM, length: Math.abs(length), writable: length > 0 });
    }
    expect(link.deliver(frameOf(1500), headerOf())).toBe(false);
    expect(rig.reports).toHaveLength(1);
    expect(driver.status & 0x40).toBe(0x40);
    begin(TO_DRIVER | F.MRG_RXBUF);
    offer(1000, 1000);
    expect(link.deliver(frameOf(1500), headerOf())).toBe(true);
    expect(rx.takeUsed().map(({ head }) => head)).toEqual([0, 1]);
  });

  it("ends when buffers lie in the ring of buffers and extend it", () => {
    begin(TO_DRIVER | F.MRG_RXBUF);
    // Each byte of the frame goes into the available index.
    rx.describe(0, { address: ROOM, length: 12, flags: 2 });
    rx.describe(1, { address: rx.available + 2, length: 1, flags: 2 });
    rx.offer(0);
    for (let i = 1; i < 256; i++) rx.offer(1);
    expect(typeof link.deliver(frameOf(60_000), headerOf())).toBe("boolean");
    expect(net.stats.framesIn).toBe(0);
  });
});
