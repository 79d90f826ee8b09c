import type { NetBackend } from "../../core/backends.ts";
import type { AccessSize } from "../../core/device.ts";
import { assert, GuestError, HostError } from "../../core/errors.ts";
import {
  MAX_OFFLOADED_FRAME,
  OFFLOAD,
  OFFLOAD_HEADER_LENGTH,
  offloadsIn,
} from "../../core/offload.ts";
import { RegisterBytes } from "../../core/register-bytes.ts";
import type { DescriptorChain } from "./descriptor-chain.ts";
import {
  isPossible,
  offloadFeatures,
  offloadsToDevice,
  offloadsToDriver,
  VIRTIO_NET_F,
} from "./net-features.ts";
import {
  COMMON_FEATURES,
  DEVICE_ID,
  type VirtioDevice,
  type VirtioDriver,
} from "./virtio-device.ts";
import type { Virtqueue } from "./virtqueue.ts";

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
 * `virtio_net_hdr` (§5.1.6): what is left to do on the frame, and its number of buffers. The legacy
 * interface has that with mergeable buffers only.
 */
const NUM_BUFFERS = OFFLOAD_HEADER_LENGTH;
const PACKET_HEADER_LENGTH = 12;
const LEGACY_PACKET_HEADER_LENGTH = 10;

/** What became of a frame for the driver. */
type Outcome = "taken" | "no room" | "too long";

const ETHERNET_HEADER_LENGTH = 14;
const VLAN_TAG_LENGTH = 4;

export interface VirtioNetOptions {
  readonly backend: NetBackend;
  /** Six bytes. */
  readonly mac: Uint8Array;
}

