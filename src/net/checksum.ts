/**
 * The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit
 * words. Over data that contains its own checksum it is 0.
 * @param initial what else is in the sum, of a few words: a pseudo header's
 */
export function checksum(data: Uint8Array, initial = 0): number {
  // The two halves of the words apart: most of the time of a large packet goes into this loop.
  let high = 0;
  let low = initial;
  const even = data.length & ~1;
  for (let i = 0; i < even; i += 2) {
    high += data[i] as number;
    low += data[i + 1] as number;
  }
  if (even < data.length) high += data[even] as number;
  // Packets have at most 65535 bytes, so the sum has at most 32 bits: two folds are enough.
  let sum = (high << 8) + low;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
