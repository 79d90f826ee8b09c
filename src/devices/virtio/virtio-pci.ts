import { Bus } from "../../core/bus.ts";
import type { GuestError, HostError } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import { BaseAddress } from "../pci/base-address.ts";
import type { ConfigSpace } from "../pci/config-space.ts";
import { Msix, type SendMessage } from "../pci/msix.ts";
import type { PciFunction } from "../pci/pci-bus.ts";
import { LegacyRegisters } from "./legacy-registers.ts";
import { COMMON_LENGTH, ModernRegisters, NOTIFY_OFF_MULTIPLIER } from "./modern-registers.ts";
import { PciInterrupts } from "./pci-interrupts.ts";
import { addVirtioCapabilities, VirtioConfigSpace } from "./virtio-config-space.ts";
import { DEVICE_ID, type VirtioDevice, type VirtioDeviceId } from "./virtio-device.ts";
import { VirtioTransport } from "./virtio-transport.ts";

/** PCI vendor of all virtio devices (virtio 1.2 §4.1.2). */
const VIRTIO_VENDOR = 0x1af4;
const INTA = 1;

interface DeviceType {
  readonly name: string;
  /** As a transitional device (§4.1.2.3). */
  readonly pciDevice: number;
  readonly classCode: number;
}

const DEVICE_TYPES: Readonly<Record<VirtioDeviceId, DeviceType>> = {
  [DEVICE_ID.NETWORK]: { name: "virtio-net", pciDevice: 0x1000, classCode: 0x02_00_00 },
  [DEVICE_ID.BLOCK]: { name: "virtio-blk", pciDevice: 0x1001, classCode: 0x01_00_00 },
  [DEVICE_ID.CONSOLE]: { name: "virtio-console", pciDevice: 0x1003, classCode: 0x07_80_00 },
  [DEVICE_ID.ENTROPY]: { name: "virtio-rng", pciDevice: 0x1005, classCode: 0xff_00_00 },
};

/** The legacy interface's ports. */
const LEGACY_BAR = 0;
/** Everything else, in memory. MSI-X and notifications have pages of their own. */
const MEMORY_BAR = 1;
const MEMORY_BAR_LENGTH = 0x4000;
const COMMON_OFFSET = 0;
const ISR_OFFSET = 0x400;
const DEVICE_OFFSET = 0x800;
const DEVICE_LENGTH = 0x800;
const NOTIFY_OFFSET = 0x1000;
const MSIX_TABLE_OFFSET = 0x2000;
const MSIX_PENDING_OFFSET = 0x3000;
const PAGE = 0x1000;

export interface VirtioPciOptions {
  readonly device: VirtioDevice;
  readonly memory: GuestMemory;
  /** The buses on which the BARs claim their ranges. */
  readonly ports: Bus;
  readonly mmio: Bus;
  /** INTA. */
  readonly irq: IrqLine;
  /** Where MSI-X sends its messages. */
  readonly sendMessage: SendMessage;
  /** See {@link VirtioTransport}. */
  readonly report: (error: GuestError | HostError) => void;
}

/**
 * A virtio device as a PCI function: a transitional one (virtio 1.2 §4.1), which drivers of virtio
 * 1.0 and later find by its capabilities and those before it by BAR 0.
 *
 * The bus master bit of the command register does not gate DMA: firmware sets it, and drivers of
 * old (Linux before 2.6.34) write the register without it.
 */
export class VirtioPci implements PciFunction {
  readonly config: ConfigSpace;
  readonly bars: readonly BaseAddress[];
  readonly legacy: LegacyRegisters;
  readonly #modern: ModernRegisters;
  readonly #transport: VirtioTransport;
  readonly #interrupts: PciInterrupts;
  readonly #msix: Msix;

  describe(): readonly string[] {
    return this.#transport.describe();
  }

  constructor(options: VirtioPciOptions) {
    const { device, ports, mmio, irq, sendMessage } = options;
    const { name, pciDevice, classCode } = DEVICE_TYPES[device.deviceId];
    const queues = device.queueSizes.length;
    const registers = new Bus(name);
    const config = new VirtioConfigSpace(
      {
        vendor: VIRTIO_VENDOR,
        device: pciDevice,
        classCode,
        subsystemVendor: VIRTIO_VENDOR,
        subsystem: device.deviceId,
        interruptPin: INTA,
      },
      { bar: MEMORY_BAR, length: MEMORY_BAR_LENGTH, registers },
    );
    this.config = config;
    this.#msix = new Msix({
      config,
      // One a queue, and one for the configuration.
      vectors: queues + 1,
      bar: MEMORY_BAR,
      tableOffset: MSIX_TABLE_OFFSET,
      pendingOffset: MSIX_PENDING_OFFSET,
      send: sendMessage,
    });
    this.#interrupts = new PciInterrupts({ config, msix: this.#msix, intx: irq, queues });
    this.#transport = new VirtioTransport({ ...options, name, interrupts: this.#interrupts });
    const parts = {
      device,
      transport: this.#transport,
      interrupts: this.#interrupts,
      msix: this.#msix,
    };
    this.legacy = new LegacyRegisters(parts);
    this.#modern = new ModernRegisters(parts);
    this.#transport.onReset = () => {
      this.legacy.reset();
      this.#modern.reset();
    };

    const notifyLength = queues * NOTIFY_OFF_MULTIPLIER;
    addVirtioCapabilities(config, MEMORY_BAR, {
      common: { offset: COMMON_OFFSET, length: COMMON_LENGTH },
      notify: { offset: NOTIFY_OFFSET, length: notifyLength, multiplier: NOTIFY_OFF_MULTIPLIER },
      isr: { offset: ISR_OFFSET, length: 1 },
      device: { offset: DEVICE_OFFSET, length: DEVICE_LENGTH },
    });
    registers.claim(COMMON_OFFSET, COMMON_LENGTH, this.#modern.common);
    registers.claim(ISR_OFFSET, 1, this.#modern.isr);
    registers.claim(DEVICE_OFFSET, DEVICE_LENGTH, this.#modern.device);
    registers.claim(NOTIFY_OFFSET, notifyLength, this.#modern.notify);
    registers.claim(MSIX_TABLE_OFFSET, PAGE, this.#msix.table);
    registers.claim(MSIX_PENDING_OFFSET, PAGE, this.#msix.pendingBits);
    this.bars = [
      new BaseAddress({
        ...{ config, index: LEGACY_BAR, space: "io", length: this.legacy.length },
        ...{ bus: ports, device: this.legacy },
      }),
      new BaseAddress({
        ...{ config, index: MEMORY_BAR, space: "memory", length: MEMORY_BAR_LENGTH },
        ...{ bus: mmio, device: registers },
      }),
    ];
  }

  /** What happened since the start. */
  get stats(): Readonly<VirtioTransport["stats"]> {
    return this.#transport.stats;
  }

  configWritten(): void {
    this.#msix.update();
    this.#interrupts.updateIntx();
  }

  reset(): void {
    this.config.reset();
    this.#msix.reset();
    this.#transport.reset();
  }
}
