/**
 * The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit
 * words. Over data that contains its own checksum it is 0.
 */
export function checksum(data: Uint8Array): number {
  let sum = 0;
  let i = 0;
  for (; i + 1 < data.length; i += 2) sum += ((data[i] as number) << 8) | (data[i + 1] as number);
  if (i < data.length) sum += (data[i] as number) << 8;
  // Packets have at most 65535 bytes, so the sum has at most 31 bits: two folds are enough.
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
