/**
 * Memory type range registers (Intel SDM vol. 3A §11.11): they hold what is written, memory is
 * memory of one type here.
 */
import { PHYSICAL_BITS } from "../bits.ts";
import { STATE } from "../state.ts";

const VARIABLE_COUNT = 8;
/** Fixed-range registers, and write-combining. */
const CAPABILITIES = BigInt(VARIABLE_COUNT | (1 << 8) | (1 << 10));
const MTRRCAP = 0xfe;
const PHYSBASE0 = 0x200;
const DEF_TYPE = 0x2ff;
/** Figure 11-8's order: 64 KiB, twice 16 KiB, eight times 4 KiB. */
const FIXED = [
  ...[0x250, 0x258, 0x259],
  ...[0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f],
];

const ABOVE_PHYSICAL = -1n << BigInt(PHYSICAL_BITS);
const BASE_RESERVED = ABOVE_PHYSICAL | 0xf00n;
const MASK_RESERVED = ABOVE_PHYSICAL | 0x7ffn;
const DEF_TYPE_RESERVED = ~0xcffn;
/** UC, WC, WT, WP and WB. */
const TYPES = new Set([0, 1, 4, 5, 6]);

/** A register of the state, and what may be written to it. */
export interface StoredMsr {
  readonly offset: number;
  readonly accepts: (value: bigint) => boolean;
}

const isType = (value: bigint): boolean => TYPES.has(Number(value & 0xffn));

/** Every byte of the value. */
export const everyByte = (value: bigint, accepts: (byte: number) => boolean): boolean =>
  [0n, 8n, 16n, 24n, 32n, 40n, 48n, 56n].every((shift) =>
    accepts(Number((value >> shift) & 0xffn)),
  );

/** The MSRs that only read, as [number, value]. */
export const MTRR_CONSTANTS = [[MTRRCAP, CAPABILITIES]] as const;

/** All that can be written, by number. */
export const MTRRS: ReadonlyMap<number, StoredMsr> = new Map([
  ...FIXED.map((msr, index): [number, StoredMsr] => [
    msr,
    {
      offset: STATE.MTRR_FIXED + 8 * index,
      accepts: (value) => everyByte(value, (byte) => TYPES.has(byte)),
    },
  ]),
  ...Array.from({ length: 2 * VARIABLE_COUNT }, (_, index): [number, StoredMsr] => [
    PHYSBASE0 + index,
    {
      offset: STATE.MTRR_VARIABLE + 8 * index,
      accepts:
        index % 2 === 0
          ? (value) => (value & BASE_RESERVED) === 0n && isType(value)
          : (value) => (value & MASK_RESERVED) === 0n,
    },
  ]),
  [
    DEF_TYPE,
    {
      offset: STATE.MTRR_DEF_TYPE,
      accepts: (value) => (value & DEF_TYPE_RESERVED) === 0n && isType(value),
    },
  ],
]);
