import type { AccessSize, BusDevice } from "../../core/device.ts";
import { type RegisterHandlers, RegisterMap, type RegisterSpec } from "../../core/register-map.ts";
import type { RegistersOptions } from "./legacy-registers.ts";
import type { Virtqueue } from "./virtqueue.ts";

/**
 * `virtio_pci_common_cfg` (virtio 1.2 §4.1.4.3), addresses of 64 bits in two halves. What follows
 * QUEUE_DEVICE belongs to features that are not offered.
 */
const COMMON_LAYOUT = [
  { name: "DEVICE_FEATURE_SELECT", offset: 0x00, size: 4 },
  { name: "DEVICE_FEATURE", offset: 0x04, size: 4 },
  { name: "DRIVER_FEATURE_SELECT", offset: 0x08, size: 4 },
  { name: "DRIVER_FEATURE", offset: 0x0c, size: 4 },
  { name: "CONFIG_MSIX_VECTOR", offset: 0x10, size: 2 },
  { name: "NUM_QUEUES", offset: 0x12, size: 2 },
  { name: "DEVICE_STATUS", offset: 0x14, size: 1 },
  { name: "CONFIG_GENERATION", offset: 0x15, size: 1 },
  { name: "QUEUE_SELECT", offset: 0x16, size: 2 },
  { name: "QUEUE_SIZE", offset: 0x18, size: 2 },
  { name: "QUEUE_MSIX_VECTOR", offset: 0x1a, size: 2 },
  { name: "QUEUE_ENABLE", offset: 0x1c, size: 2 },
  { name: "QUEUE_NOTIFY_OFF", offset: 0x1e, size: 2 },
  { name: "QUEUE_DESC", offset: 0x20, size: 4 },
  { name: "QUEUE_DESC_HIGH", offset: 0x24, size: 4 },
  { name: "QUEUE_DRIVER", offset: 0x28, size: 4 },
  { name: "QUEUE_DRIVER_HIGH", offset: 0x2c, size: 4 },
  { name: "QUEUE_DEVICE", offset: 0x30, size: 4 },
  { name: "QUEUE_DEVICE_HIGH", offset: 0x34, size: 4 },
] as const satisfies readonly RegisterSpec[];
export const COMMON_LENGTH = 0x38;

/** Doublewords of addresses a queue: descriptor table, available and used ring. */
const ADDRESS_WORDS = 6;
const DESC = 0;
const DRIVER = 2;
const DEVICE = 4;

/** From one queue's notification address to the next (§4.1.4.4). */
export const NOTIFY_OFF_MULTIPLIER = 4;

/** The registers of virtio 1.0 and later (virtio 1.2 §4.1.4), each structure a bus device. */
export class ModernRegisters {
  readonly common: BusDevice;
  readonly isr: BusDevice;
  readonly notify: BusDevice;
  readonly device: BusDevice;
  readonly #options: RegistersOptions;
  readonly #addresses: Uint32Array;
  #selected = 0;
  #deviceFeatureSelect = 0;
  #driverFeatureSelect = 0;

  constructor(options: RegistersOptions) {
    this.#options = options;
    const { device, interrupts, transport } = options;
    this.#addresses = new Uint32Array(device.queueSizes.length * ADDRESS_WORDS);
    this.common = new RegisterMap(COMMON_LAYOUT, this.#handlers(), COMMON_LENGTH);
    this.isr = { read: () => interrupts.readStatus(), write: () => {} };
    this.notify = {
      read: () => 0,
      write: (offset) => transport.notify(Math.floor(offset / NOTIFY_OFF_MULTIPLIER)),
    };
    this.device = {
      read: (offset: number, size: AccessSize) => device.readConfig(offset, size),
      write: () => {},
    };
  }

  reset(): void {
    this.#selected = 0;
    this.#deviceFeatureSelect = 0;
    this.#driverFeatureSelect = 0;
    this.#addresses.fill(0);
  }

  get #queue(): Virtqueue | undefined {
    return this.#options.transport.queues[this.#selected];
  }

  #handlers(): RegisterHandlers<typeof COMMON_LAYOUT> {
    const { device, transport, interrupts } = this.#options;
    return {
      DEVICE_FEATURE_SELECT: {
        read: () => this.#deviceFeatureSelect,
        write: (value) => {
          this.#deviceFeatureSelect = value;
        },
      },
      DEVICE_FEATURE: { read: () => transport.offeredFeatures(this.#deviceFeatureSelect) },
      DRIVER_FEATURE_SELECT: {
        read: () => this.#driverFeatureSelect,
        write: (value) => {
          this.#driverFeatureSelect = value;
        },
      },
      DRIVER_FEATURE: {
        read: () => transport.chosenFeatures(this.#driverFeatureSelect),
        write: (value) => transport.chooseFeatures(this.#driverFeatureSelect, value),
      },
      CONFIG_MSIX_VECTOR: {
        read: () => interrupts.configVector,
        write: (value) => {
          interrupts.configVector = value;
        },
      },
      NUM_QUEUES: { read: () => device.queueSizes.length },
      DEVICE_STATUS: {
        read: () => transport.status,
        write: (value) => transport.writeStatus(value),
      },
      // No device's configuration changes while a driver looks at it.
      CONFIG_GENERATION: { read: () => 0 },
      QUEUE_SELECT: {
        read: () => this.#selected,
        write: (value) => {
          this.#selected = value;
        },
      },
      QUEUE_SIZE: {
        read: () => this.#queue?.size ?? 0,
        write: (value) => this.#queue?.resize(value),
      },
      QUEUE_MSIX_VECTOR: {
        read: () => interrupts.queueVector(this.#selected),
        write: (value) => interrupts.setQueueVector(this.#selected, value),
      },
      QUEUE_ENABLE: {
        read: () => (this.#queue?.ready === true ? 1 : 0),
        write: (value) => this.#enable(value),
      },
      QUEUE_NOTIFY_OFF: { read: () => (this.#queue === undefined ? 0 : this.#selected) },
      QUEUE_DESC: this.#addressWord(DESC),
      QUEUE_DESC_HIGH: this.#addressWord(DESC + 1),
      QUEUE_DRIVER: this.#addressWord(DRIVER),
      QUEUE_DRIVER_HIGH: this.#addressWord(DRIVER + 1),
      QUEUE_DEVICE: this.#addressWord(DEVICE),
      QUEUE_DEVICE_HIGH: this.#addressWord(DEVICE + 1),
    };
  }

  #addressWord(word: number) {
    return {
      read: () => this.#word(word),
      write: (value: number) => {
        if (this.#queue !== undefined) {
          this.#addresses[this.#selected * ADDRESS_WORDS + word] = value;
        }
      },
    };
  }

  #word(word: number): number {
    return this.#addresses[this.#selected * ADDRESS_WORDS + word] ?? 0;
  }

  #address(word: number): number {
    return this.#word(word) + this.#word(word + 1) * 2 ** 32;
  }

  /** A queue is enabled once, and goes with a reset: a driver must not write 0 (§4.1.4.3.2). */
  #enable(value: number): void {
    const queue = this.#queue;
    if (value !== 1 || queue === undefined || queue.ready) return;
    this.#options.transport.placeQueue(queue, {
      descriptors: this.#address(DESC),
      available: this.#address(DRIVER),
      used: this.#address(DEVICE),
    });
  }
}
