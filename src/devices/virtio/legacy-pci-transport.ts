import type { Bus } from "../../core/bus.ts";
import { type AccessSize, type BusDevice, readBytewise, writeBytewise } from "../../core/device.ts";
import type { GuestError, HostError } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import { type RegisterHandlers, RegisterMap, type RegisterSpec } from "../../core/register-map.ts";
import { PAGE_SIZE } from "../../core/units.ts";
import { ConfigSpace } from "../pci/config-space.ts";
import { IoBar } from "../pci/io-bar.ts";
import type { PciFunction } from "../pci/pci-bus.ts";
import { DEVICE_ID, type VirtioDevice, type VirtioDeviceId } from "./virtio-device.ts";
import { VirtioTransport } from "./virtio-transport.ts";
import type { QueueLayout } from "./virtqueue.ts";

/** PCI vendor of all virtio devices, and the device ID of the first legacy type (§4.1.2). */
const VIRTIO_VENDOR = 0x1af4;
const LEGACY_DEVICE_BASE = 0x1000;
const INTA = 1;

interface DeviceType {
  readonly name: string;
  readonly classCode: number;
}

const DEVICE_TYPES: Readonly<Record<VirtioDeviceId, DeviceType>> = {
  [DEVICE_ID.NETWORK]: { name: "virtio-net", classCode: 0x02_00_00 },
  [DEVICE_ID.BLOCK]: { name: "virtio-blk", classCode: 0x01_00_00 },
};

/** The legacy interface's header in BAR 0, without MSI-X (virtio 1.2 §4.1.4.10). */
const HEADER_LAYOUT = [
  { name: "DEVICE_FEATURES", offset: 0, size: 4 },
  { name: "DRIVER_FEATURES", offset: 4, size: 4 },
  { name: "QUEUE_PFN", offset: 8, size: 4 },
  { name: "QUEUE_SIZE", offset: 12, size: 2 },
  { name: "QUEUE_SELECT", offset: 14, size: 2 },
  { name: "QUEUE_NOTIFY", offset: 16, size: 2 },
  { name: "DEVICE_STATUS", offset: 18, size: 1 },
  { name: "ISR_STATUS", offset: 19, size: 1 },
] as const satisfies readonly RegisterSpec[];
/** Behind it the device's own configuration. */
const HEADER_LENGTH = 20;
const BAR_LENGTH = 64;

/** Where a legacy queue's parts lie: contiguous, the used ring on a page of its own (§2.7.2). */
const legacyLayout = (pageFrame: number, size: number): QueueLayout => {
  const descriptors = pageFrame * PAGE_SIZE;
  const available = descriptors + 16 * size;
  const used = Math.ceil((available + 6 + 2 * size) / PAGE_SIZE) * PAGE_SIZE;
  return { descriptors, available, used };
};

export interface LegacyVirtioPciOptions {
  readonly device: VirtioDevice;
  readonly memory: GuestMemory;
  /** The bus on which BAR 0 claims its ports. */
  readonly ports: Bus;
  /** INTA. */
  readonly irq: IrqLine;
  /** See {@link VirtioTransport}. */
  readonly report: (error: GuestError | HostError) => void;
}

/**
 * A virtio device as a PCI function with the legacy interface (virtio 1.2 §4.1.4.10, virtio
 * 0.9.5), interrupting by INTA. As a bus device it is the ports of BAR 0.
 *
 * The bus master bit of the command register does not gate DMA: firmware sets it, and drivers of
 * old (Linux before 2.6.34) write the register without it.
 */
export class LegacyVirtioPci implements PciFunction, BusDevice {
  readonly config: ConfigSpace;
  readonly ioBars: readonly IoBar[];
  readonly #device: VirtioDevice;
  readonly #transport: VirtioTransport;
  readonly #header: RegisterMap<typeof HEADER_LAYOUT>;
  readonly #pageFrames: Uint32Array;
  #selected = 0;

  constructor(options: LegacyVirtioPciOptions) {
    const { device, ports } = options;
    const { name, classCode } = DEVICE_TYPES[device.deviceId];
    this.#device = device;
    this.#transport = new VirtioTransport({ ...options, name });
    this.#pageFrames = new Uint32Array(device.queueSizes.length);
    this.#header = new RegisterMap(HEADER_LAYOUT, this.#handlers(), HEADER_LENGTH);
    this.config = new ConfigSpace({
      vendor: VIRTIO_VENDOR,
      device: LEGACY_DEVICE_BASE + device.deviceId - 1,
      classCode,
      subsystemVendor: VIRTIO_VENDOR,
      subsystem: device.deviceId,
      interruptPin: INTA,
    });
    this.ioBars = [new IoBar(this.config, 0, BAR_LENGTH, ports, this)];
  }

  /** What happened since the start. */
  get stats(): Readonly<VirtioTransport["stats"]> {
    return this.#transport.stats;
  }

  read(offset: number, size: AccessSize): number {
    if (offset >= HEADER_LENGTH) return this.#device.readConfig(offset - HEADER_LENGTH, size);
    if (offset + size > HEADER_LENGTH) return readBytewise(this, offset, size);
    return this.#header.read(offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset >= HEADER_LENGTH) this.#device.writeConfig(offset - HEADER_LENGTH, size, value);
    else if (offset + size > HEADER_LENGTH) writeBytewise(this, offset, size, value);
    else this.#header.write(offset, size, value);
  }

  reset(): void {
    this.config.reset();
    this.#resetDevice();
  }

  #handlers(): RegisterHandlers<typeof HEADER_LAYOUT> {
    const transport = this.#transport;
    return {
      DEVICE_FEATURES: { read: () => this.#device.features },
      DRIVER_FEATURES: {
        read: () => transport.features,
        write: (value) => transport.acceptFeatures(value),
      },
      QUEUE_PFN: {
        read: () => this.#pageFrames[this.#selected] ?? 0,
        write: (value) => this.#placeQueue(value),
      },
      QUEUE_SIZE: { read: () => transport.queues[this.#selected]?.size ?? 0 },
      QUEUE_SELECT: {
        read: () => this.#selected,
        write: (value) => {
          this.#selected = value;
        },
      },
      QUEUE_NOTIFY: { read: () => 0, write: (value) => transport.notify(value) },
      DEVICE_STATUS: {
        read: () => transport.status,
        write: (value) => (value === 0 ? this.#resetDevice() : transport.writeStatus(value)),
      },
      ISR_STATUS: { read: () => transport.readInterruptStatus() },
    };
  }

  /** @param pageFrame 0 takes the queue out of use */
  #placeQueue(pageFrame: number): void {
    const queue = this.#transport.queues[this.#selected];
    if (queue === undefined) return;
    this.#pageFrames[this.#selected] = pageFrame;
    if (pageFrame === 0) queue.remove();
    else this.#transport.placeQueue(queue, legacyLayout(pageFrame, queue.size));
  }

  #resetDevice(): void {
    this.#selected = 0;
    this.#pageFrames.fill(0);
    this.#transport.reset();
  }
}
