import { partialChecksumIn } from "../core/offload.ts";
import { checksum } from "./checksum.ts";
import { setWord } from "./ipv4.ts";

/** Where UDP has it; TCP's is elsewhere. */
export const UDP_CHECKSUM = 6;

const NO_BYTES = new Uint8Array(0);

/** What stands in a checksum's place until it is made: the sum of what it covers beside the data. */
export const partialChecksum = (pseudoHeader: number): number =>
  ~checksum(NO_BYTES, pseudoHeader) & 0xffff;

/** Makes the checksum that a frame lacks, as its header says (virtio 1.2 §5.1.6.2). */
export function completeChecksum(frame: Uint8Array, header: Uint8Array): void {
  const partial = partialChecksumIn(header);
  if (partial === undefined) return;
  const { start, field } = partial;
  // Where UDP has its checksum, zero means that there is none (RFC 768).
  const none = field - start === UDP_CHECKSUM ? 0xffff : 0;
  setWord(frame, field, checksum(frame.subarray(start)) || none);
}
