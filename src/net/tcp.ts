/** Segments of TCP (RFC 9293 §3.1), with the options MSS and window scale (RFC 7323 §2). */

import { checksum } from "./checksum.ts";
import { type Addresses, PROTOCOL_TCP, pseudoHeaderSum, setLong, setWord } from "./ipv4.ts";
import { partialChecksum } from "./partial-checksum.ts";
import { sequenceAdd } from "./sequence.ts";

export const TCP_FLAG = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 } as const;

const MIN_HEADER_LENGTH = 20;
/** Where the checksum is. */
export const TCP_CHECKSUM = 16;
/** MSS, a filler and window scale, which only a SYN has. */
const SYN_HEADER_LENGTH = MIN_HEADER_LENGTH + 8;
const OPTION = { END: 0, NO_OPERATION: 1, MSS: 2, WINDOW_SCALE: 3 } as const;
/** RFC 7323 §2.3. */
const MAX_WINDOW_SCALE = 14;

export interface TcpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  /** 0 without {@link TCP_FLAG}.ACK. */
  readonly acknowledgement: number;
  /** Of {@link TCP_FLAG}. */
  readonly flags: number;
  /** As it stands there: not scaled. */
  readonly window: number;
  /** MSS, if it is there: in a SYN. */
  readonly maxSegmentSize?: number | undefined;
  /** Shift count, if it is there: in a SYN. */
  readonly windowScale?: number | undefined;
}

export interface TcpSegment extends TcpHeader {
  readonly payload: Uint8Array;
}

/** What a segment takes of the sequence numbers. */
export const sequenceLength = ({ flags, payload }: TcpSegment): number =>
  payload.length + ((flags & TCP_FLAG.SYN) !== 0 ? 1 : 0) + ((flags & TCP_FLAG.FIN) !== 0 ? 1 : 0);

/** What is answered to a segment that belongs to no connection (§3.10.7.1). */
export const refusalOf = (
  segment: TcpSegment,
): Omit<TcpHeader, "sourcePort" | "destinationPort"> =>
  (segment.flags & TCP_FLAG.ACK) !== 0
    ? { sequence: segment.acknowledgement, acknowledgement: 0, flags: TCP_FLAG.RST, window: 0 }
    : {
        sequence: 0,
        acknowledgement: sequenceAdd(segment.sequence, sequenceLength(segment)),
        flags: TCP_FLAG.RST | TCP_FLAG.ACK,
        window: 0,
      };

/**
 * Undefined when lengths, options or the checksum are wrong. `payload` is a view of `bytes`.
 * @param partial the checksum is not made yet
 */
export function parseTcp(
  bytes: Uint8Array,
  addresses: Addresses,
  partial = false,
): TcpSegment | undefined {
  if (bytes.length < MIN_HEADER_LENGTH) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = (view.getUint8(12) >>> 4) * 4;
  if (headerLength < MIN_HEADER_LENGTH || headerLength > bytes.length) return undefined;
  const pseudoHeader = pseudoHeaderSum(addresses, PROTOCOL_TCP, bytes.length);
  if (!partial && checksum(bytes, pseudoHeader) !== 0) return undefined;
  const flags = view.getUint8(13);
  const options =
    (flags & TCP_FLAG.SYN) === 0
      ? NO_OPTIONS
      : parseOptions(bytes.subarray(MIN_HEADER_LENGTH, headerLength));
  const [sourcePort, destinationPort] = [view.getUint16(0), view.getUint16(2)];
  if (options === undefined || sourcePort === 0 || destinationPort === 0) return undefined;
  return {
    sourcePort,
    destinationPort,
    sequence: view.getUint32(4),
    acknowledgement: (flags & TCP_FLAG.ACK) === 0 ? 0 : view.getUint32(8),
    flags,
    window: view.getUint16(14),
    ...options,
    payload: bytes.subarray(headerLength),
  };
}

type Options = Pick<TcpHeader, "maxSegmentSize" | "windowScale">;

const NO_OPTIONS: Options = { maxSegmentSize: undefined, windowScale: undefined };

function parseOptions(bytes: Uint8Array): Options | undefined {
  let { maxSegmentSize, windowScale } = NO_OPTIONS;
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes[at];
    if (kind === OPTION.END) break;
    if (kind === OPTION.NO_OPERATION) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) return undefined;
    if (kind === OPTION.MSS && length === 4) {
      maxSegmentSize = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
    } else if (kind === OPTION.WINDOW_SCALE && length === 3) {
      windowScale = Math.min(bytes[at + 2] as number, MAX_WINDOW_SCALE);
    }
    at += length;
  }
  return { maxSegmentSize, windowScale };
}

/** Bytes of the header that {@link writeTcpHeader} writes. */
export const tcpHeaderLength = ({ flags }: Pick<TcpHeader, "flags">): number =>
  (flags & TCP_FLAG.SYN) === 0 ? MIN_HEADER_LENGTH : SYN_HEADER_LENGTH;

/**
 * Fills in the header of a segment whose payload is in `bytes`.
 * @param partial the checksum is left to who gets it
 */
export function writeTcpHeader(
  bytes: Uint8Array,
  header: TcpHeader,
  addresses: Addresses,
  partial = false,
): void {
  const headerLength = tcpHeaderLength(header);
  setWord(bytes, 0, header.sourcePort);
  setWord(bytes, 2, header.destinationPort);
  setLong(bytes, 4, header.sequence);
  setLong(bytes, 8, header.acknowledgement);
  bytes[12] = (headerLength / 4) << 4;
  bytes[13] = header.flags;
  setWord(bytes, 14, header.window);
  setLong(bytes, 16, 0);
  if (headerLength > MIN_HEADER_LENGTH) writeOptions(bytes, header);
  const sum = pseudoHeaderSum(addresses, PROTOCOL_TCP, bytes.length);
  setWord(bytes, TCP_CHECKSUM, partial ? partialChecksum(sum) : checksum(bytes, sum));
}

function writeOptions(bytes: Uint8Array, { maxSegmentSize = 0, windowScale }: TcpHeader): void {
  bytes[20] = OPTION.MSS;
  bytes[21] = 4;
  setWord(bytes, 22, maxSegmentSize);
  bytes.fill(OPTION.NO_OPERATION, 24, SYN_HEADER_LENGTH);
  if (windowScale === undefined) return;
  bytes[25] = OPTION.WINDOW_SCALE;
  bytes[26] = 3;
  bytes[27] = windowScale;
}
