import { ByteDevice } from "../../core/byte-device.ts";

/**
 * An ATA channel without drives. Its status never says busy, for which the standard gives hosts a
 * resistor (ATA/ATAPI-6, table 11): drivers that wait for a drive to be ready would wait for ever.
 */
export class EmptyChannel extends ByteDevice {
  readByte(): number {
    return 0;
  }

  writeByte(): void {}
}
