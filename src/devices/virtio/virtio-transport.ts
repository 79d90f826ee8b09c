import { GuestError, type HostError } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { hex } from "../../core/units.ts";
import { DeviceStatus, type DriverState, STATUS } from "./status.ts";
import { VIRTIO_F, VIRTIO_F_HIGH, type VirtioDevice, type VirtioDriver } from "./virtio-device.ts";
import { type QueueLayout, Virtqueue } from "./virtqueue.ts";

/** Features that are not offered to drivers of virtio 1.0 and later. */
const LEGACY_FEATURES = VIRTIO_F.ANY_LAYOUT;

/** How a device interrupts its driver. */
export interface VirtioInterrupts {
  queueUsed(queueIndex: number): void;
  /** The configuration or the device status changed. */
  configurationChanged(): void;
  /** Nothing is pending, and every cause is unassigned. */
  reset(): void;
}

export interface TransportOptions {
  readonly device: VirtioDevice;
  readonly memory: GuestMemory;
  readonly interrupts: VirtioInterrupts;
  /**
   * Told of a driver that broke the rules, once until it resets the device, and of a host that
   * fails the device, once for good.
   */
  readonly report: (error: GuestError | HostError) => void;
  /** For messages, for example `virtio-net`. */
  readonly name: string;
}

/**
 * What every transport and both interfaces, legacy and modern, have in common: the status machine,
 * feature negotiation, the queues and what happens to a driver that breaks the rules. Registers are
 * put in front of it. No method throws because of what a guest did.
 */
export class VirtioTransport implements VirtioDriver {
  readonly queues: readonly Virtqueue[];
  readonly stats = { notifies: 0, interrupts: 0 };
  /** The device was reset: registers that select or address something go back to zero. */
  onReset: () => void = () => {};
  readonly #device: VirtioDevice;
  readonly #interrupts: VirtioInterrupts;
  readonly #report: (error: GuestError | HostError) => void;
  readonly #status = new DeviceStatus();
  #features = 0;
  #featuresHigh = 0;
  #active = false;
  /** Queues that a driver of virtio 1.0 or later spoke of before DRIVER_OK. */
  readonly #early = new Set<number>();
  #hostErrorReported = false;

  constructor(options: TransportOptions) {
    const { device, memory, name } = options;
    this.#device = device;
    this.#interrupts = options.interrupts;
    this.#report = options.report;
    this.queues = device.queueSizes.map((size, i) => new Virtqueue(memory, i, size, name));
  }

  get features(): number {
    return this.#features;
  }

  get version1(): boolean {
    return (this.#featuresHigh & VIRTIO_F_HIGH.VERSION_1) !== 0;
  }

  /** Takes those that the device offers; a legacy driver learns of the others by reading back. */
  acceptLegacyFeatures(features: number): void {
    this.#setFeatures((features & this.#device.features) >>> 0, 0);
  }

  /** Status and queues. */
  describe(): readonly string[] {
    const state = `status ${hex(this.status, 2)}, features ${hex(this.features)}`;
    return [
      `  ${state}, ${this.stats.notifies} notifications, ${this.stats.interrupts} interrupts`,
      ...this.queues.map((queue) => `  ${queue.describe()}`),
    ];
  }

  get status(): number {
    return this.#status.value;
  }

  /** By the legacy interface, whose drivers never heard of FEATURES_OK. */
  writeLegacyStatus(value: number): void {
    this.#changed(this.#status.write(value));
  }

  /**
   * What is offered by the modern interface.
   * @param half 0: feature bits 0 to 31, 1: bits 32 to 63; there are no more
   */
  offeredFeatures(half: number): number {
    if (half === 1) return VIRTIO_F_HIGH.VERSION_1;
    return half === 0 ? (this.#device.features & ~LEGACY_FEATURES) >>> 0 : 0;
  }

  /** What the driver chose by the modern interface. */
  chosenFeatures(half: number): number {
    if (half === 1) return this.#featuresHigh;
    return half === 0 ? this.#features : 0;
  }

  /** Not after FEATURES_OK (virtio 1.2 §3.1.1, step 6). */
  chooseFeatures(half: number, features: number): void {
    if ((this.status & STATUS.FEATURES_OK) !== 0) return;
    if (half === 0) this.#setFeatures(features, this.#featuresHigh);
    else if (half === 1) this.#setFeatures(this.#features, features);
  }

  /** By the modern interface. */
  writeStatus(value: number): void {
    this.#changed(this.#status.write(value, this.#featuresAgreed()));
  }

  /** Puts the rings of a queue into place. */
  placeQueue(queue: Virtqueue, layout: QueueLayout): void {
    try {
      queue.place(layout);
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * The driver put buffers into a queue. Legacy drivers do so before they set DRIVER_OK, and have
   * to be served (virtio 1.2 §3.1.2). Others must not, and are served when they have set it: the
   * virtio-rng of Linux 5.10 says nothing a second time.
   */
  notify(queueIndex: number): void {
    this.stats.notifies++;
    if (this.version1 && (this.status & STATUS.DRIVER_OK) === 0) {
      if (queueIndex < this.queues.length) this.#early.add(queueIndex);
      return;
    }
    this.#serve(queueIndex);
  }

  #serve(queueIndex: number): void {
    if (!this.#status.working || this.queues[queueIndex]?.ready !== true) return;
    this.#activate();
    try {
      this.#device.notify(queueIndex);
    } catch (error) {
      this.fail(error);
    }
  }

  used(queue: Virtqueue): void {
    if (!queue.interruptWanted()) return;
    this.stats.interrupts++;
    this.#interrupts.queueUsed(queue.index);
  }

  fail(error: unknown): void {
    if (!(error instanceof GuestError)) throw error;
    const first = this.#status.working;
    this.#status.requireReset();
    this.#stop();
    if ((this.status & STATUS.DRIVER_OK) !== 0) {
      this.stats.interrupts++;
      this.#interrupts.configurationChanged();
    }
    if (first) this.#report(error);
  }

  report(error: HostError): void {
    if (this.#hostErrorReported) return;
    this.#hostErrorReported = true;
    this.#report(error);
  }

  reset(): void {
    this.#status.write(0);
    this.#stop();
    for (const queue of this.queues) queue.reset();
    this.#setFeatures(0, 0);
    this.#interrupts.reset();
    this.onReset();
  }

  /**
   * Only what was offered and goes together. A driver that leaves out VERSION_1 has the legacy
   * layout behind the modern registers: a device may refuse that (virtio 1.2 §6.2), but LK's driver
   * does so, and others take it.
   */
  #featuresAgreed(): boolean {
    const strange = [0, 1].some(
      (half) => (this.chosenFeatures(half) & ~this.offeredFeatures(half)) !== 0,
    );
    return !strange && this.#device.accepts?.(this.#features) !== false;
  }

  #setFeatures(features: number, high: number): void {
    this.#features = features;
    this.#featuresHigh = high;
    for (const queue of this.queues) queue.setFeatures(features);
  }

  #changed(state: DriverState): void {
    switch (state) {
      case "resets":
        this.reset();
        break;
      case "ready":
        this.#activate();
        for (const queueIndex of this.#early) this.#serve(queueIndex);
        this.#early.clear();
        break;
      case "gave-up":
        this.#stop();
        break;
      case "sets-up":
        break;
    }
  }

  #activate(): void {
    if (this.#active) return;
    this.#active = true;
    this.#device.activate(this);
  }

  #stop(): void {
    this.#active = false;
    this.#early.clear();
    this.#device.reset();
  }
}
