import type { EntropySource } from "../../core/backends.ts";
import type { DescriptorChain } from "./descriptor-chain.ts";
import {
  COMMON_FEATURES,
  DEVICE_ID,
  type VirtioDevice,
  type VirtioDriver,
} from "./virtio-device.ts";

const QUEUE_SIZE = 64;
/** Bytes a buffer gets at most: a driver takes what it gets and asks again (virtio 1.2 §5.4.6). */
const BYTES_AT_A_TIME = 4096;

/** Entropy device (virtio 1.2 §5.4): fills buffers with random bytes. It has no configuration. */
export class VirtioEntropy implements VirtioDevice {
  readonly deviceId = DEVICE_ID.ENTROPY;
  readonly features = COMMON_FEATURES;
  readonly queueSizes = [QUEUE_SIZE];
  readonly stats = { bytes: 0 };
  readonly #source: EntropySource;
  #driver: VirtioDriver | undefined;

  constructor(source: EntropySource) {
    this.#source = source;
  }

  readConfig(): number {
    return 0;
  }

  writeConfig(): void {}

  activate(driver: VirtioDriver): void {
    this.#driver = driver;
  }

  /** At most a queue's worth of buffers at a time, which is all that a driver can have waiting. */
  notify(queueIndex: number): void {
    const driver = this.#driver;
    const queue = driver?.queues[queueIndex];
    if (driver === undefined || queue === undefined) return;
    for (let budget = queue.size; budget > 0; budget--) {
      const chain = queue.pop();
      if (chain === undefined) break;
      queue.push(chain, this.#fill(chain));
    }
    driver.used(queue);
  }

  reset(): void {
    this.#driver = undefined;
  }

  /** @returns bytes written */
  #fill(chain: DescriptorChain): number {
    const length = Math.min(chain.writableLength, BYTES_AT_A_TIME);
    const bytes = new Uint8Array(length);
    this.#source.fill(bytes);
    chain.write(0, bytes);
    this.stats.bytes += length;
    return length;
  }
}
