import { CpuException, generalProtection, VECTOR } from "../exceptions.ts";
import { isCanonicalLinear } from "./linear.ts";
import { Mappings } from "./mappings.ts";
import { MmioLog } from "./mmio.ts";
import type { Access } from "./paging.ts";
import { PAGE_SIZE } from "./physical.ts";
import { WatchedAccess } from "./watchpoints.ts";

const WORD = 0x1_0000_0000;

/** Widths of accesses whose value is a number. */
export type NumberSize = 1 | 2 | 4;

/** Of x87, in bytes. */
const EXTENDED = 10;
const MOST_ALIGNED = 16;

/**
 * What is checked, by the bytes of an access (Intel SDM vol. 3A table 6-7): numbers are aligned to their size, those of
 * 80 bits to 8; x87's state, as it is in 16-bit and in 32-bit code, to 2 and to 4.
 */
const alignmentOf = (length: number): number =>
  length === EXTENDED ? 8 : Math.min(length & -length, MOST_ALIGNED);

/**
 * Memory as instructions see it: linear addresses, permissions, RAM and what is not RAM. Linear
 * addresses are signed numbers and canonical (`linear.ts`); `user` says with whose rights an access
 * is made: by default the current level's, `false` for what the processor does of its own accord
 * (descriptor tables, TSS).
 *
 * All accessors throw #PF as a `CpuException` (CR2 set), and `MmioNeeded` outside RAM. An access
 * across two pages checks both before the first byte is written.
 */
export class Mmu extends Mappings {
  readonly mmio = new MmioLog();
  /**
   * Whether accesses that are watched from outside are not made, but throw `WatchedAccess`: the
   * instruction is then executed by itself, so that one can stop behind it.
   */
  abandonsWatched = false;
  #areParts = false;

  /**
   * Code is about to be fetched from a page of RAM.
   * @throws MmioNeeded when the page is protected from that
   */
  checkFetch(address: number): void {
    if (!this.memory.allows("execute", address, 1)) this.mmio.read(address, 1);
  }

  /** Checks an access without making it: what follows will not fail. @throws CpuException #PF */
  check(linear: number, size: number, access: Access, user = this.user): void {
    if (this.abandonsWatched && this.fromOutside.watches(linear, size, access === "write")) {
      throw new WatchedAccess();
    }
    this.translate(linear, access, user);
    const inPage = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
    if (inPage < size) this.translate(this.#after(linear, inPage), access, user);
    this.#checkAligned(linear, size, user);
  }

  /** Runs something whose accesses are parts of one that has been checked. */
  asParts(run: () => void): void {
    this.#areParts = true;
    try {
      run();
    } finally {
      this.#areParts = false;
    }
  }

  /** @throws CpuException #AC(0), after all faults of pages (table 6-2) */
  #checkAligned(linear: number, length: number, user: boolean): void {
    if (!this.alignmentChecked || this.#areParts || !user) return;
    if ((linear & (alignmentOf(length) - 1)) !== 0) throw new CpuException(VECTOR.AC, 0);
  }

  #accessed(linear: number, length: number, write: boolean, user: boolean): void {
    this.#checkAligned(linear, length, user);
    if (!this.abandonsWatched) this.fromOutside.accessed(linear, length, write);
    else if (this.fromOutside.watches(linear, length, write)) throw new WatchedAccess();
    this.watchpoints.accessed(linear, length, write);
  }

