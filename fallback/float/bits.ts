/** Arithmetic on natural numbers. */

/** Number of bits up to the highest one set: 0 for 0. @param value not negative */
export function bitLength(value: bigint): number {
  let rest = value;
  let length = 0;
  while (rest >= 0x1_0000_0000_0000_0000n) {
    rest >>= 64n;
    length += 64;
  }
  if (rest >= 0x1_0000_0000n) {
    rest >>= 32n;
    length += 32;
  }
  return length + 32 - Math.clz32(Number(rest));
}

/** Rounded down. @param value below 2^140 */
export function integerSquareRoot(value: bigint): bigint {
  if (value === 0n) return 0n;
  const shift = BigInt(Math.max(0, bitLength(value) - 104) & ~1);
  let root = (BigInt(Math.floor(Math.sqrt(Number(value >> shift)))) + 1n) << (shift >> 1n);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
