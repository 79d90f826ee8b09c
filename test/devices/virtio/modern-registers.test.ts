import { beforeEach, describe, expect, it } from "vitest";
import { gpa } from "../../../src/core/units.ts";
import { VirtioBlock } from "../../../src/devices/virtio/block.ts";
import { VirtioNet } from "../../../src/devices/virtio/net.ts";
import { VIRTIO_F } from "../../../src/devices/virtio/virtio-device.ts";
import { FakeDisk, FakeLink } from "../../support/fake-backends.ts";
import type { FakeQueue } from "../../support/fake-driver.ts";
import { CAP, type ModernDriver } from "../../support/modern-driver.ts";
import { MEMORY_BASE, SLOT, VirtioRig } from "../../support/virtio-rig.ts";

const MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
const RX = 0x1_0000;
const TX = 0x2_0000;
const DATA = 0x4_0000;
const APIC = 0xfee0_0000;
const HEADER = 12;
const LEGACY_HEADER = 10;
const NO_VECTOR = 0xffff;

let link: FakeLink;
let rig: VirtioRig;
let driver: ModernDriver;

beforeEach(() => {
  link = new FakeLink();
  rig = new VirtioRig(new VirtioNet({ backend: link, mac: MAC }));
  driver = rig.modern;
});

const start = (features = 0) => driver.start([RX, TX], features) as [FakeQueue, FakeQueue];

const send = (queue: FakeQueue, bytes: number) => {
  queue.add({ address: DATA, length: HEADER + bytes });
  driver.notify(1);
};

describe("capabilities", () => {
  it("lead to every structure, within the BAR and apart from each other", () => {
    const places = [CAP.COMMON, CAP.NOTIFY, CAP.ISR, CAP.DEVICE].map((type) =>
      driver.structure(type),
    );
    expect(places.map(({ bar }) => bar)).toEqual([1, 1, 1, 1]);
    expect(driver.structure(CAP.COMMON).length).toBe(0x38);
    expect(driver.structure(CAP.NOTIFY).length).toBe(8);
    const ends = places
      .map(({ offset, length }) => [offset, offset + length] as const)
      .sort(([a], [b]) => a - b);
    ends.slice(1).forEach(([offset], i) => {
      expect(offset).toBeGreaterThanOrEqual(ends[i]?.[1] ?? 0);
    });
    expect(ends.at(-1)?.[1]).toBeLessThanOrEqual(0x4000);
    expect(driver.pci.read(SLOT, driver.msix + 2, 2)).toBe(2);
  });

  it("stay where they are when the BAR moves", () => {
    driver.pci.write(SLOT, 0x14, 4, 0x8000_0000);
    start();
    expect(driver.status).toBe(0x0f);
    expect(rig.mmio.read(MEMORY_BASE + 0x14, 1)).toBe(0xff);
  });
});

describe("features", () => {
  it("are the legacy ones without ANY_LAYOUT, and VERSION_1", () => {
    expect(driver.offered()).toEqual([0x3001_8028, 1]);
    driver.write("DEVICE_FEATURE_SELECT", 2);
    expect(driver.read("DEVICE_FEATURE")).toBe(0);
  });

  it("are agreed on when the driver sees FEATURES_OK, and do not change then", () => {
    expect(driver.negotiate(VIRTIO_F.RING_EVENT_IDX)).toBe(0x0b);
    driver.choose(0, 0);
    driver.write("DRIVER_FEATURE_SELECT", 0);
    expect(driver.read("DRIVER_FEATURE")).toBe(VIRTIO_F.RING_EVENT_IDX);
  });

  it.each([
    ["that were not offered", 1, 1],
    ["of the upper half that were not offered", 0, 1 | (1 << 2)],
    ["of the legacy interface", VIRTIO_F.ANY_LAYOUT, 1],
  ])("%s are refused", (_what, low, high) => {
    driver.status = 0;
    driver.status = 3;
    driver.choose(low, high);
    driver.status = 0x0b;
    expect(driver.status).toBe(3);
  });

  it("without VERSION_1 are agreed on, and frames have the legacy header", () => {
    driver.status = 0;
    driver.status = 3;
    driver.choose(0, 0);
    driver.status = 0x0b;
    expect(driver.status).toBe(0x0b);
    const rx = driver.placeQueue(0, RX);
    driver.status = 0x0f;
    rx.add({ address: DATA, length: 1524, writable: true });
    expect(link.deliver(new Uint8Array(60).fill(7))).toBe(true);
    expect(rx.takeUsed()).toEqual([{ head: 0, length: LEGACY_HEADER + 60 }]);
  });
});

