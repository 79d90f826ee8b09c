import type { AccessSize, BusDevice } from "../../src/core/device.ts";
import type { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa } from "../../src/core/units.ts";
import type { SeededRandom } from "./random.ts";

/** PCI configuration mechanism #1, as a guest uses it. Function 0 of each slot unless told. */
export class FakePciHost {
  readonly #ports: BusDevice;

  constructor(ports: BusDevice) {
    this.#ports = ports;
  }

  read(slot: number, offset: number, size: AccessSize, functionNumber = 0): number {
    this.#select(slot, functionNumber, offset);
    return this.#ports.read(0xcfc + (offset & 3), size);
  }

  write(slot: number, offset: number, size: AccessSize, value: number, functionNumber = 0): void {
    this.#select(slot, functionNumber, offset);
    this.#ports.write(0xcfc + (offset & 3), size, value);
  }

  #select(slot: number, functionNumber: number, offset: number): void {
    const address = 0x8000_0000 | (slot << 11) | (functionNumber << 8) | (offset & 0xfc);
    this.#ports.write(0xcf8, 4, address >>> 0);
  }
}

/** Registers of the legacy interface: offset and size. */
export const LEGACY = {
  DEVICE_FEATURES: [0, 4],
  DRIVER_FEATURES: [4, 4],
  QUEUE_PFN: [8, 4],
  QUEUE_SIZE: [12, 2],
  QUEUE_SELECT: [14, 2],
  QUEUE_NOTIFY: [16, 2],
  DEVICE_STATUS: [18, 1],
  ISR_STATUS: [19, 1],
} as const;
export const LEGACY_CONFIG = 20;

export const DESC = { NEXT: 1, WRITE: 2, INDIRECT: 4 } as const;

/** A piece of a buffer; readable by the device unless said otherwise. */
export interface FakeSegment {
  readonly address: number;
  readonly length: number;
  readonly writable?: boolean;
}

export interface UsedBuffer {
  readonly head: number;
  readonly length: number;
}

/** Where a queue's parts are, from its address on. */
type RingLayout = "legacy" | "tight";

/** The driver's side of a split virtqueue, with nothing checked. */
export class FakeQueue {
  readonly memory: GuestMemory;
  readonly size: number;
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
  /** First byte after the used ring. */
  readonly end: number;
  #nextDescriptor = 0;
  #availableIndex = 0;
  #usedIndex = 0;

  /**
   * @param address of the descriptor table, a multiple of 4096
   * @param layout legacy: the used ring is on a page of its own
   */
  constructor(memory: GuestMemory, address: number, size: number, layout: RingLayout = "legacy") {
    this.memory = memory;
    this.size = size;
    this.descriptors = address;
    this.available = address + 16 * size;
    const alignment = layout === "legacy" ? 4096 : 4;
    this.used = (this.available + 6 + 2 * size + alignment - 1) & -alignment;
    this.end = this.used + 6 + 8 * size;
    memory.fill(gpa(address), this.end - address);
  }

  /** Writes one descriptor, into this queue's table or another. */
  describe(
    index: number,
    fields: { address: number; length: number; flags?: number; next?: number },
    table = this.descriptors,
  ): void {
    const at = table + 16 * index;
    this.memory.writeU64(gpa(at), fields.address);
    this.memory.writeU32(gpa(at + 8), fields.length);
    this.memory.writeU16(gpa(at + 12), fields.flags ?? 0);
    this.memory.writeU16(gpa(at + 14), fields.next ?? 0);
  }

  /** Makes a buffer available; its descriptors follow those of the last one. */
  add(...segments: FakeSegment[]): number {
    const head = this.#nextDescriptor;
    segments.forEach((segment, i) => {
      const index = (head + i) % this.size;
      const last = i === segments.length - 1;
      this.describe(index, {
        address: segment.address,
        length: segment.length,
        flags: (segment.writable ? DESC.WRITE : 0) | (last ? 0 : DESC.NEXT),
        next: last ? 0 : (index + 1) % this.size,
      });
    });
    this.#nextDescriptor = (head + segments.length) % this.size;
    this.offer(head);
    return head;
  }

  /** Makes a buffer available whose descriptors are in an indirect table at `table`. */
  addIndirect(table: number, ...segments: FakeSegment[]): number {
    segments.forEach((segment, index) => {
      const last = index === segments.length - 1;
      const flags = (segment.writable ? DESC.WRITE : 0) | (last ? 0 : DESC.NEXT);
      const next = last ? 0 : index + 1;
      this.describe(
        index,
        { address: segment.address, length: segment.length, flags, next },
        table,
      );
    });
    const head = this.#nextDescriptor;
    const length = 16 * segments.length;
    this.describe(head, { address: table, length, flags: DESC.INDIRECT });
    this.#nextDescriptor = (head + 1) % this.size;
    this.offer(head);
    return head;
  }

