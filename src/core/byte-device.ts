import type { AccessSize, BusDevice } from "./device.ts";

/** Registers of one byte each, as the chips of the ISA bus have them. Values are 0 to 255. */
export interface ByteRegisters {
  readByte(offset: number): number;
  writeByte(offset: number, value: number): void;
}

/**
 * Byte-wide registers on a wider bus: the bus bridge turns an access of several bytes into one
 * access for each byte, lowest address first.
 */
export abstract class ByteDevice implements BusDevice, ByteRegisters {
  abstract readByte(offset: number): number;
  abstract writeByte(offset: number, value: number): void;

  read(offset: number, size: AccessSize): number {
    if (size === 1) return this.readByte(offset);
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }
}

class AdaptedRegisters extends ByteDevice {
  readonly #registers: ByteRegisters;

  constructor(registers: ByteRegisters) {
    super();
    this.#registers = registers;
  }

  readByte(offset: number): number {
    return this.#registers.readByte(offset);
  }

  writeByte(offset: number, value: number): void {
    this.#registers.writeByte(offset, value);
  }
}

/** The same for a chip that has registers in several places, and so is not one bus device. */
export const byteDevice = (registers: ByteRegisters): BusDevice => new AdaptedRegisters(registers);
