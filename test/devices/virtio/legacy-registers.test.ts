import { beforeEach, describe, expect, it } from "vitest";
import { GuestError } from "../../../src/core/errors.ts";
import { VirtioBlock } from "../../../src/devices/virtio/block.ts";
import { VirtioNet } from "../../../src/devices/virtio/net.ts";
import { VIRTIO_F } from "../../../src/devices/virtio/virtio-device.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";
import { FakeDisk, FakeLink } from "../../support/fake-backends.ts";
import { FakeQueue } from "../../support/fake-driver.ts";
import { IO_BASE, SLOT, VirtioRig } from "../../support/virtio-rig.ts";

const MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
const RX = 0x1_0000;
const TX = 0x2_0000;
const DATA = 0x4_0000;

let link: FakeLink;
let rig: VirtioRig;

beforeEach(() => {
  link = new FakeLink();
  rig = new VirtioRig(new VirtioNet({ backend: link, mac: MAC }));
});

const send = (queue: FakeQueue, bytes: number) => {
  queue.add({ address: DATA, length: 10 + bytes });
  rig.driver.notify(1);
};

describe("PCI header", () => {
  it("names the network device", () => {
    const { pci } = rig.driver;
    expect(pci.read(SLOT, 0x00, 4)).toBe(0x1000_1af4);
    expect(pci.read(SLOT, 0x08, 4)).toBe(0x0200_0000);
    expect(pci.read(SLOT, 0x2c, 4)).toBe(0x0001_1af4);
    expect(pci.read(SLOT, 0x3c, 2)).toBe(0x010b);
    expect(rig.driver.ioBase).toBe(IO_BASE);
  });

  it("names the block device", () => {
    const { pci } = new VirtioRig(new VirtioBlock({ backend: new FakeDisk(8) })).driver;
    expect(pci.read(SLOT, 0x00, 4)).toBe(0x1001_1af4);
    expect(pci.read(SLOT, 0x08, 4)).toBe(0x0100_0000);
    expect(pci.read(SLOT, 0x2c, 4)).toBe(0x0002_1af4);
  });
});

describe("legacy registers", () => {
  it("are all there, and take what they may", () => {
    const { driver } = rig;
    expect(driver.read("DEVICE_FEATURES")).toBe(0x3801_8028);
    driver.write("DEVICE_FEATURES", 0);
    expect(driver.read("DEVICE_FEATURES")).toBe(0x3801_8028);
    driver.write("QUEUE_SELECT", 1);
    expect(driver.read("QUEUE_SELECT")).toBe(1);
    expect(driver.read("QUEUE_SIZE")).toBe(256);
    driver.write("QUEUE_SIZE", 1024);
    expect(driver.read("QUEUE_SIZE")).toBe(256);
    driver.write("QUEUE_PFN", TX / 4096);
    expect(driver.read("QUEUE_PFN")).toBe(TX / 4096);
    driver.write("QUEUE_SELECT", 0);
    expect(driver.read("QUEUE_PFN")).toBe(0);
    expect(driver.read("QUEUE_NOTIFY")).toBe(0);
    driver.write("DEVICE_STATUS", 3);
    expect(driver.read("DEVICE_STATUS")).toBe(3);
    expect(driver.read("ISR_STATUS")).toBe(0);
  });

  it("take only features that were offered", () => {
    rig.driver.write("DRIVER_FEATURES", 0xffff_ffff);
    expect(rig.driver.read("DRIVER_FEATURES")).toBe(0x3801_8028);
  });

  it("know no queue beyond the last", () => {
    const { driver } = rig;
    driver.write("QUEUE_SELECT", 2);
    expect(driver.read("QUEUE_SIZE")).toBe(0);
    driver.write("QUEUE_PFN", 16);
    expect(driver.read("QUEUE_PFN")).toBe(0);
    driver.notify(2);
    driver.notify(0xffff);
    expect(rig.reports).toEqual([]);
  });

  it("have the device's configuration behind them, at any width", () => {
    const { ports } = rig;
    expect(rig.driver.readConfig(0, 4)).toBe(0x1200_5452);
    expect(rig.driver.readConfig(4, 2)).toBe(0x5634);
    expect(rig.driver.readConfig(5, 1)).toBe(0x56);
    expect(ports.read(IO_BASE + 18, 4)).toBe(0x5452_0000);
    expect(ports.read(IO_BASE + 60, 4)).toBe(0);
  });

  it("go back to their first values when the status is set to zero", () => {
    const { driver } = rig;
    driver.start([RX, TX], VIRTIO_F.RING_EVENT_IDX);
    driver.write("QUEUE_SELECT", 1);
    driver.write("DEVICE_STATUS", 0);
    expect(driver.read("DEVICE_STATUS")).toBe(0);
    expect(driver.read("DRIVER_FEATURES")).toBe(0);
    expect(driver.read("QUEUE_SELECT")).toBe(0);
    expect(driver.read("QUEUE_PFN")).toBe(0);
  });
});

describe("interrupts", () => {
  it("hold the line until the ISR status is read", () => {
    const [, tx] = rig.driver.start([RX, TX]) as [FakeQueue, FakeQueue];
    send(tx, 60);
    expect(rig.irq).toBe(true);
    expect(rig.driver.read("ISR_STATUS")).toBe(1);
    expect(rig.irq).toBe(false);
    expect(rig.driver.read("ISR_STATUS")).toBe(0);
  });

  it("are counted, as notifications are", () => {
    const [, tx] = rig.driver.start([RX, TX]) as [FakeQueue, FakeQueue];
    send(tx, 60);
    tx.availableFlags = 1;
    send(tx, 60);
    expect(rig.fn.stats).toEqual({ notifies: 2, interrupts: 1 });
  });

  it("end with a reset", () => {
    const [, tx] = rig.driver.start([RX, TX]) as [FakeQueue, FakeQueue];
    send(tx, 60);
    rig.driver.write("DEVICE_STATUS", 0);
    expect(rig.irq).toBe(false);
  });
});

