/** The x87 tag word (Intel SDM vol. 1 §8.1.7), which FXSAVE's image has in an abridged form. */

const STATUS_WORD = 0x02;
const ABRIDGED_TAGS = 0x04;
const ST = 0x20;
const REGISTERS = 8;

const VALID = 0;
const ZERO = 1;
const SPECIAL = 2;
const EMPTY = 3;

const topOf = (fx: Uint8Array): number => ((fx[STATUS_WORD + 1] ?? 0) >> 3) & 7;

/** Two bits for each register, by its physical number; derived from what is in it. */
export function readTagWord(fx: Uint8Array): number {
  const abridged = fx[ABRIDGED_TAGS] ?? 0;
  let tags = 0;
  for (let n = 0; n < REGISTERS; n++) {
    const used = (abridged & (1 << n)) !== 0;
    const at = ST + 16 * ((n - topOf(fx) + REGISTERS) % REGISTERS);
    tags |= (used ? classify(fx.subarray(at, at + 10)) : EMPTY) << (2 * n);
  }
  return tags;
}

export function writeTagWord(fx: Uint8Array, tags: number): void {
  let abridged = 0;
  for (let n = 0; n < REGISTERS; n++) {
    if (((tags >> (2 * n)) & 3) !== EMPTY) abridged |= 1 << n;
  }
  fx[ABRIDGED_TAGS] = abridged;
}

function classify(value: Uint8Array): number {
  const exponent = (((value[9] ?? 0) & 0x7f) << 8) | (value[8] ?? 0);
  const mantissaZero = value.subarray(0, 8).every((byte) => byte === 0);
  if (exponent === 0 && mantissaZero) return ZERO;
  const integerBit = ((value[7] ?? 0) & 0x80) !== 0;
  return exponent === 0 || exponent === 0x7fff || !integerBit ? SPECIAL : VALID;
}
