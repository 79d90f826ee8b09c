import { GuestError } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { gpa, hex } from "../../core/units.ts";
import { DescriptorChain } from "./descriptor-chain.ts";
import { VIRTIO_F } from "./virtio-device.ts";

/** Descriptor flags (virtio 1.2 §2.7.5). */
const DESC_F_NEXT = 1;
const DESC_F_WRITE = 2;
const DESC_F_INDIRECT = 4;
const DESC_SIZE = 16;

/** Available ring flag: the driver wants no interrupt (§2.7.6). */
const AVAIL_F_NO_INTERRUPT = 1;
/** Used ring flag: the device wants no notification (§2.7.8). */
const USED_F_NO_NOTIFY = 1;

/** Offsets in either ring: flags, index, and then the entries. */
const RING_INDEX = 2;
const RING_ENTRIES = 4;
const AVAIL_ENTRY_SIZE = 2;
const USED_ENTRY_SIZE = 8;

/** All that one chain may hold (§2.7.5.2). */
const CHAIN_BYTES_MAX = 2 ** 32;

/** Where the three parts of a split virtqueue lie, as guest physical addresses. */
export interface QueueLayout {
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
}

/**
 * A split virtqueue (virtio 1.2 §2.7), the device's side.
 *
 * The guest writes the rings, so nothing in them is trusted: every field is read once and checked,
 * and what breaks the rules throws {@link GuestError} `driver`. Little-endian throughout: a legacy
 * queue has the guest's byte order, and our guests are x86.
 */
export class Virtqueue {
  /** Position among the device's queues. */
  readonly index: number;
  /** The most entries that the driver may choose. */
  readonly maxSize: number;
  readonly #memory: GuestMemory;
  readonly #name: string;
  readonly #chain: DescriptorChain;
  #size: number;
  #ready = false;
  #descriptors = 0;
  #available = 0;
  #used = 0;
  #eventIdx = false;
  #indirect = false;

  /** Free-running 16-bit indices, as in the rings. */
  #nextAvailable = 0;
  #knownAvailable = 0;
  #nextUsed = 0;
  #usedAtLastInterrupt = 0;
  #notificationsOff = false;
  /** Buffers that the driver will get with the next one. */
  #held = 0;

  /**
   * @param maxSize entries, a power of two, at most 32768
   * @param device name for messages
   */
  constructor(memory: GuestMemory, index: number, maxSize: number, device: string) {
    this.#memory = memory;
    this.index = index;
    this.maxSize = maxSize;
    this.#size = maxSize;
    this.#name = `${device} queue ${index}`;
    this.#chain = new DescriptorChain(memory, maxSize);
  }

  /** Entries. */
  get size(): number {
    return this.#size;
  }

