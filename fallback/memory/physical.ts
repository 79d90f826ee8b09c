import type { MemoryProtection } from "../../src/core/guest-memory.ts";
import { RAM_BASE } from "../state.ts";
import type { Access } from "./paging.ts";

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 1 << PAGE_SHIFT;
const ALL_ONES = 0xffff_ffff;

/** What pages deny: bits of a byte for each page. */
const DENIES = { read: 1, write: 2, execute: 4 } as const satisfies Record<Access, number>;
/** What a page of 2 MiB has, and what is asked for at once where there are such (Intel SDM vol. 3A §4.5). */
export const CHUNK = 2 * 1024 * 1024;

/**
 * Guest RAM as the processor's own tables see it: addresses outside read as all ones. Pages may be
 * protected below the guest's paging; for an access that is denied there is no RAM.
 */
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

  /** As far as the last page that denies anything. */
  #denied: Uint8Array | undefined;
  /** The same of 2 MiB: what any page of them denies. */
  readonly #deniedInChunks = new Map<number, number>();

  contains(address: number, length: number): boolean {
    return address + length <= this.size;
  }

  /** Before the first access: what was found out about pages would not be found out again. */
  protect(protections: readonly MemoryProtection[]): void {
    if (protections.length === 0) return;
    const end = Math.max(...protections.map((protection) => protection.end));
    const denied = new Uint8Array(Math.ceil(end / PAGE_SIZE));
    for (const { start, end, read, write, execute } of protections) {
      const denies =
        (read ? 0 : DENIES.read) | (write ? 0 : DENIES.write) | (execute ? 0 : DENIES.execute);
      denied.fill(denies, start / PAGE_SIZE, end / PAGE_SIZE);
      if (denies === 0) continue;
      for (let at = start; at < end; at += PAGE_SIZE) {
        const chunk = Math.floor(at / CHUNK);
        this.#deniedInChunks.set(chunk, (this.#deniedInChunks.get(chunk) ?? 0) | denies);
      }
    }
    this.#denied = denied;
  }

  /** From which page on, a multiple of its size, none denies anything. */
  get plainFrom(): number {
    return (this.#denied?.length ?? 0) * PAGE_SIZE;
  }

  /** Whether there is RAM for an access, which does not reach into a second page. */
  allows(access: Access, address: number, length: number): boolean {
    if (!this.contains(address, length)) return false;
    const denied = this.#denied?.[Math.floor(address / PAGE_SIZE)] ?? 0;
    return (denied & DENIES[access]) === 0;
  }

  /** Whether the aligned 2 MiB at an address are RAM, and no page of it denies the access. */
  allowsChunk(access: Access, address: number): boolean {
    const denied = this.#deniedInChunks.get(address / CHUNK) ?? 0;
    return this.contains(address, CHUNK) && (denied & DENIES[access]) === 0;
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
