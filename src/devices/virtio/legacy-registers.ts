import { type AccessSize, type BusDevice, readBytewise, writeBytewise } from "../../core/device.ts";
import { type RegisterHandlers, RegisterMap, type RegisterSpec } from "../../core/register-map.ts";
import { PAGE_SIZE } from "../../core/units.ts";
import type { Msix } from "../pci/msix.ts";
import type { PciInterrupts } from "./pci-interrupts.ts";
import type { VirtioDevice } from "./virtio-device.ts";
import type { VirtioTransport } from "./virtio-transport.ts";
import type { QueueLayout } from "./virtqueue.ts";

/** The legacy interface's header in BAR 0 (virtio 1.2 §4.1.4.10). */
const HEADER_LAYOUT = [
  { name: "DEVICE_FEATURES", offset: 0, size: 4 },
  { name: "DRIVER_FEATURES", offset: 4, size: 4 },
  { name: "QUEUE_PFN", offset: 8, size: 4 },
  { name: "QUEUE_SIZE", offset: 12, size: 2 },
  { name: "QUEUE_SELECT", offset: 14, size: 2 },
  { name: "QUEUE_NOTIFY", offset: 16, size: 2 },
  { name: "DEVICE_STATUS", offset: 18, size: 1 },
  { name: "ISR_STATUS", offset: 19, size: 1 },
  { name: "CONFIG_MSIX_VECTOR", offset: 20, size: 2 },
  { name: "QUEUE_MSIX_VECTOR", offset: 22, size: 2 },
] as const satisfies readonly RegisterSpec[];
/** Behind it the device's own configuration: the vectors are there while MSI-X is enabled. */
const HEADER_LENGTH = 20;
const HEADER_LENGTH_MSIX = 24;

/** Where a legacy queue's parts lie: contiguous, the used ring on a page of its own (§2.7.2). */
const legacyLayout = (pageFrame: number, size: number): QueueLayout => {
  const descriptors = pageFrame * PAGE_SIZE;
  const available = descriptors + 16 * size;
  const used = Math.ceil((available + 6 + 2 * size) / PAGE_SIZE) * PAGE_SIZE;
  return { descriptors, available, used };
};

export interface RegistersOptions {
  readonly device: VirtioDevice;
  readonly transport: VirtioTransport;
  readonly interrupts: PciInterrupts;
  readonly msix: Msix;
}

/** The ports of a virtio device's legacy interface (virtio 1.2 §4.1.4.10, virtio 0.9.5). */
export class LegacyRegisters implements BusDevice {
  /** Ports. */
  readonly length = 64;
  readonly #options: RegistersOptions;
  readonly #header: RegisterMap<typeof HEADER_LAYOUT>;
  readonly #pageFrames: Uint32Array;
  #selected = 0;

  constructor(options: RegistersOptions) {
    this.#options = options;
    this.#pageFrames = new Uint32Array(options.device.queueSizes.length);
    this.#header = new RegisterMap(HEADER_LAYOUT, this.#handlers(), HEADER_LENGTH_MSIX);
  }

  read(offset: number, size: AccessSize): number {
    const header = this.#headerLength;
    if (offset >= header) return this.#options.device.readConfig(offset - header, size);
    if (offset + size > header) return readBytewise(this, offset, size);
    return this.#header.read(offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    const header = this.#headerLength;
    if (offset >= header) this.#options.device.writeConfig(offset - header, size, value);
    else if (offset + size > header) writeBytewise(this, offset, size, value);
    else this.#header.write(offset, size, value);
  }

  reset(): void {
    this.#selected = 0;
    this.#pageFrames.fill(0);
  }

  get #headerLength(): number {
    return this.#options.msix.enabled ? HEADER_LENGTH_MSIX : HEADER_LENGTH;
  }

  #handlers(): RegisterHandlers<typeof HEADER_LAYOUT> {
    const { device, transport, interrupts } = this.#options;
    return {
      DEVICE_FEATURES: { read: () => device.features },
      DRIVER_FEATURES: {
        read: () => transport.features,
        write: (value) => transport.acceptLegacyFeatures(value),
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
        write: (value) => transport.writeLegacyStatus(value),
      },
      ISR_STATUS: { read: () => interrupts.readStatus() },
      CONFIG_MSIX_VECTOR: {
        read: () => interrupts.configVector,
        write: (value) => {
          interrupts.configVector = value;
        },
      },
      QUEUE_MSIX_VECTOR: {
        read: () => interrupts.queueVector(this.#selected),
        write: (value) => interrupts.setQueueVector(this.#selected, value),
      },
    };
  }

  /** @param pageFrame 0 takes the queue out of use */
  #placeQueue(pageFrame: number): void {
    const { transport } = this.#options;
    const queue = transport.queues[this.#selected];
    if (queue === undefined) return;
    this.#pageFrames[this.#selected] = pageFrame;
    if (pageFrame === 0) queue.remove();
    else transport.placeQueue(queue, legacyLayout(pageFrame, queue.size));
  }
}
