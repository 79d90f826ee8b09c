import type { AccessSize, BusDevice } from "./device.ts";

/**
 * Registers without side effects: little-endian bytes, of which the guest may change those bits
 * that a mask allows. Bytes beyond the end read as zero and swallow writes.
 */
export class RegisterBytes implements BusDevice {
  readonly length: number;
  readonly #bytes: Uint8Array;
  readonly #atReset: Uint8Array;
  readonly #writable: Uint8Array;

  /** @param length bytes, all zero and read-only at first */
  constructor(length: number) {
    this.length = length;
    this.#bytes = new Uint8Array(length);
    this.#atReset = new Uint8Array(length);
    this.#writable = new Uint8Array(length);
  }

  /**
   * Lays down a field: its value now and after every reset, and which of its bits can be written.
   * @param size bytes, 1 to 4
   * @param writable mask over the field
   */
  define(offset: number, size: number, value: number, writable = 0): void {
    for (let i = 0; i < size; i++) {
      this.#bytes[offset + i] = value >>> (8 * i);
      this.#atReset[offset + i] = value >>> (8 * i);
      this.#writable[offset + i] = writable >>> (8 * i);
    }
  }

  read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= (this.#bytes[offset + i] ?? 0) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) {
      const mask = this.#writable[offset + i] ?? 0;
      const kept = (this.#bytes[offset + i] ?? 0) & ~mask;
      if (mask !== 0) this.#bytes[offset + i] = kept | ((value >>> (8 * i)) & mask);
    }
  }

  reset(): void {
    this.#bytes.set(this.#atReset);
  }
}
