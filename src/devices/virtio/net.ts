import type { NetBackend } from "../../core/backends.ts";
import type { AccessSize } from "../../core/device.ts";
import { assert, GuestError, HostError } from "../../core/errors.ts";
import { RegisterBytes } from "../../core/register-bytes.ts";
import {
  COMMON_FEATURES,
  DEVICE_ID,
  type VirtioDevice,
  type VirtioDriver,
} from "./virtio-device.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** Feature bits (virtio 1.2 §5.1.3). */
const VIRTIO_NET_F_MTU = 1 << 3;
const VIRTIO_NET_F_MAC = 1 << 5;
const VIRTIO_NET_F_STATUS = 1 << 16;

/** Device configuration (§5.1.4): MAC address, link status, and the MTU behind queue pairs. */
const CONFIG_MAC = 0;
const CONFIG_STATUS = 6;
const CONFIG_MTU = 10;
const CONFIG_LENGTH = 12;
const VIRTIO_NET_S_LINK_UP = 1;

/** Queues (§5.1.2). */
const RECEIVE_QUEUE = 0;
const TRANSMIT_QUEUE = 1;
const QUEUE_SIZE = 256;

/**
 * `virtio_net_hdr` (§5.1.6). No offload is offered, so its fields are zero both ways, but the last,
 * a frame's number of buffers. The legacy interface has that with mergeable buffers only.
 */
const PACKET_HEADER = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0);
const LEGACY_PACKET_HEADER = new Uint8Array(10);

const ETHERNET_HEADER_LENGTH = 14;
const VLAN_TAG_LENGTH = 4;

export interface VirtioNetOptions {
  readonly backend: NetBackend;
  /** Six bytes. */
  readonly mac: Uint8Array;
}

/** Network device (virtio 1.2 §5.1), one queue pair, no offloads. */
export class VirtioNet implements VirtioDevice {
  readonly deviceId = DEVICE_ID.NETWORK;
  readonly features = COMMON_FEATURES | VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MTU;
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE];
  /** In is towards the guest. Dropped: frames of a length that the other side cannot take. */
  readonly stats = { framesIn: 0, bytesIn: 0, framesOut: 0, bytesOut: 0, dropped: 0 };

  readonly #backend: NetBackend;
  readonly #config = new RegisterBytes(CONFIG_LENGTH);
  readonly #frameMax: number;
  readonly #frame: Uint8Array;
  /** The start of {@link #frame}, as long as the last frame sent: most are alike. */
  #frameView: Uint8Array;
  #driver: VirtioDriver | undefined;
  #packetHeader = LEGACY_PACKET_HEADER;
  /** The backend holds frames back until there are buffers. */
  #backendWaits = false;

  constructor({ backend, mac }: VirtioNetOptions) {
    assert(mac.length === 6, "a MAC address has six bytes");
    this.#backend = backend;
    // A legacy driver may set another address (§5.1.4.3).
    mac.forEach((byte, i) => {
      this.#config.define(CONFIG_MAC + i, 1, byte, 0xff);
    });
    this.#config.define(CONFIG_STATUS, 2, VIRTIO_NET_S_LINK_UP);
    this.#config.define(CONFIG_MTU, 2, backend.mtu);
    this.#frameMax = ETHERNET_HEADER_LENGTH + VLAN_TAG_LENGTH + backend.mtu;
    this.#frame = new Uint8Array(this.#frameMax);
    this.#frameView = this.#frame;
    backend.connect((frame) => this.#receive(frame));
  }

  readConfig(offset: number, size: AccessSize): number {
    return this.#config.read(offset, size);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    this.#config.write(offset, size, value);
  }

  activate(driver: VirtioDriver): void {
    this.#driver = driver;
    this.#packetHeader = driver.version1 ? PACKET_HEADER : LEGACY_PACKET_HEADER;
    this.#resumeBackend();
  }

  notify(queueIndex: number): void {
    if (queueIndex === TRANSMIT_QUEUE) this.#transmitAll();
    else this.#resumeBackend();
  }

  reset(): void {
    this.#driver = undefined;
    this.#config.reset();
  }

  #resumeBackend(): void {
    if (!this.#backendWaits) return;
    this.#backendWaits = false;
    this.#backend.resume();
  }

  /** @returns false when the guest has no buffer for it */
  #receive(frame: Uint8Array): boolean {
    const driver = this.#driver;
    let taken = false;
    try {
      if (driver !== undefined) taken = this.#deliver(driver, frame);
    } catch (error) {
      driver?.fail(error);
    }
    if (!taken) this.#backendWaits = true;
    return taken;
  }

  #deliver(driver: VirtioDriver, frame: Uint8Array): boolean {
    const queue = driver.queues[RECEIVE_QUEUE] as Virtqueue;
    const chain = queue.pop();
    if (chain === undefined) return false;
    if (chain.writableLength === 0) {
      throw new GuestError("driver", "virtio-net: a receive buffer with no room for a header");
    }
    const written = this.#packetHeader.length + frame.length;
    if (chain.writableLength < written) {
      queue.unpop();
      this.stats.dropped++;
      return true;
    }
    queue.deferNotifications();
    chain.write(0, this.#packetHeader);
    chain.write(this.#packetHeader.length, frame);
    queue.push(chain, written);
    this.stats.framesIn++;
    this.stats.bytesIn += frame.length;
    driver.used(queue);
    return true;
  }

  /**
   * Sends what the driver had made available: it cannot have more waiting than the queue has
   * entries, so a queue that fills itself up (its rings in a receive buffer) cannot hold us.
   */
  #transmitAll(): void {
    const driver = this.#driver;
    const queue = driver?.queues[TRANSMIT_QUEUE];
    if (driver === undefined || queue === undefined) return;
    for (let budget = queue.size; budget > 0; budget--) {
      const chain = queue.pop();
      if (chain === undefined) break;
      const length = chain.readableLength - this.#packetHeader.length;
      if (length < 0) {
        throw new GuestError("driver", "virtio-net: a frame to send with less than a header");
      }
      if (length < ETHERNET_HEADER_LENGTH || length > this.#frameMax) {
        this.stats.dropped++;
      } else {
        const frame = this.#frameOf(length);
        chain.read(this.#packetHeader.length, frame);
        this.#transmit(driver, frame);
        // An answer that came at once may have hit a bad receive buffer.
        if (this.#driver !== driver) return;
      }
      queue.push(chain, 0);
    }
    driver.used(queue);
  }

  #frameOf(length: number): Uint8Array {
    if (this.#frameView.length !== length) this.#frameView = this.#frame.subarray(0, length);
    return this.#frameView;
  }

  #transmit(driver: VirtioDriver, frame: Uint8Array): void {
    try {
      this.#backend.transmit(frame);
      this.stats.framesOut++;
      this.stats.bytesOut += frame.length;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      this.stats.dropped++;
      driver.report(error);
    }
  }
}