  /** As the driver asks, if it may: a power of two of at most {@link maxSize}, before it is placed. */
  resize(size: number): void {
    const allowed = size > 0 && size <= this.maxSize && (size & (size - 1)) === 0;
    if (allowed && !this.#ready) this.#size = size;
  }

  /** One line: where the queue is, and how far both sides have got with it. */
  describe(): string {
    if (!this.#ready) return `${this.#name}: not in use`;
    const available = this.#memory.readU16(gpa(this.#available + RING_INDEX));
    const waiting = (available - this.#nextAvailable) & 0xffff;
    return (
      `${this.#name}: ${this.#size} entries, descriptors at ${hex(this.#descriptors)}, ` +
      `available ${available} (${waiting} waiting) at ${hex(this.#available)}, ` +
      `used ${this.#nextUsed} at ${hex(this.#used)}`
    );
  }

  /** Whether the rings are in place. */
  get ready(): boolean {
    return this.#ready;
  }

  /**
   * Puts the queue into use, from index 0.
   * @throws {@link GuestError} `driver` when a part is not in RAM
   */
  place(layout: QueueLayout): void {
    this.remove();
    // Both rings end in the 16-bit field that EVENT_IDX gives a meaning.
    this.#inRam("descriptor table", layout.descriptors, DESC_SIZE * this.#size);
    this.#inRam("available ring", layout.available, 6 + AVAIL_ENTRY_SIZE * this.#size);
    this.#inRam("used ring", layout.used, 6 + USED_ENTRY_SIZE * this.#size);
    this.#descriptors = layout.descriptors;
    this.#available = layout.available;
    this.#used = layout.used;
    this.#ready = true;
  }

  /** Takes the queue out of use; its size is the device's again. */
  reset(): void {
    this.remove();
    this.#size = this.maxSize;
  }

  /** Takes the queue out of use. */
  remove(): void {
    this.#ready = false;
    this.#nextAvailable = 0;
    this.#knownAvailable = 0;
    this.#nextUsed = 0;
    this.#usedAtLastInterrupt = 0;
    this.#notificationsOff = false;
    this.#held = 0;
  }

  /** Obeys what was negotiated. */
  setFeatures(features: number): void {
    this.#eventIdx = (features & VIRTIO_F.RING_EVENT_IDX) !== 0;
    this.#indirect = (features & VIRTIO_F.RING_INDIRECT_DESC) !== 0;
  }

  /**
   * Takes the next buffer that the driver made available. A queue found empty asks the driver to
   * notify the device of the next one.
   * @returns undefined when there is none; the chain is valid until the next call
   * @throws {@link GuestError} `driver`
   */
  pop(): DescriptorChain | undefined {
    if (!this.#ready) return undefined;
    if (this.#nextAvailable === this.#knownAvailable && !this.#fetchAvailable()) {
      this.#wantNotification();
      // The driver may have added a buffer before it could see that.
      if (!this.#fetchAvailable()) return undefined;
    }
    const entry = RING_ENTRIES + AVAIL_ENTRY_SIZE * (this.#nextAvailable & (this.#size - 1));
    const head = this.#memory.readU16(gpa(this.#available + entry));
    this.#nextAvailable = (this.#nextAvailable + 1) & 0xffff;
    this.#collect(head);
    return this.#chain;
  }

  /** Puts the `count` buffers popped last back, as if they had not been taken; none is held then. */
  unpop(count = 1): void {
    this.#nextAvailable = (this.#nextAvailable - count) & 0xffff;
    this.#held = 0;
  }

  /** As {@link push}, but the driver does not see it before the next one that is pushed. */
  hold(chain: DescriptorChain, written: number): void {
    const index = (this.#nextUsed + this.#held) & (this.#size - 1);
    const entry = RING_ENTRIES + USED_ENTRY_SIZE * index;
    this.#memory.writeU32(gpa(this.#used + entry), chain.head);
    this.#memory.writeU32(gpa(this.#used + entry + 4), written);
    this.#held++;
  }

  /**
   * Gives a buffer back to the driver.
   * @param written bytes that the device wrote into it, from its first writable byte on
   */
  push(chain: DescriptorChain, written: number): void {
    this.hold(chain, written);
    this.#nextUsed = (this.#nextUsed + this.#held) & 0xffff;
    this.#held = 0;
    // Last: the driver may look at the entry as soon as the index covers it.
    this.#memory.writeU16(gpa(this.#used + RING_INDEX), this.#nextUsed);
  }

  /**
   * Whether the driver wants an interrupt for what was pushed since the last call (§2.7.7).
   */
  interruptWanted(): boolean {
    const before = this.#usedAtLastInterrupt;
    const pushed = (this.#nextUsed - before) & 0xffff;
    if (pushed === 0) return false;
    this.#usedAtLastInterrupt = this.#nextUsed;
    if (!this.#eventIdx) {
      return (this.#memory.readU16(gpa(this.#available)) & AVAIL_F_NO_INTERRUPT) === 0;
    }
    const usedEvent = RING_ENTRIES + AVAIL_ENTRY_SIZE * this.#size;
    const event = this.#memory.readU16(gpa(this.#available + usedEvent));
    return ((this.#nextUsed - event - 1) & 0xffff) < pushed;
  }

  /** Asks the driver not to notify until the queue was found empty (§2.7.10). */
  deferNotifications(): void {
    // With EVENT_IDX it notifies at the index asked for last and at no other.
    if (this.#notificationsOff || this.#eventIdx) return;
    this.#notificationsOff = true;
    this.#memory.writeU16(gpa(this.#used), USED_F_NO_NOTIFY);
  }

  #wantNotification(): void {
    if (this.#eventIdx) {
      const availEvent = RING_ENTRIES + USED_ENTRY_SIZE * this.#size;
      this.#memory.writeU16(gpa(this.#used + availEvent), this.#nextAvailable);
    }
    if (this.#notificationsOff) {
      this.#notificationsOff = false;
      this.#memory.writeU16(gpa(this.#used), 0);
    }
  }

  /** Looks how far the driver has got; false when there is nothing new. */
  #fetchAvailable(): boolean {
    const index = this.#memory.readU16(gpa(this.#available + RING_INDEX));
    const waiting = (index - this.#nextAvailable) & 0xffff;
    if (waiting > this.#size) {
      this.#refuse(
        `the available index jumped to ${index} from at most ` +
          `${(this.#nextAvailable + this.#size) & 0xffff}`,
      );
    }
    this.#knownAvailable = index;
    return waiting > 0;
  }

  /** Walks the descriptors from `head` on into the chain (§2.7.5). */
  #collect(head: number): void {
    const chain = this.#chain;
    chain.begin(head);
    let table = this.#descriptors;
    let entries = this.#size;
    let index = head;
    let nested = false;
    for (let links = 0; ; ) {
      if (index >= entries) this.#refuse(`descriptor ${index} of a table of ${entries}`);
      const at = table + DESC_SIZE * index;
      const address = this.#memory.readU64(gpa(at));
      const length = this.#memory.readU32(gpa(at + 8));
      const flags = this.#memory.readU16(gpa(at + 12));
      if ((flags & DESC_F_INDIRECT) !== 0) {
        this.#checkIndirect(address, length, flags, nested);
        nested = true;
        table = address;
        entries = length / DESC_SIZE;
        index = 0;
        continue;
      }
      links++;
      if (links > this.#size) this.#refuse(`a chain of more than ${this.#size} descriptors`);
      this.#append(address, length, (flags & DESC_F_WRITE) !== 0);
      if ((flags & DESC_F_NEXT) === 0) return;
      index = this.#memory.readU16(gpa(at + 14));
    }
  }

  #append(address: number, length: number, writable: boolean): void {
    const chain = this.#chain;
    // The specification has no minimum; what is empty is nowhere.
    if (length === 0) return;
    this.#inRam("buffer", address, length);
    if (!writable && chain.writableLength > 0) {
      this.#refuse("a readable descriptor after a writable one");
    }
    chain.append(address, length, writable);
    if (chain.readableLength + chain.writableLength > CHAIN_BYTES_MAX) {
      this.#refuse("a chain of more than 4 GiB");
    }
  }

  /** §2.7.5.3.1. The table's own WRITE flag is ignored (§2.7.5.3.2). */
  #checkIndirect(address: number, length: number, flags: number, nested: boolean): void {
    if (!this.#indirect) this.#refuse("an indirect table, which was not negotiated");
    if (nested) this.#refuse("an indirect table within an indirect table");
    if ((flags & DESC_F_NEXT) !== 0) this.#refuse("an indirect table that is not the last");
    if (length === 0 || length % DESC_SIZE !== 0) {
      this.#refuse(`an indirect table of ${length} bytes`);
    }
    this.#inRam("indirect table", address, length);
  }

  #inRam(what: string, address: number, length: number): void {
    if (!this.#memory.contains(address, length)) {
      this.#refuse(`${what} at ${hex(address)}, ${length} bytes, is not in RAM`);
    }
  }

  #refuse(what: string): never {
    throw new GuestError("driver", `${this.#name}: ${what}`);
  }
}