describe("queues", () => {
  it("say how many they are, how large, and where to notify", () => {
    expect(driver.read("NUM_QUEUES")).toBe(2);
    driver.write("QUEUE_SELECT", 1);
    expect(driver.read("QUEUE_SIZE")).toBe(256);
    expect(driver.read("QUEUE_NOTIFY_OFF")).toBe(1);
    expect(driver.read("QUEUE_ENABLE")).toBe(0);
    driver.write("QUEUE_SELECT", 2);
    expect(driver.read("QUEUE_SIZE")).toBe(0);
  });

  it("may be made smaller, by powers of two, until they are enabled", () => {
    driver.negotiate(0);
    driver.write("QUEUE_SELECT", 1);
    for (const refused of [0, 3, 512, 0xffff]) {
      driver.write("QUEUE_SIZE", refused);
      expect(driver.read("QUEUE_SIZE")).toBe(256);
    }
    const queue = driver.placeQueue(1, TX, 8);
    driver.status = 0x0f;
    driver.write("QUEUE_SIZE", 16);
    expect(driver.read("QUEUE_SIZE")).toBe(8);
    for (let i = 0; i < 20; i++) {
      send(queue, 60);
      expect(queue.takeUsed()).toHaveLength(1);
    }
    expect(link.sent).toHaveLength(20);
    driver.status = 0;
    expect(driver.read("QUEUE_SIZE")).toBe(256);
  });

  it("keep their addresses, wherever their parts are", () => {
    driver.negotiate(0);
    driver.placeQueue(0, RX);
    driver.placeQueue(1, TX);
    driver.write("QUEUE_SELECT", 0);
    expect(driver.read("QUEUE_DESC")).toBe(RX);
    expect(driver.read("QUEUE_DRIVER")).toBe(RX + 16 * 256);
    expect(driver.read("QUEUE_DEVICE_HIGH")).toBe(0);
    expect(driver.read("QUEUE_ENABLE")).toBe(1);
    driver.write("QUEUE_ENABLE", 0);
    expect(driver.read("QUEUE_ENABLE")).toBe(1);
  });

  it("are not looked at before DRIVER_OK, and then without being spoken of again", () => {
    driver.negotiate(0);
    const tx = driver.placeQueue(1, TX);
    send(tx, 60);
    driver.notify(0);
    driver.notify(7);
    expect(link.sent).toHaveLength(0);
    driver.status = 0x0f;
    expect(link.sent).toHaveLength(1);
    expect(tx.takeUsed()).toHaveLength(1);
    expect(driver.takeInterrupts()).toBe(1);
  });

  it("are not looked at because of what was said before a reset", () => {
    driver.negotiate(0);
    send(driver.placeQueue(1, TX), 60);
    driver.negotiate(0);
    driver.placeQueue(1, TX).add({ address: DATA, length: HEADER + 60 });
    driver.status = 0x0f;
    expect(link.sent).toHaveLength(0);
  });

  it("go with a reset", () => {
    const [, tx] = start();
    driver.status = 0;
    send(tx, 60);
    expect(link.sent).toHaveLength(0);
    for (const register of ["QUEUE_SELECT", "QUEUE_DESC", "QUEUE_ENABLE"] as const) {
      expect(driver.read(register)).toBe(register === "QUEUE_SELECT" ? 1 : 0);
    }
  });
});

describe("frames", () => {
  it("have a header of twelve bytes, which says that they are in one buffer", () => {
    const [rx, tx] = start();
    rig.memory.fill(gpa(DATA), HEADER + 60, 0x55);
    send(tx, 60);
    expect(link.sent).toEqual([new Uint8Array(60).fill(0x55)]);
    rx.add({ address: DATA, length: 1526, writable: true });
    expect(link.deliver(new Uint8Array(60).fill(7))).toBe(true);
    expect(rx.takeUsed()).toEqual([{ head: 0, length: HEADER + 60 }]);
    expect([...rig.memory.slice(gpa(DATA), 14)]).toEqual([...new Array(10).fill(0), 1, 0, 7, 7]);
  });
});

describe("the device's configuration", () => {
  it("is there to read, and not to write", () => {
    expect(driver.readConfig(0, 4)).toBe(0x1200_5452);
    expect(driver.readConfig(10, 2)).toBe(1500);
    rig.mmio.write(driver.address(CAP.DEVICE), 4, 0);
    expect(driver.readConfig(0, 4)).toBe(0x1200_5452);
    expect(driver.read("CONFIG_GENERATION")).toBe(0);
  });
});

