import { checksum } from "./checksum.ts";

export const ICMP_ECHO_REPLY = 0;
export const ICMP_ECHO_REQUEST = 8;

export const ICMP_HEADER_LENGTH = 8;

/** An ICMP echo message (RFC 792, "Echo or Echo Reply Message"). */
export interface IcmpEcho {
  readonly type: typeof ICMP_ECHO_REPLY | typeof ICMP_ECHO_REQUEST;
  /** Which of several pings on a host is meant; 16 bits. */
  readonly identifier: number;
  /** 16 bits. */
  readonly sequence: number;
  readonly data: Uint8Array;
}

/** Undefined for other messages, and when the checksum is wrong. `data` is a view of `bytes`. */
export function parseIcmpEcho(bytes: Uint8Array): IcmpEcho | undefined {
  if (bytes.length < ICMP_HEADER_LENGTH) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = view.getUint8(0);
  if (type !== ICMP_ECHO_REPLY && type !== ICMP_ECHO_REQUEST) return undefined;
  if (view.getUint8(1) !== 0 || checksum(bytes) !== 0) return undefined;
  return {
    type,
    identifier: view.getUint16(4),
    sequence: view.getUint16(6),
    data: bytes.subarray(ICMP_HEADER_LENGTH),
  };
}

export function serialiseIcmpEcho(echo: IcmpEcho): Uint8Array {
  const bytes = new Uint8Array(ICMP_HEADER_LENGTH + echo.data.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, echo.type);
  view.setUint16(4, echo.identifier);
  view.setUint16(6, echo.sequence);
  bytes.set(echo.data, ICMP_HEADER_LENGTH);
  view.setUint16(2, checksum(bytes));
  return bytes;
}
