import { linearOf } from "../memory/linear.ts";

const PAGE_SIZE = 4096;
/** Pages that a function is looked for on: that of an instruction of it, and those before. */
const REACH = 2;
/** Functions that are known, at most: then all are forgotten. */
const MAX_CALLEES = 50_000;

/** Where the guest's code has functions: the linear addresses that calls in it name. */
export class Callees {
  readonly #byPage = new Map<number, Set<number>>();
  #count = 0;

  add(linear: bigint): void {
    const address = linearOf(linear);
    const page = Math.floor(address / PAGE_SIZE);
    const callees = this.#byPage.get(page) ?? new Set();
    if (callees.has(address)) return;
    if (++this.#count > MAX_CALLEES) this.clear();
    this.#byPage.set(page, callees.add(address));
  }

  /** The last at or before a linear address: what is there is likely to be part of that function. */
  before(linear: bigint): bigint | undefined {
    const address = linearOf(linear);
    const page = Math.floor(address / PAGE_SIZE);
    for (let n = 0; n <= REACH; n++) {
      let last = Number.NEGATIVE_INFINITY;
      for (const callee of this.#byPage.get(page - n) ?? []) {
        if (callee <= address && callee > last) last = callee;
      }
      if (last > Number.NEGATIVE_INFINITY) return BigInt.asUintN(64, BigInt(last));
    }
    return undefined;
  }

  clear(): void {
    this.#byPage.clear();
    this.#count = 0;
  }
}
