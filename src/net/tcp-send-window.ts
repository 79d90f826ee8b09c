import { sequenceDistance } from "./sequence.ts";
import type { TcpSegment } from "./tcp.ts";

/** How much the guest is ready for (SND.WND, SND.WL1 and SND.WL2 of RFC 9293 §3.3.1). */
export class SendWindow {
  #size = 0;
  #largest = 0;
  #shift = 0;
  #sequence = 0;
  #acknowledgement = 0;

  /** What the guest's SYN says, in which nothing is scaled. */
  start({ window, windowScale = 0 }: TcpSegment): void {
    this.#size = this.#largest = window;
    this.#shift = windowScale;
  }

  get size(): number {
    return this.#size;
  }

  /** What a segment without SYN says. */
  sizeIn({ window }: TcpSegment): number {
    return window << this.#shift;
  }

  /** Whether a segment says something newer than the last one (§3.10.7.4, "ESTABLISHED"). */
  isNewer({ sequence, acknowledgement }: TcpSegment): boolean {
    const newer = sequenceDistance(sequence, this.#sequence);
    return (
      newer > 0 || (newer === 0 && sequenceDistance(acknowledgement, this.#acknowledgement) >= 0)
    );
  }

  take({ sequence, acknowledgement }: TcpSegment, size: number): void {
    this.#size = size;
    this.#largest = Math.max(this.#largest, size);
    this.#sequence = sequence;
    this.#acknowledgement = acknowledgement;
  }

  /** Whether so few bytes of more should wait for a larger window (§3.8.6.2.1). */
  isSilly(length: number, unsent: number, mss: number): boolean {
    return length < mss && length < unsent && length < this.#largest / 2;
  }
}

/**
 * How many of the bytes not sent yet the next segment has.
 * @param usable of them the guest is ready for @param cut bytes in a segment that is cut up, 0 if none is
 */
export function segmentLength(unsent: number, usable: number, mss: number, cut: number): number {
  const length = Math.max(0, Math.min(unsent, usable, Math.max(mss, cut)));
  // What is left over would make a small one for each that is cut up.
  return length <= mss || length === unsent ? length : length - (length % mss);
}
