import { assert } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { gpa } from "../../core/units.ts";

/**
 * One buffer of a driver: bytes that the device reads, then bytes that it writes, each part in any
 * number of pieces of guest memory. All pieces were checked to lie in RAM.
 *
 * A queue has one of these and fills it anew for each buffer, so that nothing is allocated.
 */
export class DescriptorChain {
  readonly #memory: GuestMemory;
  readonly #addresses: Float64Array;
  readonly #lengths: Uint32Array;
  #pieces = 0;
  #readablePieces = 0;
  /** Descriptor index of the chain's head: its name in the used ring. */
  head = 0;
  /** Bytes for the device to read. */
  readableLength = 0;
  /** Bytes for the device to write. */
  writableLength = 0;

  /** @param capacity pieces at most */
  constructor(memory: GuestMemory, capacity: number) {
    this.#memory = memory;
    this.#addresses = new Float64Array(capacity);
    this.#lengths = new Uint32Array(capacity);
  }

  /** Empties the chain for the buffer that `head` names. */
  begin(head: number): void {
    this.head = head;
    this.#pieces = 0;
    this.#readablePieces = 0;
    this.readableLength = 0;
    this.writableLength = 0;
  }

  /** Readable pieces come first. The range must lie in RAM. */
  append(address: number, length: number, writable: boolean): void {
    this.#addresses[this.#pieces] = address;
    this.#lengths[this.#pieces] = length;
    this.#pieces++;
    if (writable) {
      this.writableLength += length;
    } else {
      this.readableLength += length;
      this.#readablePieces = this.#pieces;
    }
  }

  /** Fills `into` with the readable bytes from `offset` on, which must be there. */
  read(offset: number, into: Uint8Array): void {
    assert(offset + into.length <= this.readableLength, "the chain holds what is read");
    let skip = offset;
    let done = 0;
    for (let i = 0; done < into.length; i++) {
      const length = this.#lengths[i] as number;
      if (skip >= length) {
        skip -= length;
        continue;
      }
      const count = Math.min(length - skip, into.length - done);
      into.set(this.#memory.slice(gpa((this.#addresses[i] as number) + skip), count), done);
      done += count;
      skip = 0;
    }
  }

  /** Stores `from` into the writable bytes from `offset` on, which must be there. */
  write(offset: number, from: Uint8Array): void {
    assert(offset + from.length <= this.writableLength, "the chain has room for what is written");
    let skip = offset;
    let done = 0;
    for (let i = this.#readablePieces; done < from.length; i++) {
      const length = this.#lengths[i] as number;
      if (skip >= length) {
        skip -= length;
        continue;
      }
      const count = Math.min(length - skip, from.length - done);
      const part = count === from.length ? from : from.subarray(done, done + count);
      this.#memory.write(gpa((this.#addresses[i] as number) + skip), part);
      done += count;
      skip = 0;
    }
  }

  /** Guest memory itself: the readable bytes `[offset, offset + length)`, piece by piece. */
  readable(offset: number, length: number): Uint8Array[] {
    assert(offset + length <= this.readableLength, "the chain holds what is read");
    return this.#slices(0, offset, length, false);
  }

  /** Guest memory itself: the writable bytes `[offset, offset + length)`, piece by piece. */
  writable(offset: number, length: number): Uint8Array[] {
    assert(offset + length <= this.writableLength, "the chain has room for what is written");
    return this.#slices(this.#readablePieces, offset, length, true);
  }

  #slices(firstPiece: number, offset: number, length: number, writable: boolean): Uint8Array[] {
    const slices: Uint8Array[] = [];
    let skip = offset;
    let left = length;
    for (let i = firstPiece; left > 0; i++) {
      const available = (this.#lengths[i] as number) - skip;
      if (available <= 0) {
        skip = -available;
        continue;
      }
      const count = Math.min(available, left);
      const address = gpa((this.#addresses[i] as number) + skip);
      slices.push(
        writable ? this.#memory.writableSlice(address, count) : this.#memory.slice(address, count),
      );
      left -= count;
      skip = 0;
    }
    return slices;
  }
}