/** Network device (virtio 1.2 §5.1), one queue pair, with the offloads of its back end. */
export class VirtioNet implements VirtioDevice {
  readonly deviceId = DEVICE_ID.NETWORK;
  readonly features: number;
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE];
  /** In is towards the guest. Dropped: frames that the other side cannot take as they are. */
  readonly stats = { framesIn: 0, bytesIn: 0, framesOut: 0, bytesOut: 0, dropped: 0 };

  readonly #backend: NetBackend;
  readonly #config = new RegisterBytes(CONFIG_LENGTH);
  /** Of a frame that is not to be cut up. */
  readonly #frameMax: number;
  readonly #frame: Uint8Array;
  /** The start of {@link #frame}, as long as the last frame sent: most are alike. */
  #frameView: Uint8Array;
  #driver: VirtioDriver | undefined;
  #mergeable = false;
  /** Sets of offloads: what the driver may leave to the back end, and what the back end to the driver. */
  #toBackend = 0;
  #toDriver = 0;
  /** As long as the driver's headers are; of the frame that is received, all zero but NUM_BUFFERS if plain. */
  #packetHeader = new Uint8Array(LEGACY_PACKET_HEADER_LENGTH);
  #packetHeaderPlain = true;
  /** Of the frame that is sent. */
  readonly #sentHeader = new Uint8Array(OFFLOAD_HEADER_LENGTH);
  /** The backend holds frames back until there are buffers. */
  #backendWaits = false;

  constructor({ backend, mac }: VirtioNetOptions) {
    assert(mac.length === 6, "a MAC address has six bytes");
    this.#backend = backend;
    const { offloads = 0 } = backend;
    this.features =
      COMMON_FEATURES |
      VIRTIO_NET_F.MAC |
      VIRTIO_NET_F.STATUS |
      VIRTIO_NET_F.MTU |
      VIRTIO_NET_F.MRG_RXBUF |
      offloadFeatures(offloads);
    // A legacy driver may set another address (§5.1.4.3).
    mac.forEach((byte, i) => {
      this.#config.define(CONFIG_MAC + i, 1, byte, 0xff);
    });
    this.#config.define(CONFIG_STATUS, 2, VIRTIO_NET_S_LINK_UP);
    this.#config.define(CONFIG_MTU, 2, backend.mtu);
    this.#frameMax = ETHERNET_HEADER_LENGTH + VLAN_TAG_LENGTH + backend.mtu;
    this.#frame = new Uint8Array(offloads === 0 ? this.#frameMax : MAX_OFFLOADED_FRAME);
    this.#frameView = this.#frame;
    backend.connect((frame, header) => this.#receive(frame, header));
  }

  accepts(features: number): boolean {
    return isPossible(features);
  }

  readConfig(offset: number, size: AccessSize): number {
    return this.#config.read(offset, size);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    this.#config.write(offset, size, value);
  }

  activate(driver: VirtioDriver): void {
    this.#driver = driver;
    const { features, version1 } = driver;
    this.#mergeable = (features & VIRTIO_NET_F.MRG_RXBUF) !== 0;
    const long = version1 || this.#mergeable;
    this.#packetHeader = new Uint8Array(long ? PACKET_HEADER_LENGTH : LEGACY_PACKET_HEADER_LENGTH);
    if (long) this.#packetHeader[NUM_BUFFERS] = 1;
    this.#packetHeaderPlain = true;
    this.#toBackend = offloadsToDevice(features);
    this.#setToDriver(offloadsToDriver(features));
    this.#resumeBackend();
  }

  notify(queueIndex: number): void {
    if (queueIndex === TRANSMIT_QUEUE) this.#transmitAll();
    else this.#resumeBackend();
  }

  reset(): void {
    this.#driver = undefined;
    this.#config.reset();
    this.#setToDriver(0);
  }

  #setToDriver(offloads: number): void {
    if (offloads === this.#toDriver) return;
    this.#toDriver = offloads;
    this.#backend.setGuestOffloads?.(offloads);
  }

  #resumeBackend(): void {
    if (!this.#backendWaits) return;
    this.#backendWaits = false;
    this.#backend.resume();
  }

  /** @returns false when the guest has no buffer for it */
  #receive(frame: Uint8Array, header: Uint8Array | undefined): boolean {
    const driver = this.#driver;
    let taken = false;
    try {
      if (driver !== undefined) taken = this.#deliver(driver, frame, header);
    } catch (error) {
      driver?.fail(error);
    }
    if (!taken) this.#backendWaits = true;
    return taken;
  }

  #deliver(driver: VirtioDriver, frame: Uint8Array, header: Uint8Array | undefined): boolean {
    // It may have waited since the driver was another one.
    if (header !== undefined && (offloadsIn(header, frame.length) & ~this.#toDriver) !== 0) {
      this.stats.dropped++;
      return true;
    }
    const queue = driver.queues[RECEIVE_QUEUE] as Virtqueue;
    const chain = nextBuffer(queue);
    if (chain === undefined) return false;
    this.#setHeader(header);
    const written = this.#packetHeader.length + frame.length;
    let outcome: Outcome = "taken";
    if (chain.writableLength >= written) {
      chain.write(0, this.#packetHeader);
      chain.write(this.#packetHeader.length, frame);
      queue.push(chain, written);
    } else if (this.#mergeable) {
      outcome = this.#merge(queue, chain, frame);
    } else {
      queue.unpop();
      outcome = "too long";
    }
    if (outcome === "taken") {
      queue.deferNotifications();
      this.stats.framesIn++;
      this.stats.bytesIn += frame.length;
      driver.used(queue);
    } else if (outcome === "too long") this.stats.dropped++;
    return outcome !== "no room";
  }

  /** Puts a frame into several buffers (§5.1.6.4). @param first is too small for all of it */
  #merge(queue: Virtqueue, first: DescriptorChain, frame: Uint8Array): Outcome {
    const header = this.#packetHeader;
    if (first.writableLength < header.length) {
      throw new GuestError("driver", "virtio-net: a receive buffer with no room for a header");
    }
    first.write(0, header);
    const count = [first.writable(NUM_BUFFERS, 1), first.writable(NUM_BUFFERS + 1, 1)].flat();
    let chain = first;
    let offset = header.length;
    let done = 0;
    for (let buffers = 1; ; buffers++) {
      const part = frame.subarray(done, done + chain.writableLength - offset);
      chain.write(offset, part);
      done += part.length;
      if (done === frame.length) {
        for (const [i, byte] of count.entries()) byte[0] = buffers >>> (8 * i);
        queue.push(chain, offset + part.length);
        return "taken";
      }
      queue.hold(chain, offset + part.length);
      offset = 0;
      const next = buffers < queue.size ? nextBuffer(queue) : undefined;
      if (next === undefined) {
        queue.unpop(buffers);
        return buffers < queue.size ? "no room" : "too long";
      }
      chain = next;
    }
  }

  /** Fills in {@link #packetHeader}. Checksums were seen to be right only for who can be told so. */
  #setHeader(header: Uint8Array | undefined): void {
    const plain = header === undefined || this.#toDriver === 0;
    if (!plain) this.#packetHeader.set(header);
    else if (!this.#packetHeaderPlain) this.#packetHeader.fill(0, 0, OFFLOAD_HEADER_LENGTH);
    this.#packetHeaderPlain = plain;
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
      const undone = this.#undone(chain, length);
      const max = undone > OFFLOAD.CSUM ? MAX_OFFLOADED_FRAME : this.#frameMax;
      const wrong = (undone & ~this.#toBackend) !== 0;
      if (wrong || length < ETHERNET_HEADER_LENGTH || length > max) {
        this.stats.dropped++;
      } else {
        const frame = this.#frameOf(length);
        chain.read(this.#packetHeader.length, frame);
        this.#transmit(driver, frame, undone === 0 ? undefined : this.#sentHeader);
        // An answer that came at once may have hit a bad receive buffer.
        if (this.#driver !== driver) return;
      }
      queue.push(chain, 0);
    }
    driver.used(queue);
  }

  /** Reads what the driver says is to be done on a frame of this length. */
  #undone(chain: DescriptorChain, length: number): number {
    if (this.#toBackend === 0) return 0;
    chain.read(0, this.#sentHeader);
    return offloadsIn(this.#sentHeader, length);
  }

  #frameOf(length: number): Uint8Array {
    if (this.#frameView.length !== length) this.#frameView = this.#frame.subarray(0, length);
    return this.#frameView;
  }

  #transmit(driver: VirtioDriver, frame: Uint8Array, header: Uint8Array | undefined): void {
    try {
      this.#backend.transmit(frame, header);
      this.stats.framesOut++;
      this.stats.bytesOut += frame.length;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      this.stats.dropped++;
      driver.report(error);
    }
  }
}

function nextBuffer(queue: Virtqueue): DescriptorChain | undefined {
  const chain = queue.pop();
  if (chain?.writableLength === 0) {
    throw new GuestError("driver", "virtio-net: a receive buffer with no room");
  }
  return chain;
}
