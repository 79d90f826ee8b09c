/**
 * What may be left to the other side of an Ethernet link on a frame: checksums, and the cutting up of
 * TCP segments that are larger than the link carries. A set of bits, with Linux's numbers (TUN_F_*).
 */
export const OFFLOAD = { CSUM: 1, TSO4: 2, TSO6: 4, TSO_ECN: 8 } as const;

/** In no set of offloads that anybody takes: no frame can be like that. */
const IMPOSSIBLE = 1 << 30;

/**
 * What was left undone is told by `virtio_net_hdr` (virtio 1.2 §5.1.6) without its last field, a frame's
 * number of buffers: that is also what a tap of Linux puts before a frame. Little-endian.
 */
export const OFFLOAD_HEADER_LENGTH = 10;
const FLAGS = 0;
const GSO_TYPE = 1;
const HDR_LEN = 2;
const GSO_SIZE = 4;
const CSUM_START = 6;
const CSUM_OFFSET = 8;

const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;

const VIRTIO_NET_HDR_GSO_NONE = 0;
const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
const VIRTIO_NET_HDR_GSO_TCPV6 = 4;
const VIRTIO_NET_HDR_GSO_ECN = 0x80;

/** Longest frame of a segment that is to be cut up: Ethernet's header and what §5.1.6.3.1 makes room for. */
export const MAX_OFFLOADED_FRAME = 65_550;

const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) | ((bytes[at + 1] as number) << 8);

function setWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

/** Whether a header says nothing at all. */
export const isPlain = (header: Uint8Array): boolean =>
  header[FLAGS] === 0 && header[GSO_TYPE] === VIRTIO_NET_HDR_GSO_NONE;

/** What a header says is undone of a frame: a set of {@link OFFLOAD}, or {@link IMPOSSIBLE}. */
export function offloadsIn(header: Uint8Array, frameLength: number): number {
  const gso = header[GSO_TYPE] as number;
  if (((header[FLAGS] as number) & VIRTIO_NET_HDR_F_NEEDS_CSUM) === 0) {
    return gso === VIRTIO_NET_HDR_GSO_NONE ? 0 : IMPOSSIBLE;
  }
  const field = word(header, CSUM_START) + word(header, CSUM_OFFSET);
  if (field + 2 > frameLength) return IMPOSSIBLE;
  if (gso === VIRTIO_NET_HDR_GSO_NONE) return OFFLOAD.CSUM;
  if (word(header, GSO_SIZE) === 0 || word(header, HDR_LEN) > frameLength) return IMPOSSIBLE;
  const ecn = (gso & VIRTIO_NET_HDR_GSO_ECN) === 0 ? 0 : OFFLOAD.TSO_ECN;
  switch (gso & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_TCPV4:
      return OFFLOAD.CSUM | OFFLOAD.TSO4 | ecn;
    case VIRTIO_NET_HDR_GSO_TCPV6:
      return OFFLOAD.CSUM | OFFLOAD.TSO6 | ecn;
    default:
      return IMPOSSIBLE;
  }
}

/** Where a checksum is to be made of what begins at `start`. */
export interface PartialChecksum {
  readonly start: number;
  /** Where it goes, and the sum of what else it covers is. */
  readonly field: number;
}

/** Undefined when no checksum is missing. */
export function partialChecksumIn(header: Uint8Array): PartialChecksum | undefined {
  if (((header[FLAGS] as number) & VIRTIO_NET_HDR_F_NEEDS_CSUM) === 0) return undefined;
  const start = word(header, CSUM_START);
  return { start, field: start + word(header, CSUM_OFFSET) };
}

/** Makes the header of a frame whose checksum is missing. */
export function setPartialChecksum(header: Uint8Array, { start, field }: PartialChecksum): void {
  header.fill(0, 0, OFFLOAD_HEADER_LENGTH);
  header[FLAGS] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  setWord(header, CSUM_START, start);
  setWord(header, CSUM_OFFSET, field - start);
}

/**
 * Adds to the header of a frame that it is a TCP segment over IPv4 to be cut up.
 * @param headerLength of all headers @param segmentSize of data in the parts but the last
 */
export function setSegmentation4(
  header: Uint8Array,
  headerLength: number,
  segmentSize: number,
): void {
  header[GSO_TYPE] = VIRTIO_NET_HDR_GSO_TCPV4;
  setWord(header, HDR_LEN, headerLength);
  setWord(header, GSO_SIZE, segmentSize);
}
