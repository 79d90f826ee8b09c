/** All linear addresses that mean RAM, by the guest's page tables. */
import type { GuestMemory } from "../core/guest-memory.ts";
import {
  type PageMapping,
  type PagingMode,
  type PagingRegisters,
  pagingMode,
  walkPages,
} from "./page-walk.ts";

export interface MappedRange {
  readonly linear: bigint;
  /** Guest physical address. */
  readonly physical: number;
  /** Bytes, all of them in RAM. */
  readonly length: number;
  readonly writable: boolean;
  readonly executable: boolean;
}

/** Tables that lead into each other map more than anybody wants to see. */
const MAX_PAGES = 1 << 16;

/** Bits of an address below those that choose an entry, by how many tables were looked at. */
const SHIFTS: Readonly<Record<Exclude<PagingMode, "none">, readonly bigint[]>> = {
  "4-level": [39n, 30n, 21n, 12n],
  PAE: [30n, 21n, 12n],
  "32-bit": [22n, 12n],
};

/** In the order of linear addresses; neighbours in both spaces, with the same rights, are one. */
export function mappedRanges(registers: PagingRegisters, memory: GuestMemory): MappedRange[] {
  const mode = pagingMode(registers);
  if (mode === "none") {
    const rights = { writable: true, executable: true };
    return [{ linear: 0n, physical: 0, length: memory.extent, ...rights }];
  }
  const ranges: MappedRange[] = [];
  let pages = 0;
  const end = mode === "4-level" ? 1n << 48n : 1n << 32n;
  for (let address = 0n; address < end && pages < MAX_PAGES; ) {
    const linear = mode === "4-level" ? canonical(address) : address;
    const { steps, mapping } = walkPages(registers, memory, linear);
    if (mapping === undefined) {
      const size = 1n << (SHIFTS[mode][steps.length - 1] as bigint);
      address = (address / size + 1n) * size;
    } else {
      pages++;
      add(ranges, linear, mapping, memory.extent);
      address += mapping.size;
    }
  }
  return ranges;
}

const canonical = (address: bigint): bigint => BigInt.asUintN(64, BigInt.asIntN(48, address));

function add(
  ranges: MappedRange[],
  linear: bigint,
  { physical: first, size, writable, executable }: PageMapping,
  ramSize: number,
): void {
  const physical = Number(first);
  const length = Math.min(Number(size), ramSize - physical);
  if (length <= 0) return;
  const last = ranges.at(-1);
  const joins =
    last !== undefined &&
    last.linear + BigInt(last.length) === linear &&
    last.physical + last.length === physical &&
    last.writable === writable &&
    last.executable === executable;
  if (joins) ranges[ranges.length - 1] = { ...last, length: last.length + length };
  else ranges.push({ linear, physical, length, writable, executable });
}