  read(linear: number, size: NumberSize, user = this.user): number {
    const offset = linear & (PAGE_SIZE - 1);
    if (offset + size > PAGE_SIZE) return Number(this.#readAcross(linear, size, user));
    const address = this.translate(linear, "read", user);
    this.#accessed(linear, size, false, user);
    if (!this.memory.allows("read", address, size)) return Number(this.mmio.read(address, size));
    const { view } = this.memory;
    if (size === 4) return view.getUint32(address, true);
    return size === 2 ? view.getUint16(address, true) : view.getUint8(address);
  }

  read64(linear: number, user = this.user): bigint {
    if ((linear & (PAGE_SIZE - 1)) + 8 > PAGE_SIZE) return this.#readAcross(linear, 8, user);
    const address = this.translate(linear, "read", user);
    this.#accessed(linear, 8, false, user);
    if (!this.memory.allows("read", address, 8)) return this.mmio.read(address, 8);
    return this.memory.view.getBigUint64(address, true);
  }

  /** @param value its low `size` bytes are written */
  write(linear: number, size: NumberSize, value: number, user = this.user): void {
    if ((linear & (PAGE_SIZE - 1)) + size > PAGE_SIZE) {
      this.#writeAcross(linear, size, BigInt.asUintN(8 * size, BigInt(value)), user);
      return;
    }
    const address = this.translate(linear, "write", user);
    this.#accessed(linear, size, true, user);
    if (!this.memory.allows("write", address, size)) {
      this.mmio.write(address, size, BigInt.asUintN(8 * size, BigInt(value)));
      return;
    }
    this.noticeWrite(address, size);
    const { view } = this.memory;
    if (size === 4) view.setUint32(address, value, true);
    else if (size === 2) view.setUint16(address, value, true);
    else view.setUint8(address, value);
  }

  write64(linear: number, value: bigint, user = this.user): void {
    if ((linear & (PAGE_SIZE - 1)) + 8 > PAGE_SIZE) {
      this.#writeAcross(linear, 8, BigInt.asUintN(64, value), user);
      return;
    }
    const address = this.translate(linear, "write", user);
    this.#accessed(linear, 8, true, user);
    if (!this.memory.allows("write", address, 8)) {
      this.mmio.write(address, 8, BigInt.asUintN(64, value));
      return;
    }
    this.noticeWrite(address, 8);
    this.memory.view.setBigUint64(address, value, true);
  }

  /** Reads as many bytes as `target` has, at most a page. */
  readBytes(linear: number, target: Uint8Array, user = this.user): void {
    const first = Math.min(target.length, PAGE_SIZE - (linear & (PAGE_SIZE - 1)));
    const address = this.translate(linear, "read", user);
    const rest =
      first < target.length ? this.translate(this.#after(linear, first), "read", user) : 0;
    this.#accessed(linear, target.length, false, user);
    this.#readPhysical(address, target.subarray(0, first));
    if (first < target.length) this.#readPhysical(rest, target.subarray(first));
  }

  /** Writes the bytes of `source`, at most a page of them. */
  writeBytes(linear: number, source: Uint8Array, user = this.user): void {
    const first = Math.min(source.length, PAGE_SIZE - (linear & (PAGE_SIZE - 1)));
    const address = this.translate(linear, "write", user);
    const rest =
      first < source.length ? this.translate(this.#after(linear, first), "write", user) : 0;
    this.#accessed(linear, source.length, true, user);
    // What devices are to take comes before RAM: until they have, the instruction is executed again, and
    // has to find what it read.
    const isRam = this.memory.allows("write", address, first);
    if (!isRam) this.#writePhysical(address, source.subarray(0, first));
    if (first < source.length) this.#writePhysical(rest, source.subarray(first));
    if (isRam) this.#writePhysical(address, source.subarray(0, first));
  }

  /**
   * Where the second page of an access begins. Outside 64-bit mode addresses wrap at 4 GiB.
   * @throws CpuException #GP(0) where an access would leave the lower canonical half
   */
  #after(linear: number, bytes: number): number {
    const next = linear + bytes;
    if (next === WORD && !this.p.code64) return 0;
    if (!isCanonicalLinear(next)) throw generalProtection();
    return next;
  }

  #readAcross(linear: number, size: number, user: boolean): bigint {
    const bytes = new Uint8Array(8);
    this.readBytes(linear, bytes.subarray(0, size), user);
    return new DataView(bytes.buffer).getBigUint64(0, true);
  }

  #writeAcross(linear: number, size: number, value: bigint, user: boolean): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.writeBytes(linear, bytes.subarray(0, size), user);
  }

  #readPhysical(address: number, target: Uint8Array): void {
    if (this.memory.allows("read", address, target.length)) {
      target.set(this.memory.bytes.subarray(address, address + target.length));
      return;
    }
    const view = new DataView(new ArrayBuffer(8));
    for (let at = 0; at < target.length; at += 8) {
      const size = Math.min(8, target.length - at);
      view.setBigUint64(0, this.mmio.read(address + at, size), true);
      target.set(new Uint8Array(view.buffer, 0, size), at);
    }
  }

  #writePhysical(address: number, source: Uint8Array): void {
    if (this.memory.allows("write", address, source.length)) {
      this.noticeWrite(address, source.length);
      this.memory.bytes.set(source, address);
      return;
    }
    for (let at = 0; at < source.length; at += 8) {
      const part = source.subarray(at, at + 8);
      const value = part.reduce(
        (all, byte, index) => all | (BigInt(byte) << BigInt(8 * index)),
        0n,
      );
      this.mmio.write(address + at, part.length, value);
    }
  }
}
