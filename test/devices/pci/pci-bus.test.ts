import { describe, expect, it } from "vitest";
import { Bus } from "../../../src/core/bus.ts";
import { type BusDevice, floating } from "../../../src/core/device.ts";
import { acpiBridge } from "../../../src/devices/pci/acpi-bridge.ts";
import { type AddressSpace, BaseAddress } from "../../../src/devices/pci/base-address.ts";
import { ConfigSpace } from "../../../src/devices/pci/config-space.ts";
import { assignResources } from "../../../src/devices/pci/firmware.ts";
import { hostBridge } from "../../../src/devices/pci/host-bridge.ts";
import { isaBridge } from "../../../src/devices/pci/isa-bridge.ts";
import { PciBus, type PciFunction } from "../../../src/devices/pci/pci-bus.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";
import { FakePciHost } from "../../support/fake-driver.ts";

/** A function with 32 ports or 4096 bytes of memory, all of which read as `mark`. */
class MarkedFunction implements PciFunction {
  readonly config = new ConfigSpace({
    vendor: 0x1af4,
    device: 0x1000,
    classCode: 0x02_00_00,
    subsystemVendor: 0x1af4,
    subsystem: 1,
    interruptPin: 1,
  });
  readonly bars: readonly BaseAddress[];

  constructor(bus: Bus, mark: number, space: AddressSpace = "io") {
    const device: BusDevice = { read: (_offset, size) => mark & floating(size), write: () => {} };
    const { config } = this;
    const place = space === "io" ? { index: 0, length: 32 } : { index: 1, length: 4096 };
    this.bars = [new BaseAddress({ config, space, ...place, bus, device })];
  }

  reset(): void {
    this.config.reset();
  }
}

function machine() {
  const ports = new Bus("port");
  const resets: number[] = [];
  const pci = new PciBus({
    read: () => 0x02,
    write: (_offset, _size, value) => {
      resets.push(value);
    },
  });
  ports.claim(0xcf8, 8, pci);
  pci.plug(0, hostBridge());
  pci.plug(1, isaBridge(11));
  pci.plug(1, acpiBridge(0x600), 3);
  pci.plug(3, new MarkedFunction(ports, 0xaa));
  pci.plug(4, new MarkedFunction(ports, 0xbb));
  const mmio = new Bus("memory");
  pci.plug(5, new MarkedFunction(mmio, 0xcc, "memory"));
  return { ports, mmio, pci, resets, host: new FakePciHost(ports) };
}

const READY = { ioBase: 0xc000, memoryBase: 0xfe00_0000, interruptLine: 11 };

describe("configuration mechanism #1", () => {
  it("finds the functions plugged in and nothing else", () => {
    const { host } = machine();
    const found: string[] = [];
    for (let slot = 0; slot < 32; slot++) {
      for (let fn = 0; fn < 8; fn++) {
        const id = host.read(slot, 0, 4, fn);
        if (id !== 0xffff_ffff) found.push(`${slot}.${fn} ${id.toString(16)}`);
      }
    }
    expect(found).toEqual([
      "0.0 12378086",
      "1.0 70008086",
      "1.3 71138086",
      "3.0 10001af4",
      "4.0 10001af4",
      "5.0 10001af4",
    ]);
  });

  it("reads all ones at every width from functions and buses that are not there", () => {
    const { ports, host } = machine();
    expect(host.read(9, 0, 1)).toBe(0xff);
    expect(host.read(9, 0, 2)).toBe(0xffff);
    expect(host.read(9, 0, 4)).toBe(0xffff_ffff);
    host.write(9, 0x10, 4, 0x1234);
    ports.write(0xcf8, 4, 0x8001_0000);
    expect(ports.read(0xcfc, 4)).toBe(0xffff_ffff);
  });

  it("ignores the data port while the enable bit is clear", () => {
    const { ports } = machine();
    ports.write(0xcf8, 4, 0x0000_1800);
    expect(ports.read(0xcfc, 4)).toBe(0xffff_ffff);
  });

  it("keeps the address register's defined bits, for 32-bit accesses only", () => {
    const { ports } = machine();
    ports.write(0xcf8, 4, 0xffff_ffff);
    expect(ports.read(0xcf8, 4)).toBe(0x80ff_fffc);
    ports.write(0xcf8, 2, 0);
    ports.write(0xcf8, 1, 0);
    expect(ports.read(0xcf8, 4)).toBe(0x80ff_fffc);
    expect(ports.read(0xcf8, 2)).toBe(0xffff);
    expect(ports.read(0xcfa, 1)).toBe(0xff);
  });

  it("hands the byte at 0xcf9 to the reset control register, and no other access", () => {
    const { ports, resets } = machine();
    ports.write(0xcf9, 1, 0x06);
    expect(resets).toEqual([0x06]);
    expect(ports.read(0xcf9, 1)).toBe(0x02);
    ports.write(0xcf8, 1, 0x06);
    ports.write(0xcf8, 2, 0x0606);
    ports.write(0xcf8, 4, 0x0606_0606);
    expect(resets).toEqual([0x06]);
  });

  it("reads and writes the data port at any width and offset", () => {
    const { host } = machine();
    expect(host.read(3, 0x02, 2)).toBe(0x1000);
    expect(host.read(3, 0x0b, 1)).toBe(0x02);
    expect(host.read(3, 0x2e, 2)).toBe(1);
    expect(host.read(3, 0x3d, 1)).toBe(1);
    host.write(3, 0x3c, 1, 5);
    expect(host.read(3, 0x3c, 4)).toBe(0x0000_0105);
  });

  it("swallows writes to what is read-only", () => {
    const { host } = machine();
    for (let offset = 0; offset < 256; offset += 4) host.write(3, offset, 4, 0xffff_ffff);
    expect(host.read(3, 0x00, 4)).toBe(0x1000_1af4);
    expect(host.read(3, 0x04, 4)).toBe(0x0000_0407);
    expect(host.read(3, 0x08, 4)).toBe(0x0200_0000);
    expect(host.read(3, 0x2c, 4)).toBe(0x0001_1af4);
    expect(host.read(3, 0x34, 4)).toBe(0);
  });
});

