import type { SegmentData } from "./packet-sender.ts";
import type { TcpHeader } from "./tcp.ts";

/** How segments of one connection reach the guest. */
export interface TcpPath {
  /** Whether a segment would be with the guest at once. */
  readonly clear: boolean;
  /** `output` of the connection is to be called once it is clear. */
  wait(): void;
  /** Bytes of data in a segment that is cut up on its way; 0 if none is. */
  readonly maxSegmentData: number;
  send(header: Omit<TcpHeader, "sourcePort" | "destinationPort">, data?: SegmentData): void;
}

/** Whom a connection serves. */
export interface TcpUser {
  /** How many more bytes it can take. */
  readonly room: number;
  established(): void;
  /** @param bytes valid during the call @param push nothing more is to be waited for */
  received(bytes: Uint8Array, push: boolean): void;
  /** The guest sends no more. */
  finished(): void;
  /** There is room in the queue again, perhaps. */
  acknowledged(): void;
  /** The last call. @param reset it did not end in good order */
  closed(reset: boolean): void;
}
