/** Registers by number (Intel SDM vol. 2A, table 3-1 and §2.1.5). */

export const SEGMENT_NAMES = ["es", "cs", "ss", "ds", "fs", "gs"] as const;

const NAMES = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"] as const;
const LOW_BYTES = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"] as const;
const HIGH_BYTES = ["ah", "ch", "dh", "bh"] as const;
const SUFFIX: Readonly<Record<number, string>> = { 16: "w", 32: "d", 64: "" };
const PREFIX: Readonly<Record<number, string>> = { 16: "", 32: "e", 64: "r" };

/** @param bits 16, 32 or 64 */
export const generalRegister = (number: number, bits: number): string =>
  number >= 8 ? `r${number}${SUFFIX[bits]}` : `${PREFIX[bits]}${NAMES[number]}`;

/** @param rex 0 without the prefix: registers 4 to 7 are then the high bytes of the first four */
export function byteRegister(number: number, rex: number): string {
  if (number >= 8) return `r${number}b`;
  const high = rex === 0 ? HIGH_BYTES[number - 4] : undefined;
  return high ?? LOW_BYTES[number] ?? "?";
}
