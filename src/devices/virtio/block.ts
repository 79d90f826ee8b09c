import type { BlockBackend } from "../../core/backends.ts";
import type { AccessSize } from "../../core/device.ts";
import { GuestError, HostError } from "../../core/errors.ts";
import { RegisterBytes } from "../../core/register-bytes.ts";
import type { DescriptorChain } from "./descriptor-chain.ts";
import {
  COMMON_FEATURES,
  DEVICE_ID,
  type VirtioDevice,
  type VirtioDriver,
} from "./virtio-device.ts";

/** Feature bits (virtio 1.2 §5.2.3). */
const VIRTIO_BLK_F_SEG_MAX = 1 << 2;
const VIRTIO_BLK_F_RO = 1 << 5;
const VIRTIO_BLK_F_BLK_SIZE = 1 << 6;
const VIRTIO_BLK_F_FLUSH = 1 << 9;

/** Device configuration (§5.2.4). */
const CONFIG_CAPACITY = 0;
const CONFIG_SEG_MAX = 12;
const CONFIG_BLK_SIZE = 20;
const CONFIG_LENGTH = 24;

/** Request types (§5.2.6). */
const VIRTIO_BLK_T_IN = 0;
const VIRTIO_BLK_T_OUT = 1;
const VIRTIO_BLK_T_FLUSH = 4;
const VIRTIO_BLK_T_GET_ID = 8;

const VIRTIO_BLK_S_OK = 0;
const VIRTIO_BLK_S_IOERR = 1;
const VIRTIO_BLK_S_UNSUPP = 2;

/** The unit of capacity and positions, whatever the block size. */
const SECTOR_SIZE = 512;
/** Before the data: type, reserved, sector number of 64 bits. After it: one byte of status. */
const REQUEST_HEADER_LENGTH = 16;
const STATUS_LENGTH = 1;
const ID_LENGTH = 20;

const QUEUE_SIZE = 128;
/** A chain has a header and a status besides its data. */
const SEG_MAX = QUEUE_SIZE - 2;

export interface VirtioBlockOptions {
  readonly backend: BlockBackend;
  /** What the disk calls itself, cut to 20 bytes of ASCII. */
  readonly id?: string;
}

/**
 * Block device (virtio 1.2 §5.2). Requests are served in order, each before the next.
 *
 * To a driver that cannot flush, a write is done when it is on stable storage (§5.2.5).
 */
export class VirtioBlock implements VirtioDevice {
  readonly deviceId = DEVICE_ID.BLOCK;
  readonly features: number;
  readonly queueSizes = [QUEUE_SIZE];
  readonly stats = { requests: 0, bytesRead: 0, bytesWritten: 0, errors: 0 };

  readonly #backend: BlockBackend;
  readonly #id: Uint8Array;
  readonly #config = new RegisterBytes(CONFIG_LENGTH);
  readonly #header = new DataView(new ArrayBuffer(REQUEST_HEADER_LENGTH));
  readonly #headerBytes = new Uint8Array(this.#header.buffer);
  readonly #statusByte = new Uint8Array(STATUS_LENGTH);
  #driver: VirtioDriver | undefined;
  /** How much of the current request's data the driver gets, from the start of its room. */
  #dataWritten = 0;

  constructor({ backend, id = "solo5-kvm" }: VirtioBlockOptions) {
    this.#backend = backend;
    this.#id = asciiField(id, ID_LENGTH);
    this.features =
      COMMON_FEATURES |
      VIRTIO_BLK_F_SEG_MAX |
      VIRTIO_BLK_F_BLK_SIZE |
      VIRTIO_BLK_F_FLUSH |
      (backend.readOnly ? VIRTIO_BLK_F_RO : 0);
    const sectors = Math.floor(backend.capacity / SECTOR_SIZE);
    this.#config.define(CONFIG_CAPACITY, 4, sectors % 2 ** 32);
    this.#config.define(CONFIG_CAPACITY + 4, 4, Math.floor(sectors / 2 ** 32));
    this.#config.define(CONFIG_SEG_MAX, 4, SEG_MAX);
    this.#config.define(CONFIG_BLK_SIZE, 4, SECTOR_SIZE);
  }

  readConfig(offset: number, size: AccessSize): number {
    return this.#config.read(offset, size);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    this.#config.write(offset, size, value);
  }

