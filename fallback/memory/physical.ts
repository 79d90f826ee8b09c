import { RAM_BASE } from "../state.ts";

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 1 << PAGE_SHIFT;
const ALL_ONES = 0xffff_ffff;

/** Guest RAM as the processor's own tables see it: addresses outside read as all ones. */
export class PhysicalMemory {
  /** Bytes; RAM is contiguous from guest physical address 0. */
  readonly size: number;
  readonly view: DataView;
  readonly bytes: Uint8Array;

  /** @param buffer with RAM at `RAM_BASE` */
  constructor(buffer: ArrayBuffer, size: number) {
    this.size = size;
    this.view = new DataView(buffer, RAM_BASE, size);
    this.bytes = new Uint8Array(buffer, RAM_BASE, size);
  }

  contains(address: number, length: number): boolean {
    return address + length <= this.size;
  }

  /** The bytes from an address to the end of its page: what code is read from. */
  pageFrom(address: number): Uint8Array {
    const length = PAGE_SIZE - (address % PAGE_SIZE);
    if (!this.contains(address, length)) return new Uint8Array(length).fill(0xff);
    return this.bytes.subarray(address, address + length);
  }

  readU32(address: number): number {
    return this.contains(address, 4) ? this.view.getUint32(address, true) : ALL_ONES;
  }

  /** Sets bits. @returns whether there is memory */
  orU32(address: number, bits: number): boolean {
    if (!this.contains(address, 4)) return false;
    this.view.setUint32(address, this.view.getUint32(address, true) | bits, true);
    return true;
  }
}
