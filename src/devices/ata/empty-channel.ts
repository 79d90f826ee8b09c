import { byteDevice } from "../../core/byte-device.ts";
import type { BusDevice } from "../../core/device.ts";
import { REGISTER } from "./task-file.ts";

/** What a data bus that nobody drives reads as, where the host pulls bit 7 down. */
const NOBODY = 0x7f;

/**
 * An ATA channel without drives. Its status never says busy, for which the standard gives hosts that
 * resistor (ATA/ATAPI-6, table 11): drivers that wait for a drive to be ready would wait for ever.
 *
 * Small systems know another sign: they give a command at once, and take a status of zero for "no
 * drive", but any other for one that has an error, or data. So it is zero after a command, until a
 * drive is selected again.
 */
export class EmptyChannel {
  #level = NOBODY;
  readonly commandBlock: BusDevice = byteDevice({
    readByte: () => this.#level,
    writeByte: (offset) => {
      if (offset === REGISTER.COMMAND) this.#level = 0;
      else if (offset === REGISTER.DEVICE) this.#level = NOBODY;
    },
  });
  readonly controlBlock: BusDevice = byteDevice({
    readByte: () => this.#level,
    writeByte: () => {
      this.#level = NOBODY;
    },
  });
}
