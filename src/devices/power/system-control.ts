import { ByteDevice } from "../../core/byte-device.ts";
import type { Resettable } from "../../core/device.ts";

/** IBM PS/2 Hardware Interface Technical Reference, "System Control Port A". */
const FAST_RESET = 1 << 0;
const A20 = 1 << 1;

/**
 * Port 0x92: the fast reset, on a rise of bit 0, and the fast A20 gate. Address line 20 is never
 * masked: the gate is remembered and has no other effect.
 */
export class SystemControl extends ByteDevice implements Resettable {
  readonly #onReset: () => void;
  #value = A20;

  constructor({ onReset }: { onReset: () => void }) {
    super();
    this.#onReset = onReset;
  }

  reset(): void {
    this.#value = A20;
  }

  readByte(): number {
    return this.#value;
  }

  writeByte(_offset: number, value: number): void {
    const rises = (value & ~this.#value & FAST_RESET) !== 0;
    this.#value = value & (FAST_RESET | A20);
    if (rises) this.#onReset();
  }
}