describe("the chipset's functions", () => {
  it("say what they are", () => {
    const { host } = machine();
    expect(host.read(0, 0x0a, 2)).toBe(0x0600);
    expect(host.read(1, 0x0a, 2)).toBe(0x0601);
    expect(host.read(1, 0x0e, 1)).toBe(0x80);
    expect(host.read(1, 0x60, 4)).toBe(0x0b0b_0b0b);
  });

  it("tell where the power management ports are", () => {
    const { host } = machine();
    expect(host.read(1, 0x40, 4, 3)).toBe(0x601);
    expect(host.read(1, 0x80, 1, 3)).toBe(1);
  });
});

describe("I/O base address registers", () => {
  it("are assigned by firmware, which enables decoding and DMA and tells the line", () => {
    const { ports, pci, host } = machine();
    expect(ports.read(0xc000, 1)).toBe(0xff);
    assignResources(pci, READY);
    expect(host.read(3, 0x10, 4)).toBe(0xc001);
    expect(host.read(4, 0x10, 4)).toBe(0xc021);
    expect(host.read(3, 0x04, 2)).toBe(0x7);
    expect(host.read(3, 0x3c, 1)).toBe(11);
    expect(host.read(0, 0x3c, 1)).toBe(0);
    expect(ports.read(0xc000, 1)).toBe(0xaa);
    expect(ports.read(0xc03f, 1)).toBe(0xbb);
  });

  it("tell their size when all ones are written, and decode nothing meanwhile", () => {
    const { ports, pci, host } = machine();
    assignResources(pci, READY);
    host.write(3, 0x10, 4, 0xffff_ffff);
    expect(host.read(3, 0x10, 4)).toBe(0xffff_ffe1);
    expect(ports.read(0xc000, 1)).toBe(0xff);
    host.write(3, 0x10, 4, 0xc001);
    expect(ports.read(0xc000, 1)).toBe(0xaa);
    host.write(3, 0x14, 4, 0xffff_ffff);
    expect(host.read(3, 0x14, 4)).toBe(0);
  });

  it("move the range they decode", () => {
    const { ports, pci, host } = machine();
    assignResources(pci, READY);
    host.write(3, 0x10, 4, 0xd000);
    expect(ports.read(0xc000, 1)).toBe(0xff);
    expect(ports.read(0xd01f, 1)).toBe(0xaa);
  });

  it("of memory are sized, moved and switched off like those of ports", () => {
    const { mmio, pci, host } = machine();
    assignResources(pci, READY);
    expect(host.read(5, 0x14, 4)).toBe(0xfe00_0000);
    expect(mmio.read(0xfe00_0fff, 1)).toBe(0xcc);
    host.write(5, 0x14, 4, 0xffff_ffff);
    expect(host.read(5, 0x14, 4)).toBe(0xffff_f000);
    host.write(5, 0x14, 4, 0x9000_0000);
    expect(mmio.read(0xfe00_0000, 1)).toBe(0xff);
    expect(mmio.read(0x9000_0000, 1)).toBe(0xcc);
    host.write(5, 0x04, 2, 5);
    expect(mmio.read(0x9000_0000, 1)).toBe(0xff);
    host.write(5, 0x04, 2, 2);
    expect(mmio.read(0x9000_0000, 1)).toBe(0xcc);
  });

  it("decode nothing while the command register says so", () => {
    const { ports, pci, host } = machine();
    assignResources(pci, READY);
    host.write(3, 0x04, 2, 0);
    expect(ports.read(0xc000, 1)).toBe(0xff);
    host.write(3, 0x04, 2, 1);
    expect(ports.read(0xc000, 1)).toBe(0xaa);
  });

  it("leave ports that are taken to whom they belong, until they are free", () => {
    const { ports, pci, host } = machine();
    assignResources(pci, READY);
    host.write(3, 0x10, 4, 0xc020);
    expect(ports.read(0xc020, 1)).toBe(0xbb);
    expect(ports.read(0xc000, 1)).toBe(0xff);
    host.write(4, 0x10, 4, 0xe000);
    expect(ports.read(0xc020, 1)).toBe(0xaa);
    expect(ports.read(0xe000, 1)).toBe(0xbb);
  });

  it("cannot take the configuration ports themselves", () => {
    const { pci, host } = machine();
    assignResources(pci, READY);
    host.write(3, 0x10, 4, 0xce0);
    expect(host.read(3, 0x10, 4)).toBe(0xce1);
  });

  it("decode nothing at bus reset, until firmware has run again", () => {
    const { ports, pci, host } = machine();
    assignResources(pci, READY);
    host.write(3, 0x10, 4, 0xd000);
    pci.reset();
    expect(host.read(3, 0x10, 4)).toBe(1);
    expect(ports.read(0xd000, 1)).toBe(0xff);
    assignResources(pci, READY);
    expect(ports.read(0xc000, 1)).toBe(0xaa);
  });
});

it("survives anything read and written", () => {
  readWriteEverything(() => ({ ranges: [[machine().pci, 8]] }));
});
