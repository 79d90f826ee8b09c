import type { Bus } from "../../src/core/bus.ts";
import type { AccessSize } from "../../src/core/device.ts";
import type { GuestMemory } from "../../src/core/guest-memory.ts";
import {
  type FakePciHost,
  FakeQueue,
  type RandomRegister,
  type VirtioTestDriver,
} from "./fake-driver.ts";
import type { SeededRandom } from "./random.ts";

/** `virtio_pci_common_cfg` (virtio 1.2 §4.1.4.3): offset and size. */
export const COMMON = {
  DEVICE_FEATURE_SELECT: [0x00, 4],
  DEVICE_FEATURE: [0x04, 4],
  DRIVER_FEATURE_SELECT: [0x08, 4],
  DRIVER_FEATURE: [0x0c, 4],
  CONFIG_MSIX_VECTOR: [0x10, 2],
  NUM_QUEUES: [0x12, 2],
  DEVICE_STATUS: [0x14, 1],
  CONFIG_GENERATION: [0x15, 1],
  QUEUE_SELECT: [0x16, 2],
  QUEUE_SIZE: [0x18, 2],
  QUEUE_MSIX_VECTOR: [0x1a, 2],
  QUEUE_ENABLE: [0x1c, 2],
  QUEUE_NOTIFY_OFF: [0x1e, 2],
  QUEUE_DESC: [0x20, 4],
  QUEUE_DESC_HIGH: [0x24, 4],
  QUEUE_DRIVER: [0x28, 4],
  QUEUE_DRIVER_HIGH: [0x2c, 4],
  QUEUE_DEVICE: [0x30, 4],
  QUEUE_DEVICE_HIGH: [0x34, 4],
} as const;

export const CAP = { COMMON: 1, NOTIFY: 2, ISR: 3, DEVICE: 4, PCI: 5 } as const;
const VENDOR_SPECIFIC = 0x09;
const MSIX = 0x11;

/** A structure that a capability points at; `at` is the capability's own place. */
export interface Structure {
  readonly at: number;
  readonly bar: number;
  readonly offset: number;
  readonly length: number;
}

/** Plays a driver of virtio 1.0 or later: through capabilities, memory, and rings in RAM. */
export class ModernDriver implements VirtioTestDriver {
  readonly pci: FakePciHost;
  readonly memory: GuestMemory;
  readonly slot: number;
  readonly #mmio: Bus;
  readonly #structures = new Map<number, Structure>();

  constructor(pci: FakePciHost, mmio: Bus, memory: GuestMemory, slot: number) {
    this.pci = pci;
    this.#mmio = mmio;
    this.memory = memory;
    this.slot = slot;
  }

  /** The capability list as a guest walks it. */
  capabilities(): { id: number; at: number }[] {
    const found: { id: number; at: number }[] = [];
    if ((this.pci.read(this.slot, 0x06, 2) & 0x10) === 0) return found;
    let at = this.pci.read(this.slot, 0x34, 1) & 0xfc;
    while (at !== 0 && found.length < 48) {
      found.push({ id: this.pci.read(this.slot, at, 1), at });
      at = this.pci.read(this.slot, at + 1, 1) & 0xfc;
    }
    return found;
  }

  structure(type: number): Structure {
    const known = this.#structures.get(type) ?? this.#findStructure(type);
    this.#structures.set(type, known);
    return known;
  }

