import {
  type AccessSize,
  type BusDevice,
  floating,
  readBytewise,
  writeBytewise,
} from "./device.ts";
import { assert } from "./errors.ts";
import { hex } from "./units.ts";

interface Range {
  readonly base: number;
  readonly length: number;
  readonly device: BusDevice;
}

/**
 * Routes accesses to the device that claims the address. What nobody claims reads as all ones and
 * swallows writes, as on a PC. An access that straddles a boundary is made byte by byte.
 *
 * Serves port I/O (16-bit addresses) and memory-mapped I/O alike.
 */
export class Bus implements BusDevice {
  readonly name: string;
  #ranges: Range[] = [];
  #last: Range | undefined;

  /** @param name for messages: `port` or `memory` */
  constructor(name: string) {
    this.name = name;
  }

  /** Claims `[base, base + length)` for `device`; returns what gives it up again. */
  claim(base: number, length: number, device: BusDevice): () => void {
    const taken = this.#ranges.find((r) => base < r.base + r.length && r.base < base + length);
    assert(
      taken === undefined,
      `${this.name} ${hex(base)}: already claimed by the range at ${hex(taken?.base ?? 0)}`,
    );
    const range = { base, length, device };
    this.#ranges.push(range);
    return () => {
      this.#ranges = this.#ranges.filter((r) => r !== range);
      if (this.#last === range) this.#last = undefined;
    };
  }

  /** Whether any device claims a byte of `[base, base + length)`. */
  claimed(base: number, length: number): boolean {
    return this.#ranges.some((r) => base < r.base + r.length && r.base < base + length);
  }

  read(address: number, size: AccessSize): number {
    const range = this.#find(address);
    if (range === undefined) {
      return size > 1 && this.claimed(address, size)
        ? readBytewise(this, address, size)
        : floating(size);
    }
    const offset = address - range.base;
    if (offset + size > range.length) return readBytewise(this, address, size);
    return range.device.read(offset, size);
  }

  write(address: number, size: AccessSize, value: number): void {
    const range = this.#find(address);
    if (range === undefined) {
      if (size > 1 && this.claimed(address, size)) writeBytewise(this, address, size, value);
      return;
    }
    const offset = address - range.base;
    if (offset + size > range.length) writeBytewise(this, address, size, value);
    else range.device.write(offset, size, value);
  }

  #find(address: number): Range | undefined {
    // Accesses come in runs to one device: remember the last.
    const last = this.#last;
    if (last !== undefined && address >= last.base && address < last.base + last.length) {
      return last;
    }
    for (const range of this.#ranges) {
      if (address >= range.base && address < range.base + range.length) {
        this.#last = range;
        return range;
      }
    }
    return undefined;
  }
}
