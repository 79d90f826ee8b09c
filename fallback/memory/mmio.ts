export interface MmioAccess {
  /** Guest physical, outside RAM. */
  readonly address: number;
  /** Bytes, 1 to 8; never across a page. */
  readonly size: number;
  readonly write: boolean;
  /** What is written, or what was read. */
  readonly value: bigint;
}

/**
 * Thrown at an access outside RAM that nobody has answered yet: the instruction is abandoned, the
 * run loop asks the device, and the instruction is executed again with the answer in the log.
 */
export class MmioNeeded implements MmioAccess {
  readonly address: number;
  readonly size: number;
  readonly write: boolean;
  readonly value: bigint;

  constructor(address: number, size: number, write: boolean, value: bigint) {
    this.address = address;
    this.size = size;
    this.write = write;
    this.value = value;
  }
}

/** The accesses outside RAM that the instruction under way has completed, in order. */
export class MmioLog {
  readonly #done: MmioAccess[] = [];
  #next = 0;
  #unanswered = false;

  /** The instruction has retired, or faulted for good. */
  clear(): void {
    this.#done.length = 0;
    this.#next = 0;
  }

  /** The instruction is about to be executed again from its start. */
  rewind(): void {
    this.#next = 0;
  }

  /** Whether the instruction, since it began anew, has made an access that is in the log. */
  get replayed(): boolean {
    return this.#next > 0;
  }

  /** The device has answered. @param value what it read; for writes what was written */
  complete(access: MmioAccess, value: bigint): void {
    const { address, size, write } = access;
    this.#done.push({ address, size, write, value });
  }

  /**
   * Runs something that cannot be executed again: nobody answers outside RAM, reads are all ones
   * and writes are lost.
   */
  unanswered<Result>(run: () => Result): Result {
    const before = this.#unanswered;
    this.#unanswered = true;
    try {
      return run();
    } finally {
      this.#unanswered = before;
    }
  }

  /** @throws MmioNeeded unless the log has the answer */
  read(address: number, size: number): bigint {
    if (this.#unanswered) return BigInt.asUintN(8 * size, -1n);
    return this.#replay(address, size, false, 0n).value;
  }

  /** @throws MmioNeeded unless the write has been done */
  write(address: number, size: number, value: bigint): void {
    if (this.#unanswered) return;
    this.#replay(address, size, true, value);
  }

  #replay(address: number, size: number, write: boolean, value: bigint): MmioAccess {
    const done = this.#done[this.#next];
    const same = done?.address === address && done.size === size && done.write === write;
    if (done === undefined || !same) {
      // A device may have changed the guest's page tables meanwhile: what follows is another access.
      this.#done.length = this.#next;
      throw new MmioNeeded(address, size, write, value);
    }
    this.#next += 1;
    return done;
  }
}
