/** Sequence numbers of TCP (RFC 9293 §3.4): 32 bits that wrap. */

export const sequenceAdd = (number: number, distance: number): number => (number + distance) >>> 0;

/** How far `one` is after `other`: negative if it is before. */
export const sequenceDistance = (one: number, other: number): number => (one - other) | 0;