  /** Puts a descriptor's index into the available ring. */
  offer(head: number): void {
    const entry = this.available + 4 + 2 * (this.#availableIndex % this.size);
    this.memory.writeU16(gpa(entry), head);
    this.setAvailableIndex(this.#availableIndex + 1);
  }

  get availableIndex(): number {
    return this.#availableIndex;
  }

  setAvailableIndex(index: number): void {
    this.#availableIndex = index & 0xffff;
    this.memory.writeU16(gpa(this.available + 2), this.#availableIndex);
  }

  set availableFlags(flags: number) {
    this.memory.writeU16(gpa(this.available), flags);
  }

  get usedFlags(): number {
    return this.memory.readU16(gpa(this.used));
  }

  /** EVENT_IDX: interrupt when the used index passes this one. */
  set usedEvent(index: number) {
    this.memory.writeU16(gpa(this.available + 4 + 2 * this.size), index);
  }

  /** EVENT_IDX: the available index that the device wants to hear of. */
  get availEvent(): number {
    return this.memory.readU16(gpa(this.used + 4 + 8 * this.size));
  }

  /** Buffers that the device gave back since the last call. */
  takeUsed(): UsedBuffer[] {
    const taken: UsedBuffer[] = [];
    const index = this.memory.readU16(gpa(this.used + 2));
    while (this.#usedIndex !== index) {
      const entry = this.used + 4 + 8 * (this.#usedIndex % this.size);
      taken.push({
        head: this.memory.readU32(gpa(entry)),
        length: this.memory.readU32(gpa(entry + 4)),
      });
      this.#usedIndex = (this.#usedIndex + 1) & 0xffff;
    }
    return taken;
  }
}

/** What tests of devices do through either interface. */
export interface VirtioTestDriver {
  readonly memory: GuestMemory;
  status: number;
  /** Everything up to DRIVER_OK. @param addresses of the queues, each a multiple of 4096 */
  start(addresses: readonly number[], features?: number): FakeQueue[];
  notify(queueIndex: number): void;
  /** Only tells the device where a queue's parts are, in memory or not. */
  tellQueue(index: number, address: number): void;
  /** What interrupts the driver has not looked at yet: 1 of a queue, 2 of the configuration. */
  takeInterrupts(): number;
  /** Registers and what values they may get, for random use. */
  readonly registers: readonly RandomRegister[];
}

export interface RandomRegister {
  write(random: SeededRandom): void;
  read(): void;
}

/** Plays a legacy virtio driver: through PCI configuration, ports, and rings in guest memory. */
export class FakeDriver implements VirtioTestDriver {
  readonly pci: FakePciHost;
  readonly memory: GuestMemory;
  readonly slot: number;
  readonly #ports: BusDevice;

  constructor(ports: BusDevice, memory: GuestMemory, slot: number) {
    this.pci = new FakePciHost(ports);
    this.memory = memory;
    this.slot = slot;
    this.#ports = ports;
  }

  /** As BAR 0 says now. */
  get ioBase(): number {
    return this.pci.read(this.slot, 0x10, 4) & 0xfffc;
  }

  read(register: keyof typeof LEGACY): number {
    const [offset, size] = LEGACY[register];
    return this.#ports.read(this.ioBase + offset, size);
  }

  write(register: keyof typeof LEGACY, value: number): void {
    const [offset, size] = LEGACY[register];
    this.#ports.write(this.ioBase + offset, size, value);
  }

  readConfig(offset: number, size: AccessSize): number {
    return this.#ports.read(this.ioBase + LEGACY_CONFIG + offset, size);
  }

  get status(): number {
    return this.read("DEVICE_STATUS");
  }

  set status(value: number) {
    this.write("DEVICE_STATUS", value);
  }

  takeInterrupts(): number {
    return this.read("ISR_STATUS");
  }

  tellQueue(index: number, address: number): void {
    this.write("QUEUE_SELECT", index);
    this.write("QUEUE_PFN", Math.floor(address / 4096));
  }

  get registers(): readonly RandomRegister[] {
    const register = (name: keyof typeof LEGACY, value: (random: SeededRandom) => number) => ({
      write: (random: SeededRandom) => this.write(name, value(random)),
      read: () => void this.read(name),
    });
    return [
      register("DRIVER_FEATURES", (random) => random.pick([0, random.next(), 0xffff_ffff])),
      register("QUEUE_SELECT", (random) => random.pick([0, 1, random.below(0x1_0000)])),
      register("QUEUE_PFN", (random) => random.pick([16, 32, 0, 0x5f, 0xffff_ffff])),
      register("ISR_STATUS", (random) => random.below(256)),
      register("QUEUE_SIZE", (random) => random.below(0x1_0000)),
    ];
  }

  notify(queueIndex: number): void {
    this.write("QUEUE_NOTIFY", queueIndex);
  }

  /** Zeroes a queue's rings at `address` and tells the device of them. */
  placeQueue(index: number, address: number): FakeQueue {
    this.write("QUEUE_SELECT", index);
    const queue = new FakeQueue(this.memory, address, this.read("QUEUE_SIZE"));
    this.write("QUEUE_PFN", address / 4096);
    return queue;
  }

  /**
   * The whole initialisation as the specification has it (virtio 1.2 §3.1.1, legacy).
   * @param addresses of the queues, each a multiple of 4096
   */
  start(addresses: readonly number[], features = 0): FakeQueue[] {
    this.write("DEVICE_STATUS", 0);
    this.write("DEVICE_STATUS", 1);
    this.write("DEVICE_STATUS", 3);
    this.write("DRIVER_FEATURES", (this.read("DEVICE_FEATURES") & features) >>> 0);
    const queues = addresses.map((address, index) => this.placeQueue(index, address));
    this.write("DEVICE_STATUS", 7);
    return queues;
  }
}
