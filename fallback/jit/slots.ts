import type { Block } from "../interpreter/block.ts";
import type { SegmentTraits } from "../segment-traits.ts";
import { REGION_SLOTS, USER_CODE } from "../state.ts";

const FIRST_SLOT = 1;

/** A linear address, and for what its code is translated: the same in each run. */
export function slotKey(linear: bigint, caller: CodeOf, segments: SegmentTraits): bigint {
  const { codeSize, limit, user } = caller;
  const address = user ? linear ^ USER_CODE : linear;
  if (codeSize === 64) return address;
  const base = BigInt.asUintN(32, caller.linear - caller.rip);
  const mode = (((base << 32n) | limit) << 16n) | BigInt(segments);
  return (mode << 72n) | (BigInt(codeSize) << 64n) | address;
}

type CodeOf = Pick<Block, "linear" | "rip" | "codeSize" | "limit" | "user">;

/** Places of the table of regions by {@link slotKey}, given out one after the other; 0 is none. */
export class Slots {
  readonly #slots = new Map<bigint, number>();
  #next = FIRST_SLOT;

  /** Whether `count` more can be had. */
  hasRoom(count: number): boolean {
    return this.#next + count <= REGION_SLOTS;
  }

  /** That of what is called. @param key of {@link slotKey} */
  of(key: bigint): number {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const slot = this.#next++;
    this.#slots.set(key, slot);
    return slot;
  }

  /** Leaves them to what has got them from others. */
  reserve(slots: ReadonlyMap<bigint, number>): void {
    for (const [key, slot] of slots) {
      this.#slots.set(key, slot);
      this.#next = Math.max(this.#next, slot + 1);
    }
  }

  get all(): ReadonlyMap<bigint, number> {
    return this.#slots;
  }

  clear(): void {
    this.#slots.clear();
    this.#next = FIRST_SLOT;
  }
}
