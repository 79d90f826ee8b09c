import { GuestError } from "../core/errors.ts";
import { GIB, hex, MIB } from "../core/units.ts";
import { alignUp } from "./data-view.ts";
import { CONVENTIONAL_END, EXTENDED_START } from "./memory-map.ts";

interface Range {
  readonly start: number;
  readonly end: number;
  readonly what: string;
}

/** Physical addresses in boot protocols have 32 bits. */
const ADDRESS_LIMIT = 4 * GIB;

/**
 * Who gets which part of guest memory, decided before a byte is written. The PC's reserved part
 * below 1 MiB is taken from the start.
 */
export class Placement {
  readonly #ranges: Range[] = [
    { start: CONVENTIONAL_END, end: EXTENDED_START, what: "the PC's video and firmware area" },
  ];

  /** End of the highest part that is taken. */
  get top(): number {
    return Math.max(...this.#ranges.map(({ end }) => end));
  }

  /**
   * @param what for messages
   * @throws GuestError `image` when any of it is taken or above 4 GiB
   */
  claim(start: number, length: number, what: string): void {
    const end = start + length;
    if (!(end <= ADDRESS_LIMIT)) {
      throw new GuestError(
        "image",
        `${what} at ${hex(start)}, ${hex(length)} bytes long, is above 4 GiB`,
      );
    }
    const other = this.#overlapping(start, end);
    if (other !== undefined) {
      throw new GuestError(
        "image",
        `${what} at ${hex(start)} overlaps ${other.what} at ${hex(other.start)}`,
      );
    }
    if (length > 0) this.#ranges.push({ start, end, what });
  }

  isFree(start: number, length: number): boolean {
    return (
      start + length <= ADDRESS_LIMIT && this.#overlapping(start, start + length) === undefined
    );
  }

  /** The lowest free place for `length` bytes at or above `from`; it may be outside RAM. */
  findFree(from: number, length: number, alignment: number): number {
    let start = alignUp(from, alignment);
    let obstacle = this.#overlapping(start, start + length);
    while (obstacle !== undefined) {
      start = alignUp(obstacle.end, alignment);
      obstacle = this.#overlapping(start, start + length);
    }
    return start;
  }

  /**
   * As {@link findFree}; where that would end behind `limit`, as it does with a kernel at the end of RAM
   * before it, from where RAM above 1 MiB begins.
   */
  findFreeUpTo(limit: number, from: number, length: number, alignment: number): number {
    const place = this.findFree(from, length, alignment);
    return place + length <= limit ? place : this.findFree(EXTENDED_START, length, alignment);
  }

  /** @throws GuestError `image` when not everything is inside RAM of `size` bytes */
  requireRam(size: number): void {
    if (this.top <= size) return;
    throw new GuestError(
      "image",
      `image does not fit: needs ${Math.ceil(this.top / MIB)} MiB, has ${Math.floor(size / MIB)}; raise --mem`,
    );
  }

  #overlapping(start: number, end: number): Range | undefined {
    return this.#ranges.find((range) => start < range.end && range.start < end);
  }
}
