import { Bus } from "../../src/core/bus.ts";
import type { GuestError, HostError } from "../../src/core/errors.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { assignResources } from "../../src/devices/pci/firmware.ts";
import { PciBus } from "../../src/devices/pci/pci-bus.ts";
import type { VirtioDevice } from "../../src/devices/virtio/virtio-device.ts";
import { VirtioPci } from "../../src/devices/virtio/virtio-pci.ts";
import { FakeDriver } from "./fake-driver.ts";
import { ModernDriver } from "./modern-driver.ts";

export const SLOT = 3;
export const IO_BASE = 0xc000;
export const MEMORY_BASE = 0xfe00_0000;

/** One virtio device on a PCI bus, with memory and a driver to play with. */
export class VirtioRig {
  readonly memory: GuestMemory;
  readonly ports = new Bus("port");
  readonly pci = new PciBus({ read: () => 0, write: () => {} });
  readonly reports: (GuestError | HostError)[] = [];
  readonly mmio = new Bus("memory");
  /** What MSI-X sent: address and data. */
  readonly messages: (readonly [number, number])[] = [];
  readonly fn: VirtioPci;
  /** By the legacy interface. */
  readonly driver: FakeDriver;
  /** By that of virtio 1.0 and later. */
  readonly modern: ModernDriver;
  /** The level of INTA. */
  irq = false;

  constructor(device: VirtioDevice, memoryBytes = 1 << 20) {
    this.memory = new GuestMemory(new ArrayBuffer(memoryBytes));
    this.ports.claim(0xcf8, 8, this.pci);
    this.fn = new VirtioPci({
      device,
      memory: this.memory,
      ports: this.ports,
      mmio: this.mmio,
      sendMessage: (address, data) => this.messages.push([address, data]),
      irq: {
        set: (level) => {
          this.irq = level;
        },
      },
      report: (error) => this.reports.push(error),
    });
    this.pci.plug(SLOT, this.fn);
    this.assignResources();
    this.driver = new FakeDriver(this.ports, this.memory, SLOT);
    this.modern = new ModernDriver(this.driver.pci, this.mmio, this.memory, SLOT);
  }

  assignResources(): void {
    assignResources(this.pci, {
      ioBase: IO_BASE,
      memoryBase: MEMORY_BASE,
      interruptLine: 11,
    });
  }
}
