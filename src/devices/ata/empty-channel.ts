import { ByteDevice } from "../../core/byte-device.ts";

/** What a data bus that nobody drives reads as, where the host pulls bit 7 down. */
const NOBODY = 0x7f;

/**
 * An ATA channel without drives. Its status never says busy, for which the standard gives hosts that
 * resistor (ATA/ATAPI-6, table 11): drivers that wait for a drive to be ready would wait for ever.
 */
export class EmptyChannel extends ByteDevice {
  readByte(): number {
    return NOBODY;
  }

  writeByte(): void {}
}