  #findStructure(type: number): Structure {
    const { pci, slot } = this;
    const capability = this.capabilities().find(
      ({ id, at }) => id === VENDOR_SPECIFIC && pci.read(slot, at + 3, 1) === type,
    );
    if (capability === undefined) throw new Error(`there is no structure of type ${type}`);
    const { at } = capability;
    return {
      at,
      bar: pci.read(slot, at + 4, 1),
      offset: pci.read(slot, at + 8, 4),
      length: pci.read(slot, at + 12, 4),
    };
  }

  /** Where a structure is in memory, as the BAR says now. */
  address(type: number): number {
    const { bar, offset } = this.structure(type);
    return this.#barBase(bar) + offset;
  }

  get msix(): number {
    return this.capabilities().find(({ id }) => id === MSIX)?.at ?? 0;
  }

  /** Writes a vector's message, unmasked, and enables MSI-X. */
  setVector(vector: number, address: number, data: number): void {
    const entry = this.msixTable + 16 * vector;
    this.#mmio.write(entry, 4, address);
    this.#mmio.write(entry + 4, 4, 0);
    this.#mmio.write(entry + 8, 4, data);
    this.#mmio.write(entry + 12, 4, 0);
    this.pci.write(this.slot, this.msix + 2, 2, 0x8000);
  }

  get msixTable(): number {
    const place = this.pci.read(this.slot, this.msix + 4, 4);
    return this.#barBase(place & 7) + (place & ~7);
  }

  read(register: keyof typeof COMMON): number {
    const [offset, size] = COMMON[register];
    return this.#mmio.read(this.address(CAP.COMMON) + offset, size);
  }

  write(register: keyof typeof COMMON, value: number): void {
    const [offset, size] = COMMON[register];
    this.#mmio.write(this.address(CAP.COMMON) + offset, size, value);
  }

  readConfig(offset: number, size: AccessSize): number {
    return this.#mmio.read(this.address(CAP.DEVICE) + offset, size);
  }

  get status(): number {
    return this.read("DEVICE_STATUS");
  }

  set status(value: number) {
    this.write("DEVICE_STATUS", value);
  }

  takeInterrupts(): number {
    return this.#mmio.read(this.address(CAP.ISR), 1);
  }

  /** Feature bits offered: the lower and the upper 32. */
  offered(): [number, number] {
    const half = (index: number): number => {
      this.write("DEVICE_FEATURE_SELECT", index);
      return this.read("DEVICE_FEATURE");
    };
    return [half(0), half(1)];
  }

  choose(low: number, high: number): void {
    this.write("DRIVER_FEATURE_SELECT", 0);
    this.write("DRIVER_FEATURE", low);
    this.write("DRIVER_FEATURE_SELECT", 1);
    this.write("DRIVER_FEATURE", high);
  }

  tellQueue(index: number, address: number): void {
    this.write("QUEUE_SELECT", index);
    const size = this.read("QUEUE_SIZE");
    const available = address + 16 * size;
    this.#tell(address, available, (available + 6 + 2 * size + 3) & ~3);
    this.write("QUEUE_ENABLE", 1);
  }

  /** Zeroes a queue's rings at `address` and tells the device of them. */
  placeQueue(index: number, address: number, size?: number): FakeQueue {
    this.write("QUEUE_SELECT", index);
    if (size !== undefined) this.write("QUEUE_SIZE", size);
    const queue = new FakeQueue(this.memory, address, this.read("QUEUE_SIZE"), "tight");
    this.#tell(queue.descriptors, queue.available, queue.used);
    this.write("QUEUE_ENABLE", 1);
    return queue;
  }

  /** Up to where queues are placed (virtio 1.2 §3.1.1); returns the status. */
  negotiate(features: number): number {
    this.status = 0;
    this.status = 1;
    this.status = 3;
    const [offered] = this.offered();
    this.choose((offered & features) >>> 0, 1);
    this.status = 0x0b;
    return this.status;
  }

  start(addresses: readonly number[], features = 0): FakeQueue[] {
    this.negotiate(features);
    const queues = addresses.map((address, index) => this.placeQueue(index, address));
    this.status = 0x0f;
    return queues;
  }

  notify(queueIndex: number): void {
    const { at } = this.structure(CAP.NOTIFY);
    const multiplier = this.pci.read(this.slot, at + 16, 4);
    this.write("QUEUE_SELECT", queueIndex);
    const offset = this.read("QUEUE_NOTIFY_OFF") * multiplier;
    this.#mmio.write(this.address(CAP.NOTIFY) + offset, 2, queueIndex);
  }

  get registers(): readonly RandomRegister[] {
    const names = Object.keys(COMMON) as (keyof typeof COMMON)[];
    const values = [0, 1, 16, 0x1_0000, 0x2_0000, 0x5_f000];
    // Not what would put rings where the test does not know of.
    const others: readonly string[] = ["DEVICE_STATUS", "QUEUE_SIZE", "QUEUE_ENABLE"];
    return names
      .filter((name) => !others.includes(name))
      .map((name) => ({
        write: (random: SeededRandom) => {
          this.write(name, random.pick([...values, random.below(512), random.next()]));
        },
        read: () => void this.read(name),
      }));
  }

  #tell(descriptors: number, available: number, used: number): void {
    const place = (register: "QUEUE_DESC" | "QUEUE_DRIVER" | "QUEUE_DEVICE", at: number): void => {
      this.write(register, at % 2 ** 32);
      this.write(`${register}_HIGH`, Math.floor(at / 2 ** 32));
    };
    place("QUEUE_DESC", descriptors);
    place("QUEUE_DRIVER", available);
    place("QUEUE_DEVICE", used);
  }

  #barBase(bar: number): number {
    return (this.pci.read(this.slot, 0x10 + 4 * bar, 4) & ~0xf) >>> 0;
  }
}
