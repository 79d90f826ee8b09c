import { beforeEach, describe, expect, it } from "vitest";
import { gpa } from "../../../src/core/units.ts";
import { VirtioConsole } from "../../../src/devices/virtio/console.ts";
import { FakeConsole } from "../../support/fake-console.ts";
import type { FakeQueue } from "../../support/fake-driver.ts";
import { SLOT, VirtioRig } from "../../support/virtio-rig.ts";

const DATA = 0x4_0000;

let host: FakeConsole;
let device: VirtioConsole;
let rig: VirtioRig;

beforeEach(() => {
  host = new FakeConsole();
  device = new VirtioConsole(host);
  rig = new VirtioRig(device);
});

const start = () => rig.modern.start([0x1_0000, 0x2_0000]) as [FakeQueue, FakeQueue];

const textAt = (address: number, length: number) =>
  String.fromCharCode(...rig.memory.slice(gpa(address), length));

describe("the virtio console", () => {
  it("is found as one", () => {
    expect(rig.modern.pci.read(SLOT, 0x00, 4)).toBe(0x1003_1af4);
    expect(rig.modern.pci.read(SLOT, 0x08, 4)).toBe(0x0780_0000);
    expect(rig.modern.pci.read(SLOT, 0x2e, 2)).toBe(3);
    expect(rig.modern.readConfig(0, 4)).toBe(0);
  });

  it("prints buffers of any size and number of pieces", () => {
    const [, tx] = start();
    rig.memory.fill(gpa(DATA), 10_000, 0x61);
    tx.add({ address: DATA, length: 1 }, { address: DATA, length: 9_999 });
    rig.modern.notify(1);
    expect(host.text).toBe("a".repeat(10_000));
    expect(tx.takeUsed()).toEqual([{ head: 0, length: 0 }]);
  });

  it("hands over what was typed before there was a driver, and while it had no buffers", () => {
    host.receive("early ");
    const [rx] = start();
    host.receive("bird");
    rx.add({ address: DATA, length: 4, writable: true });
    rig.modern.notify(0);
    expect(rx.takeUsed()).toEqual([{ head: 0, length: 4 }]);
    expect(textAt(DATA, 4)).toBe("earl");
    rx.add({ address: DATA, length: 100, writable: true });
    rig.modern.notify(0);
    expect(rx.takeUsed()).toEqual([{ head: 1, length: 6 }]);
    expect(textAt(DATA, 6)).toBe("y bird");
    expect(rig.modern.takeInterrupts()).toBe(1);
  });

  it("fills a buffer that waits as soon as something is typed", () => {
    const [rx] = start();
    rx.add({ address: DATA, length: 16, writable: true });
    rig.modern.notify(0);
    expect(rx.takeUsed()).toEqual([]);
    host.receive("x");
    expect(rx.takeUsed()).toEqual([{ head: 0, length: 1 }]);
  });

  it("is in use from DRIVER_OK to the reset", () => {
    expect(device.inUse).toBe(false);
    start();
    expect(device.inUse).toBe(true);
    rig.modern.status = 0;
    expect(device.inUse).toBe(false);
  });
});