describe("drivers of long ago", () => {
  it("are served in the order of the 2015 kernel: 3, 4, 16-bit PFN, 8-bit queue select", () => {
    const { driver, ports } = rig;
    const base = driver.ioBase & 0xffff;
    driver.write("DEVICE_STATUS", 3);
    driver.write("DEVICE_STATUS", 4);
    driver.write("DRIVER_FEATURES", 1 << 5);
    const queues = [RX, TX].map((address, index) => {
      ports.write(base + 14, 1, index);
      ports.write(base + 8, 2, address / 4096);
      return new FakeQueue(rig.memory, address, driver.read("QUEUE_SIZE"));
    }) as [FakeQueue, FakeQueue];

    queues[0].add(
      { address: DATA, length: 10, writable: true },
      { address: DATA + 16, length: 1514, writable: true },
    );
    driver.notify(0);
    queues[1].add({ address: DATA + 4096, length: 10 }, { address: DATA + 8192, length: 98 });
    driver.notify(1);

    expect(link.sent.map((frame) => frame.length)).toEqual([98]);
    expect(link.deliver(new Uint8Array(98))).toBe(true);
    expect(queues[0].takeUsed()).toEqual([{ head: 0, length: 108 }]);
  });

  it("are served before they set DRIVER_OK", () => {
    rig.driver.write("DEVICE_STATUS", 3);
    const tx = rig.driver.placeQueue(1, TX);
    send(tx, 60);
    expect(link.sent).toHaveLength(1);
  });

  it("may accept features after they placed their queues", () => {
    rig.driver.write("DEVICE_STATUS", 7);
    const tx = rig.driver.placeQueue(1, TX);
    rig.driver.write("DRIVER_FEATURES", VIRTIO_F.RING_INDIRECT_DESC);
    tx.addIndirect(0x6_0000, { address: DATA, length: 70 });
    rig.driver.notify(1);
    expect(link.sent).toHaveLength(1);
  });

  it("may take a queue away by page frame 0", () => {
    const [, tx] = rig.driver.start([RX, TX]) as [FakeQueue, FakeQueue];
    rig.driver.write("QUEUE_SELECT", 1);
    rig.driver.write("QUEUE_PFN", 0);
    send(tx, 60);
    expect(link.sent).toHaveLength(0);
  });
});

describe("a driver that breaks the rules", () => {
  const breakRules = (tx: FakeQueue) => {
    tx.offer(9999);
    rig.driver.notify(1);
  };

  it("is told by status and interrupt, and the user once", () => {
    const [, tx] = rig.driver.start([RX, TX]) as [FakeQueue, FakeQueue];
    breakRules(tx);
    breakRules(tx);
    expect(rig.driver.read("DEVICE_STATUS")).toBe(0x47);
    expect(rig.irq).toBe(true);
    expect(rig.driver.read("ISR_STATUS")).toBe(2);
    expect(rig.reports).toHaveLength(1);
    expect(rig.reports[0]).toBeInstanceOf(GuestError);
    expect(rig.reports[0]?.message).toBe("virtio-net queue 1: descriptor 9999 of a table of 256");
  });

  it("is not listened to until it resets the device, and then is again", () => {
    let [, tx] = rig.driver.start([RX, TX]) as [FakeQueue, FakeQueue];
    breakRules(tx);
    send(tx, 60);
    rig.driver.write("DEVICE_STATUS", 7);
    send(tx, 60);
    expect(link.sent).toHaveLength(0);
    [, tx] = rig.driver.start([RX, TX]) as [FakeQueue, FakeQueue];
    send(tx, 60);
    expect(link.sent).toHaveLength(1);
  });

  it("is refused rings outside RAM", () => {
    rig.driver.write("DEVICE_STATUS", 7);
    rig.driver.write("QUEUE_PFN", 0xffff_ffff);
    expect(rig.driver.read("DEVICE_STATUS")).toBe(0x47);
    expect(rig.reports[0]?.message).toMatch(/descriptor table at 0xffffffff000/);
  });

  it("stops the device when it sets FAILED", () => {
    const [rx, tx] = rig.driver.start([RX, TX]) as [FakeQueue, FakeQueue];
    rx.add({ address: DATA, length: 1526, writable: true });
    rig.driver.write("DEVICE_STATUS", 0x87);
    send(tx, 60);
    expect(link.sent).toHaveLength(0);
    expect(link.deliver(new Uint8Array(60))).toBe(false);
    expect(rig.reports).toEqual([]);
  });
});

it("goes back to power-on state with the bus", () => {
  const [, tx] = rig.driver.start([RX, TX]) as [FakeQueue, FakeQueue];
  send(tx, 60);
  rig.pci.reset();
  expect(rig.irq).toBe(false);
  expect(rig.ports.read(IO_BASE, 4)).toBe(0xffff_ffff);
  rig.assignResources();
  expect(rig.driver.read("DEVICE_STATUS")).toBe(0);
});

it("survives anything read and written", () => {
  readWriteEverything(() => {
    const net = new VirtioNet({ backend: new FakeLink(), mac: MAC });
    const block = new VirtioBlock({ backend: new FakeDisk(8) });
    return {
      ranges: [net, block].map(
        (device) => [new VirtioRig(device, 0x1_0000).fn.legacy, 64] as const,
      ),
    };
  });
});
