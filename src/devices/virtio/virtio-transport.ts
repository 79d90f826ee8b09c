import { GuestError, type HostError } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import { DeviceStatus, STATUS } from "./status.ts";
import type { VirtioDevice, VirtioDriver } from "./virtio-device.ts";
import { type QueueLayout, Virtqueue } from "./virtqueue.ts";

/** ISR status: a queue was used, the configuration or the device status changed (§4.1.4.5). */
const ISR_QUEUE = 1;
const ISR_CONFIGURATION = 2;

export interface TransportOptions {
  readonly device: VirtioDevice;
  readonly memory: GuestMemory;
  readonly irq: IrqLine;
  /**
   * Told of a driver that broke the rules, once until it resets the device, and of a host that
   * fails the device, once for good.
   */
  readonly report: (error: GuestError | HostError) => void;
  /** For messages, for example `virtio-net`. */
  readonly name: string;
}

/**
 * What every transport has in common: the status machine, the queues, the interrupt and what
 * happens to a driver that breaks the rules. A transport puts its registers in front of it.
 * No method throws because of what a guest did.
 */
export class VirtioTransport implements VirtioDriver {
  readonly queues: readonly Virtqueue[];
  readonly stats = { notifies: 0, interrupts: 0 };
  readonly #device: VirtioDevice;
  readonly #irq: IrqLine;
  readonly #report: (error: GuestError | HostError) => void;
  readonly #status = new DeviceStatus();
  #features = 0;
  #active = false;
  #isr = 0;
  #hostErrorReported = false;

  constructor(options: TransportOptions) {
    this.#device = options.device;
    this.#irq = options.irq;
    this.#report = options.report;
    this.queues = options.device.queueSizes.map(
      (size, index) => new Virtqueue(options.memory, size, `${options.name} queue ${index}`),
    );
  }

  get features(): number {
    return this.#features;
  }

  /** Takes those that the device offers; a legacy driver learns of the others by reading back. */
  acceptFeatures(features: number): void {
    this.#features = (features & this.#device.features) >>> 0;
    for (const queue of this.queues) queue.setFeatures(this.#features);
  }

  get status(): number {
    return this.#status.value;
  }

  writeStatus(value: number): void {
    switch (this.#status.write(value)) {
      case "resets":
        this.reset();
        break;
      case "ready":
        this.#activate();
        break;
      case "gave-up":
        this.#stop();
        break;
      case "sets-up":
        break;
    }
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
   * to be served (virtio 1.2 §3.1.2).
   */
  notify(queueIndex: number): void {
    this.stats.notifies++;
    if (!this.#status.working || this.queues[queueIndex]?.ready !== true) return;
    this.#activate();
    try {
      this.#device.notify(queueIndex);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Reading clears it and takes the interrupt back. */
  readInterruptStatus(): number {
    const isr = this.#isr;
    this.#isr = 0;
    this.#irq.set(false);
    return isr;
  }

  used(queue: Virtqueue): void {
    if (queue.interruptWanted()) this.#interrupt(ISR_QUEUE);
  }

  fail(error: unknown): void {
    if (!(error instanceof GuestError)) throw error;
    const first = this.#status.working;
    this.#status.requireReset();
    this.#stop();
    if ((this.status & STATUS.DRIVER_OK) !== 0) this.#interrupt(ISR_CONFIGURATION);
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
    for (const queue of this.queues) queue.remove();
    this.acceptFeatures(0);
    this.readInterruptStatus();
  }

  #activate(): void {
    if (this.#active) return;
    this.#active = true;
    this.#device.activate(this);
  }

  #stop(): void {
    this.#active = false;
    this.#device.reset();
  }

  #interrupt(cause: number): void {
    this.stats.interrupts++;
    this.#isr |= cause;
    this.#irq.set(true);
  }
}
