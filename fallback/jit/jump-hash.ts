/** Bits of an address by which the targets of a jump are told apart. */
export interface TargetHash {
  readonly shift: number;
  readonly mask: number;
  /** By the bits: the index of the target. */
  readonly order: readonly number[];
}

const MAX_HASH_BITS = 8;

/** Looks for bits by which all differ. */
export function findHash(targets: readonly bigint[]): TargetHash | undefined {
  if (targets.length === 0) return undefined;
  for (let bits = Math.ceil(Math.log2(targets.length)); bits <= MAX_HASH_BITS; bits++) {
    const mask = 2 ** bits - 1;
    for (let shift = 0; shift <= 16; shift++) {
      const places = targets.map((rip) => Number(rip >> BigInt(shift)) & mask);
      if (new Set(places).size < targets.length) continue;
      const order = Array.from({ length: mask + 1 }, (_, place) => places.indexOf(place));
      return { shift, mask, order };
    }
  }
  return undefined;
}
