import { ByteDevice } from "../../core/byte-device.ts";
import type { Resettable } from "../../core/device.ts";

/** Intel 82371AB data sheet, "RC: Reset Control Register". */
const RESET_CPU = 1 << 2;
const SYSTEM_RESET = 1 << 1;

/**
 * Port 0xcf9: a rise of bit 2 resets. Bit 1 chooses between the whole system and the processor
 * alone; since the firmware that a processor would restart in resets the rest, both are the same
 * here.
 */
export class ResetControl extends ByteDevice implements Resettable {
  readonly #onReset: () => void;
  #value = 0;

  constructor({ onReset }: { onReset: () => void }) {
    super();
    this.#onReset = onReset;
  }

  reset(): void {
    this.#value = 0;
  }

  readByte(): number {
    return this.#value;
  }

  writeByte(_offset: number, value: number): void {
    const rises = (value & ~this.#value & RESET_CPU) !== 0;
    this.#value = value & (RESET_CPU | SYSTEM_RESET);
    if (rises) this.#onReset();
  }
}
