import { PAGE_SIZE } from "./physical.ts";

/** Thrown at an access that is not to be made unseen, before it is made. */
export class WatchedAccess {}

/** A data breakpoint: linear addresses, and which accesses count. */
export interface Watchpoint {
  readonly start: number;
  readonly length: number;
  readonly reads: boolean;
  readonly writes: boolean;
  /** What {@link Watchpoints.take} reports for it. */
  readonly bit: number;
}

/** The data breakpoints that are set, and those that have been hit. */
export class Watchpoints {
  #points: readonly Watchpoint[] = [];
  #hits = 0;

  set(points: readonly Watchpoint[]): void {
    this.#points = points;
    this.#hits = 0;
  }

  get any(): boolean {
    return this.#points.length > 0;
  }

  /** Whether any is in the `length` bytes at an address: they must not be accessed unseen. */
  within(linear: number, length = PAGE_SIZE): boolean {
    return this.any && this.#points.some((point) => overlaps(point, linear, length));
  }

  /** Whether such an access would count. */
  watches(linear: number, length: number, write: boolean): boolean {
    return this.#bitsOf(linear, length, write) !== 0;
  }

  /** @returns whether the access counts */
  accessed(linear: number, length: number, write: boolean): boolean {
    const hits = this.#bitsOf(linear, length, write);
    this.#hits |= hits;
    return hits !== 0;
  }

  #bitsOf(linear: number, length: number, write: boolean): number {
    let bits = 0;
    for (const point of this.#points) {
      const counts = write ? point.writes : point.reads;
      if (counts && overlaps(point, linear, length)) bits |= point.bit;
    }
    return bits;
  }

  /** Something else that is watched has been accessed. @param bit for {@link take} */
  hit(bit: number): void {
    this.#hits |= bit;
  }

  /** Bits of those hit since the last time. */
  take(): number {
    const hits = this.#hits;
    this.#hits = 0;
    return hits;
  }
}

const overlaps = ({ start, length }: Watchpoint, linear: number, bytes: number): boolean =>
  linear < start + length && start < linear + bytes;
