import {
  type AccessSize,
  type BusDevice,
  type Resettable,
  readBytewise,
} from "../../core/device.ts";

const CHANNELS = 4;

/** Register numbers (Intel 8237A data sheet, figure 6); 0 to 7 are addresses and counts in turn. */
const REGISTER = {
  SINGLE_MASK: 10,
  CLEAR_FLIP_FLOP: 12,
  MASTER_CLEAR: 13,
  CLEAR_MASK: 14,
  ALL_MASKS: 15,
} as const;

const ALL_MASKED = 0xf;
const MASK_SET = 1 << 2;

/**
 * One of the AT's two DMA controllers. Nothing here asks it for a transfer, so it only keeps what
 * it is told, for software that looks whether it is there.
 */
export class Dma8237 implements BusDevice, Resettable {
  readonly length: number;
  readonly #spacing: number;
  /** Addresses and counts, as they are counted on. */
  readonly #words = new Uint16Array(2 * CHANNELS);
  #mask = ALL_MASKED;
  #upperByte = false;

  /** @param spacing ports a register: the second controller of an AT has two */
  constructor(spacing: 1 | 2) {
    this.#spacing = spacing;
    this.length = 16 * spacing;
  }

  reset(): void {
    this.#words.fill(0);
    this.#clear();
  }

  read(offset: number, size: AccessSize): number {
    if (size > 1) return readBytewise(this, offset, size);
    const register = Math.floor(offset / this.#spacing);
    if (register < this.#words.length) {
      return ((this.#words[register] ?? 0) >> (this.#turn() ? 8 : 0)) & 0xff;
    }
    // No channel has a request, and none has come to its end.
    if (register === REGISTER.ALL_MASKS) return 0xf0 | this.#mask;
    return 0;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    const register = Math.floor(offset / this.#spacing);
    const byte = value & 0xff;
    if (register < this.#words.length) this.#writeWord(register, byte);
    else this.#control(register, byte);
  }

  #control(register: number, byte: number): void {
    const channel = 1 << (byte & 3);
    switch (register) {
      case REGISTER.SINGLE_MASK:
        this.#mask = (byte & MASK_SET) !== 0 ? this.#mask | channel : this.#mask & ~channel;
        break;
      case REGISTER.CLEAR_FLIP_FLOP:
        this.#upperByte = false;
        break;
      case REGISTER.MASTER_CLEAR:
        this.#clear();
        break;
      case REGISTER.CLEAR_MASK:
        this.#mask = 0;
        break;
      case REGISTER.ALL_MASKS:
        this.#mask = byte & ALL_MASKED;
        break;
      default:
      // Command, request and mode: there is nobody to whom they would matter.
    }
  }

  #writeWord(register: number, byte: number): void {
    const old = this.#words[register] ?? 0;
    this.#words[register] = this.#turn() ? (old & 0xff) | (byte << 8) : (old & 0xff00) | byte;
  }

  /** @returns whether it is the upper byte's turn */
  #turn(): boolean {
    const upper = this.#upperByte;
    this.#upperByte = !upper;
    return upper;
  }

  #clear(): void {
    this.#mask = ALL_MASKED;
    this.#upperByte = false;
  }
}
