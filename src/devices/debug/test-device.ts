import { type AccessSize, type BusDevice, floating } from "../../core/device.ts";
import type { IrqLine } from "../../core/irq-line.ts";

const LATCH_BYTES = 4;
const MEMORY_BYTES = 0x1_0000;

/**
 * QEMU's `pc-testdev`, which test-suites of the architecture use to see port and memory accesses
 * from outside the processor, and to raise interrupts at will. Three parts in three places.
 */
export class TestDevice {
  /** Holds the last value written, of any width. */
  readonly latch: BusDevice & { readonly length: number };
  /** One port for each interrupt line: zero lowers it, anything else raises it. */
  readonly lines: BusDevice & { readonly length: number };
  /** Behaves as memory that is a device's: each access is an exit. */
  readonly memory: BusDevice & { readonly length: number };

  constructor(lines: readonly IrqLine[]) {
    this.latch = new Latch();
    this.lines = new Lines(lines);
    this.memory = new DeviceMemory();
  }
}

class Latch implements BusDevice {
  readonly length = LATCH_BYTES;
  #value = 0;

  read(offset: number, size: AccessSize): number {
    return ((this.#value >>> (8 * offset)) & floating(size)) >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    const shift = 8 * offset;
    const mask = floating(size) << shift;
    this.#value = ((this.#value & ~mask) | (value << shift)) >>> 0;
  }
}

class Lines implements BusDevice {
  readonly length: number;
  readonly #lines: readonly IrqLine[];

  constructor(lines: readonly IrqLine[]) {
    this.length = lines.length;
    this.#lines = lines;
  }

  read(_offset: number, size: AccessSize): number {
    return floating(size);
  }

  /** A wider write is one to the line of its first port. */
  write(offset: number, _size: AccessSize, value: number): void {
    this.#lines[offset]?.set(value !== 0);
  }
}

class DeviceMemory implements BusDevice {
  readonly length = MEMORY_BYTES;
  readonly #view = new DataView(new ArrayBuffer(MEMORY_BYTES));

  read(offset: number, size: AccessSize): number {
    if (size === 1) return this.#view.getUint8(offset);
    return size === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint32(offset, true);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size === 1) this.#view.setUint8(offset, value);
    else if (size === 2) this.#view.setUint16(offset, value, true);
    else this.#view.setUint32(offset, value, true);
  }
}
