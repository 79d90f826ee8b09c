import { GuestError } from "./errors.ts";
import { type Gpa, hex, MIB } from "./units.ts";

/**
 * Where guest RAM begins in a WebAssembly memory. What comes before is for the processor written in
 * TypeScript: its state is at constant offsets then, and generated code adds a constant to get from
 * a guest physical address to memory. Unused, it costs address space only.
 */
export const RAM_OFFSET = 52 * MIB;

/** What the guest may do with some pages of RAM, whatever its own page tables say. */
export interface MemoryProtection {
  /** Guest physical addresses, of pages. */
  readonly start: number;
  readonly end: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
}

/** Where pixels are, which a display shows: guest physical addresses. */
export interface VideoMemory {
  readonly address: number;
  readonly length: number;
}

/**
 * Guest RAM: the one place where a guest physical address becomes host memory, and so the one
 * bounds check. RAM is contiguous from GPA 0 to {@link size}; video memory, if there is any, is behind it.
 *
 * The guest may change its memory between two reads: read a shared field once, then validate.
 */
export class GuestMemory {
  /** The backing store, which may begin before RAM does. */
  readonly buffer: ArrayBuffer;
  /** Bytes of RAM. */
  readonly size: number;
  readonly videoMemory: VideoMemory | undefined;
  /** First address behind RAM and video memory: to a processor all of it is memory. */
  readonly extent: number;
  /** While it is known that what nobody has written yet is zero: before the guest first runs. */
  fresh = false;
  /** Set before there is a processor, which keeps the guest to it as far as it can. */
  protections: readonly MemoryProtection[] = [];
  /**
   * Hears of what anybody but the guest writes, before or after: a processor that keeps what it made
   * of the guest's code must forget it then.
   */
  onWrite: (address: number, length: number) => void = () => {};
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;

  /**
   * @param buffer backing store; never detached or resized
   * @param offset of guest physical address 0
   * @param size bytes of guest RAM
   */
  constructor(
    buffer: ArrayBuffer,
    offset = 0,
    size: number = buffer.byteLength - offset,
    videoMemory?: VideoMemory,
  ) {
    this.buffer = buffer;
    this.size = size;
    this.videoMemory = videoMemory;
    this.extent = videoMemory === undefined ? size : videoMemory.address + videoMemory.length;
    this.#bytes = new Uint8Array(buffer, offset, this.extent);
    this.#view = new DataView(buffer, offset, this.extent);
  }

  /** Whether `length` bytes at `address` lie in RAM or video memory. */
  contains(address: number, length: number): boolean {
    return address >= 0 && length >= 0 && address + length <= this.extent;
  }

  /**
   * The bytes themselves, not a copy.
   * @throws {@link GuestError} `memory` when any of them is outside RAM
   */
  slice(address: Gpa, length: number): Uint8Array<ArrayBuffer> {
    this.#check(address, length);
    return this.#bytes.subarray(address, address + length);
  }

  /** As {@link slice}, for somebody who is about to write there. */
  writableSlice(address: Gpa, length: number): Uint8Array<ArrayBuffer> {
    const bytes = this.slice(address, length);
    this.onWrite(address, length);
    return bytes;
  }

  /** @throws {@link GuestError} `memory`, as all accessors below */
  write(address: Gpa, data: Uint8Array): void {
    this.#check(address, data.length);
    this.#bytes.set(data, address);
    this.onWrite(address, data.length);
  }

  fill(address: Gpa, length: number, value = 0): void {
    this.#check(address, length);
    this.#bytes.fill(value, address, address + length);
    this.onWrite(address, length);
  }

  readU8(address: Gpa): number {
    this.#check(address, 1);
    return this.#bytes[address] as number;
  }

  readU16(address: Gpa): number {
    this.#check(address, 2);
    return this.#view.getUint16(address, true);
  }

  readU32(address: Gpa): number {
    this.#check(address, 4);
    return this.#view.getUint32(address, true);
  }

  /** Values of 2^53 and above lose low bits; as addresses they are far outside RAM either way. */
  readU64(address: Gpa): number {
    this.#check(address, 8);
    return (
      this.#view.getUint32(address, true) + this.#view.getUint32(address + 4, true) * 0x1_0000_0000
    );
  }

  writeU8(address: Gpa, value: number): void {
    this.#check(address, 1);
    this.#bytes[address] = value;
    this.onWrite(address, 1);
  }

  writeU16(address: Gpa, value: number): void {
    this.#check(address, 2);
    this.#view.setUint16(address, value, true);
    this.onWrite(address, 2);
  }

  writeU32(address: Gpa, value: number): void {
    this.#check(address, 4);
    this.#view.setUint32(address, value, true);
    this.onWrite(address, 4);
  }

  writeU64(address: Gpa, value: number): void {
    this.#check(address, 8);
    this.#view.setUint32(address, value, true);
    this.#view.setUint32(address + 4, Math.floor(value / 0x1_0000_0000), true);
    this.onWrite(address, 8);
  }

  #check(address: number, length: number): void {
    if (!this.contains(address, length)) {
      throw new GuestError(
        "memory",
        `guest address ${hex(address)} and the ${length} bytes from it are not in RAM (${hex(this.size)} bytes)`,
      );
    }
  }
}