  activate(driver: VirtioDriver): void {
    this.#driver = driver;
  }

  /** At most a queue's worth of requests at a time, which is all that a driver can have waiting. */
  notify(queueIndex: number): void {
    const driver = this.#driver;
    const queue = driver?.queues[queueIndex];
    if (driver === undefined || queue === undefined) return;
    for (let budget = queue.size; budget > 0; budget--) {
      const chain = queue.pop();
      if (chain === undefined) break;
      queue.push(chain, this.#serve(driver, chain));
    }
    driver.used(queue);
  }

  reset(): void {
    this.#driver = undefined;
  }

  /** @returns bytes written into the chain, from its first writable byte on */
  #serve(driver: VirtioDriver, chain: DescriptorChain): number {
    this.stats.requests++;
    if (chain.readableLength < REQUEST_HEADER_LENGTH || chain.writableLength < STATUS_LENGTH) {
      throw new GuestError("driver", "virtio-blk: a request without header or status");
    }
    const dataLength = chain.writableLength - STATUS_LENGTH;
    this.#dataWritten = 0;
    const status = this.#execute(driver, chain);
    if (status !== VIRTIO_BLK_S_OK) this.stats.errors++;
    this.#statusByte[0] = status;
    chain.write(dataLength, this.#statusByte);
    // The status counts only if all the room before it was written.
    return this.#dataWritten === dataLength ? dataLength + STATUS_LENGTH : this.#dataWritten;
  }

  #execute(driver: VirtioDriver, chain: DescriptorChain): number {
    chain.read(0, this.#headerBytes);
    const sector = this.#header.getUint32(8, true) + this.#header.getUint32(12, true) * 2 ** 32;
    try {
      switch (this.#header.getUint32(0, true)) {
        case VIRTIO_BLK_T_IN:
          return this.#readSectors(chain, sector);
        case VIRTIO_BLK_T_OUT:
          return this.#writeSectors(driver, chain, sector);
        case VIRTIO_BLK_T_FLUSH:
          this.#backend.flush();
          return VIRTIO_BLK_S_OK;
        case VIRTIO_BLK_T_GET_ID:
          return this.#tellId(chain);
        default:
          return VIRTIO_BLK_S_UNSUPP;
      }
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      driver.report(error);
      return VIRTIO_BLK_S_IOERR;
    }
  }

  #readSectors(chain: DescriptorChain, sector: number): number {
    const length = chain.writableLength - STATUS_LENGTH;
    if (!this.#onDisk(sector, length)) return VIRTIO_BLK_S_IOERR;
    let at = sector * SECTOR_SIZE;
    for (const part of chain.writable(0, length)) {
      this.#backend.read(at, part);
      at += part.length;
    }
    this.stats.bytesRead += length;
    this.#dataWritten = length;
    return VIRTIO_BLK_S_OK;
  }

  #writeSectors(driver: VirtioDriver, chain: DescriptorChain, sector: number): number {
    const length = chain.readableLength - REQUEST_HEADER_LENGTH;
    if (this.#backend.readOnly || !this.#onDisk(sector, length)) return VIRTIO_BLK_S_IOERR;
    let at = sector * SECTOR_SIZE;
    for (const part of chain.readable(REQUEST_HEADER_LENGTH, length)) {
      this.#backend.write(at, part);
      at += part.length;
    }
    if ((driver.features & VIRTIO_BLK_F_FLUSH) === 0) this.#backend.flush();
    this.stats.bytesWritten += length;
    return VIRTIO_BLK_S_OK;
  }

  /** Whole sectors, none of them past the end. */
  #onDisk(sector: number, length: number): boolean {
    const end = sector * SECTOR_SIZE + length;
    return length % SECTOR_SIZE === 0 && end <= this.#backend.capacity;
  }

  #tellId(chain: DescriptorChain): number {
    const room = Math.min(ID_LENGTH, chain.writableLength - STATUS_LENGTH);
    chain.write(0, this.#id.subarray(0, room));
    this.#dataWritten = room;
    return VIRTIO_BLK_S_OK;
  }
}

/** Zero-padded; what is not ASCII becomes a question mark. */
function asciiField(text: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < Math.min(text.length, length); i++) {
    const code = text.charCodeAt(i);
    bytes[i] = code < 0x80 ? code : 0x3f;
  }
  return bytes;
}
