import type { IrqLine } from "../../core/irq-line.ts";
import { COMMAND_INTX_DISABLE, type ConfigSpace } from "../pci/config-space.ts";
import type { Msix } from "../pci/msix.ts";
import type { VirtioInterrupts } from "./virtio-transport.ts";

/** ISR status: a queue was used, the configuration or the device status changed (§4.1.4.5). */
const ISR_QUEUE = 1;
const ISR_CONFIGURATION = 2;

/** No vector is assigned (§4.1.5.1.2). */
const VIRTIO_MSI_NO_VECTOR = 0xffff;

export interface PciInterruptsOptions {
  readonly config: ConfigSpace;
  readonly msix: Msix;
  /** INTA. */
  readonly intx: IrqLine;
  readonly queues: number;
}

/**
 * How a virtio device interrupts over PCI (virtio 1.2 §4.1.5): by INTA and the ISR status, or, once
 * the driver has enabled it, by MSI-X, with a vector for each cause.
 */
export class PciInterrupts implements VirtioInterrupts {
  readonly #options: PciInterruptsOptions;
  readonly #queueVectors: Uint16Array;
  #configVector = VIRTIO_MSI_NO_VECTOR;
  #isr = 0;

  constructor(options: PciInterruptsOptions) {
    this.#options = options;
    this.#queueVectors = new Uint16Array(options.queues).fill(VIRTIO_MSI_NO_VECTOR);
  }

  reset(): void {
    this.#configVector = VIRTIO_MSI_NO_VECTOR;
    this.#queueVectors.fill(VIRTIO_MSI_NO_VECTOR);
    this.readStatus();
  }

  queueUsed(queueIndex: number): void {
    this.#raise(ISR_QUEUE, this.queueVector(queueIndex));
  }

  configurationChanged(): void {
    this.#raise(ISR_CONFIGURATION, this.#configVector);
  }

  /** ISR status: reading clears it and takes the interrupt back. */
  readStatus(): number {
    const isr = this.#isr;
    this.#isr = 0;
    this.updateIntx();
    return isr;
  }

  /** Drives INTA as things are now. To be called when the configuration space was written. */
  updateIntx(): void {
    const { config, msix, intx } = this.#options;
    const allowed = !msix.enabled && (config.command & COMMAND_INTX_DISABLE) === 0;
    intx.set(this.#isr !== 0 && allowed);
  }

  get configVector(): number {
    return this.#configVector;
  }

  set configVector(vector: number) {
    this.#configVector = this.#assignable(vector);
  }

  queueVector(queueIndex: number): number {
    return this.#queueVectors[queueIndex] ?? VIRTIO_MSI_NO_VECTOR;
  }

  setQueueVector(queueIndex: number, vector: number): void {
    if (queueIndex < this.#queueVectors.length) {
      this.#queueVectors[queueIndex] = this.#assignable(vector);
    }
  }

  /** A driver that asks for a vector that is not there reads that it has none. */
  #assignable(vector: number): number {
    return vector < this.#options.msix.vectors ? vector : VIRTIO_MSI_NO_VECTOR;
  }

  #raise(cause: number, vector: number): void {
    const { msix } = this.#options;
    if (!msix.enabled) {
      this.#isr |= cause;
      this.updateIntx();
    } else if (vector !== VIRTIO_MSI_NO_VECTOR) {
      msix.signal(vector);
    }
  }
}
