import type { ConsoleBackend } from "../../core/backends.ts";
import type { DescriptorChain } from "./descriptor-chain.ts";
import {
  COMMON_FEATURES,
  DEVICE_ID,
  type VirtioDevice,
  type VirtioDriver,
} from "./virtio-device.ts";

/** Queues of port 0 (virtio 1.2 §5.3.2). */
const RECEIVE_QUEUE = 0;
const TRANSMIT_QUEUE = 1;
const QUEUE_SIZE = 64;
/** Bytes taken out of a buffer at a time. */
const PIECE = 4096;

/**
 * Console device (virtio 1.2 §5.3) with its one port. No feature is offered, so there is no
 * configuration to read. Bytes from the host wait until the driver has room for them.
 */
export class VirtioConsole implements VirtioDevice {
  readonly deviceId = DEVICE_ID.CONSOLE;
  readonly features = COMMON_FEATURES;
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE];
  readonly #backend: ConsoleBackend;
  #driver: VirtioDriver | undefined;
  /** From the host, oldest first. */
  #waiting: Uint8Array[] = [];

  constructor(backend: ConsoleBackend) {
    this.#backend = backend;
    backend.connect((bytes) => this.#receive(bytes));
  }

  /** Whether a driver is there. */
  get inUse(): boolean {
    return this.#driver !== undefined;
  }

  readConfig(): number {
    return 0;
  }

  writeConfig(): void {}

  activate(driver: VirtioDriver): void {
    this.#driver = driver;
  }

  notify(queueIndex: number): void {
    if (queueIndex === TRANSMIT_QUEUE) this.#transmitAll();
    else this.#deliver();
  }

  reset(): void {
    this.#driver = undefined;
  }

  #receive(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#waiting.push(bytes.slice());
    try {
      this.#deliver();
    } catch (error) {
      this.#driver?.fail(error);
    }
  }

  /** Fills as many buffers as there are bytes for. */
  #deliver(): void {
    const driver = this.#driver;
    const queue = driver?.queues[RECEIVE_QUEUE];
    if (driver === undefined || queue === undefined) return;
    for (let budget = queue.size; budget > 0 && this.#waiting.length > 0; budget--) {
      const chain = queue.pop();
      if (chain === undefined) break;
      queue.push(chain, this.#fill(chain));
    }
    driver.used(queue);
  }

  /** @returns bytes written */
  #fill(chain: DescriptorChain): number {
    let written = 0;
    while (written < chain.writableLength) {
      const bytes = this.#waiting.shift();
      if (bytes === undefined) break;
      const part = bytes.subarray(0, chain.writableLength - written);
      chain.write(written, part);
      written += part.length;
      if (part.length < bytes.length) this.#waiting.unshift(bytes.subarray(part.length));
    }
    return written;
  }

  /** At most a queue's worth of buffers at a time, which is all that a driver can have waiting. */
  #transmitAll(): void {
    const driver = this.#driver;
    const queue = driver?.queues[TRANSMIT_QUEUE];
    if (driver === undefined || queue === undefined) return;
    for (let budget = queue.size; budget > 0; budget--) {
      const chain = queue.pop();
      if (chain === undefined) break;
      this.#transmit(chain);
      queue.push(chain, 0);
    }
    driver.used(queue);
  }

  #transmit(chain: DescriptorChain): void {
    for (let at = 0; at < chain.readableLength; at += PIECE) {
      const piece = new Uint8Array(Math.min(PIECE, chain.readableLength - at));
      chain.read(at, piece);
      for (const byte of piece) this.#backend.transmit(byte);
    }
  }
}
