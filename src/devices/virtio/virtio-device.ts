import type { AccessSize } from "../../core/device.ts";
import type { GuestError, HostError } from "../../core/errors.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** Device types (virtio 1.2 §5). */
export const DEVICE_ID = { NETWORK: 1, BLOCK: 2, CONSOLE: 3, ENTROPY: 4 } as const;
export type VirtioDeviceId = (typeof DEVICE_ID)[keyof typeof DEVICE_ID];

/** Feature bits 0 to 31 of the queues and the transport (virtio 1.2 §6 and §6.3). */
export const VIRTIO_F = {
  /** A device takes headers and data in descriptors of any size. Since 1.0 that is so anyhow. */
  ANY_LAYOUT: 1 << 27,
  RING_INDIRECT_DESC: 1 << 28,
  RING_EVENT_IDX: 1 << 29,
} as const;

/** Feature bits 32 to 63: the driver follows virtio 1.0 or later. */
export const VIRTIO_F_HIGH = { VERSION_1: 1 << 0 } as const;

/** What every device of ours offers. */
export const COMMON_FEATURES =
  VIRTIO_F.ANY_LAYOUT | VIRTIO_F.RING_INDIRECT_DESC | VIRTIO_F.RING_EVENT_IDX;

/** The driver, as a device sees it through whichever transport. */
export interface VirtioDriver {
  /** One for each entry of {@link VirtioDevice.queueSizes}. */
  readonly queues: readonly Virtqueue[];
  /** What the driver accepted of the features offered. A legacy driver may change it late. */
  readonly features: number;
  /** Whether it follows virtio 1.0 or later, not the legacy interface. */
  readonly version1: boolean;
  /** Buffers of `queue` were used: interrupts the driver if it wants to know. */
  used(queue: Virtqueue): void;
  /**
   * The driver broke the rules: the device is stopped ({@link VirtioDevice.reset}) until the
   * driver resets it. Rethrows what is not a {@link GuestError}.
   */
  fail(error: unknown): void;
  /** The host failed the device, which goes on. The user is told once. */
  report(error: HostError): void;
}

/**
 * A virtio device behind a transport. Methods that take buffers off a queue throw
 * {@link GuestError} `driver` when the driver broke the rules.
 */
export interface VirtioDevice {
  readonly deviceId: VirtioDeviceId;
  /** Feature bits 0 to 31 offered. */
  readonly features: number;
  /** Whether it can work with these of them together: with any, if it does not say. */
  accepts?(features: number): boolean;
  /** Entries of each queue, powers of two. */
  readonly queueSizes: readonly number[];
  /** @param offset into the device's configuration; beyond its end reads as zero */
  readConfig(offset: number, size: AccessSize): number;
  /** By a legacy driver only: no device of ours has anything for others to write. */
  writeConfig(offset: number, size: AccessSize, value: number): void;
  /**
   * The driver is ready. Called once between resets, before any {@link notify}. Buffers may be
   * waiting already.
   */
  activate(driver: VirtioDriver): void;
  /** The driver put buffers into the queue, which has its rings in place. */
  notify(queueIndex: number): void;
  /** Forgets the driver: its memory is not touched until the next {@link activate}. */
  reset(): void;
}