describe("interrupts", () => {
  it("without MSI-X come by INTA and the ISR status", () => {
    const [, tx] = start();
    send(tx, 60);
    expect(rig.irq).toBe(true);
    expect(driver.takeInterrupts()).toBe(1);
    expect(rig.irq).toBe(false);
  });

  it("by INTA wait while the command register disables it", () => {
    const [, tx] = start();
    driver.pci.write(SLOT, 0x04, 2, 0x407);
    send(tx, 60);
    expect(rig.irq).toBe(false);
    driver.pci.write(SLOT, 0x04, 2, 0x007);
    expect(rig.irq).toBe(true);
  });

  it("with MSI-X have a vector for each queue, and nothing else happens", () => {
    driver.setVector(0, APIC, 0x50);
    driver.setVector(2, APIC, 0x52);
    driver.negotiate(0);
    driver.write("QUEUE_SELECT", 1);
    driver.write("QUEUE_MSIX_VECTOR", 2);
    expect(driver.read("QUEUE_MSIX_VECTOR")).toBe(2);
    const tx = driver.placeQueue(1, TX);
    driver.status = 0x0f;
    send(tx, 60);
    expect(rig.messages).toEqual([[APIC, 0x52]]);
    expect(rig.irq).toBe(false);
    expect(driver.takeInterrupts()).toBe(0);
  });

  it("with MSI-X and no vector do not come", () => {
    driver.setVector(0, APIC, 0x50);
    const [, tx] = start();
    expect(driver.read("QUEUE_MSIX_VECTOR")).toBe(NO_VECTOR);
    send(tx, 60);
    expect(rig.messages).toEqual([]);
  });

  it("refuse a vector that is not there", () => {
    driver.write("CONFIG_MSIX_VECTOR", 3);
    expect(driver.read("CONFIG_MSIX_VECTOR")).toBe(NO_VECTOR);
    driver.write("CONFIG_MSIX_VECTOR", 2);
    expect(driver.read("CONFIG_MSIX_VECTOR")).toBe(2);
    driver.status = 0;
    expect(driver.read("CONFIG_MSIX_VECTOR")).toBe(NO_VECTOR);
  });

  it("tell of a device that needs a reset, by the configuration's vector", () => {
    driver.setVector(1, APIC, 0x51);
    const [, tx] = start();
    driver.write("CONFIG_MSIX_VECTOR", 1);
    tx.offer(9999);
    driver.notify(1);
    expect(driver.status).toBe(0x4f);
    expect(rig.messages).toEqual([[APIC, 0x51]]);
  });

  it("of a legacy driver with MSI-X have their vectors behind its header", () => {
    driver.setVector(1, APIC, 0x51);
    const { ports } = rig;
    const base = rig.driver.ioBase;
    const [, tx] = rig.driver.start([RX, TX]) as [FakeQueue, FakeQueue];
    ports.write(base + 22, 2, 1);
    expect(ports.read(base + 20, 4)).toBe(0x0001_ffff);
    expect(ports.read(base + 24, 4)).toBe(0x1200_5452);
    tx.add({ address: DATA, length: 70 });
    rig.driver.notify(1);
    expect(rig.messages).toEqual([[APIC, 0x51]]);
  });
});

describe("the window in configuration space", () => {
  const point = (offset: number, length: number) => {
    const { at } = driver.structure(CAP.PCI);
    driver.pci.write(SLOT, at + 4, 1, 1);
    driver.pci.write(SLOT, at + 8, 4, offset);
    driver.pci.write(SLOT, at + 12, 4, length);
    return at + 16;
  };

  it("reads and writes registers", () => {
    const status = driver.structure(CAP.COMMON).offset + 0x14;
    const data = point(status, 1);
    driver.pci.write(SLOT, data, 1, 3);
    expect(driver.status).toBe(3);
    expect(driver.pci.read(SLOT, data, 1)).toBe(3);
    driver.pci.write(SLOT, point(driver.structure(CAP.COMMON).offset, 4), 4, 1);
    expect(driver.read("DEVICE_FEATURE")).toBe(1);
  });

  it("opens for what it was set to, and nothing else", () => {
    const data = point(driver.structure(CAP.COMMON).offset + 0x14, 1);
    driver.pci.write(SLOT, data, 2, 3);
    expect(driver.status).toBe(0);
    for (const offset of [0x3fff, 0x4000, 0xffff_fffc]) {
      driver.pci.write(SLOT, point(offset, 4), 4, 0xffff_ffff);
      expect(driver.pci.read(SLOT, data, 4)).toBe(0);
    }
  });
});

it("a disk answers drivers of either interface, one after the other", () => {
  const disk = new FakeDisk(8);
  disk.bytes.fill(0x42, 512, 1024);
  const { memory, driver: legacy, modern } = new VirtioRig(new VirtioBlock({ backend: disk }));
  for (const each of [modern, legacy, modern]) {
    const [queue] = each.start([RX]) as [FakeQueue];
    memory.fill(gpa(DATA), 1024);
    memory.writeU32(gpa(DATA + 8), 1);
    queue.add({ address: DATA, length: 16 }, { address: DATA + 16, length: 513, writable: true });
    each.notify(0);
    expect(queue.takeUsed()).toEqual([{ head: 0, length: 513 }]);
    expect(memory.readU8(gpa(DATA + 16 + 511))).toBe(0x42);
    expect(each.takeInterrupts()).toBe(1);
  }
});
