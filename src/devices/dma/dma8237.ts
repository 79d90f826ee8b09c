import {
  type AccessSize,
  type BusDevice,
  type Resettable,
  readBytewise,
} from "../../core/device.ts";

const CHANNELS = 4;

/** Register numbers (Intel 8237A data sheet, figure 6); 0 to 7 are addresses and counts in turn. */
const REGISTER = {
  STATUS: 8,
  SINGLE_MASK: 10,
  MODE: 11,
  CLEAR_FLIP_FLOP: 12,
  MASTER_CLEAR: 13,
  CLEAR_MASK: 14,
  ALL_MASKS: 15,
} as const;

const ALL_MASKED = 0xf;
const MASK_SET = 1 << 2;

/** Of a channel's mode. */
const MODE_AUTOINITIALISE = 1 << 4;
const MODE_DECREMENT = 1 << 5;
/** Transfer types, as seen from memory. */
const MODE_TYPE = { write: 1 << 2, read: 2 << 2 } as const;
const MODE_TYPE_MASK = 3 << 2;

/** Bytes that a channel moves in one go: its address and what becomes of it. */
export interface DmaRun {
  /** Lower 16 bits. */
  readonly address: number;
  readonly length: number;
  /** The count has come to its end. */
  readonly ended: boolean;
}

/**
 * One of the AT's two DMA controllers: addresses, counts and masks of four channels. A device takes a
 * channel by {@link run}; addresses that count down are not known here.
 */
export class Dma8237 implements BusDevice, Resettable {
  readonly length: number;
  readonly #spacing: number;
  /** Addresses and counts, as they are counted on. */
  readonly #words = new Uint16Array(2 * CHANNELS);
  /** As they were written: what a channel begins with again. */
  readonly #base = new Uint16Array(2 * CHANNELS);
  readonly #modes = new Uint8Array(CHANNELS);
  /** Channels that have come to their end since somebody asked. */
  #ended = 0;
  #mask = ALL_MASKED;
  #upperByte = false;

  /** @param spacing ports a register: the second controller of an AT has two */
  constructor(spacing: 1 | 2) {
    this.#spacing = spacing;
    this.length = 16 * spacing;
  }

  reset(): void {
    this.#words.fill(0);
    this.#base.fill(0);
    this.#modes.fill(0);
    this.#clear();
  }

  /**
   * A device moves bytes, at most to the end of the address's 64 KiB.
   * @param kind `write` is to memory
   * @returns undefined if the channel does not take part
   */
  run(channel: number, kind: "read" | "write", length: number): DmaRun | undefined {
    const mode = this.#modes[channel] ?? 0;
    const masked = (this.#mask & (1 << channel)) !== 0;
    if (masked || (mode & (MODE_TYPE_MASK | MODE_DECREMENT)) !== MODE_TYPE[kind]) return undefined;
    const address = this.#words[2 * channel] ?? 0;
    const left = (this.#words[2 * channel + 1] ?? 0) + 1;
    const moved = Math.min(length, left, 0x1_0000 - address);
    this.#words[2 * channel] = address + moved;
    this.#words[2 * channel + 1] = left - moved - 1;
    const ended = moved === left;
    if (ended) this.#end(channel, mode);
    return { address, length: moved, ended };
  }

  #end(channel: number, mode: number): void {
    this.#ended |= 1 << channel;
    if ((mode & MODE_AUTOINITIALISE) === 0) this.#mask |= 1 << channel;
    else this.#words.set(this.#base.subarray(2 * channel, 2 * channel + 2), 2 * channel);
  }

  read(offset: number, size: AccessSize): number {
    if (size > 1) return readBytewise(this, offset, size);
    const register = Math.floor(offset / this.#spacing);
    if (register < this.#words.length) {
      return ((this.#words[register] ?? 0) >> (this.#turn() ? 8 : 0)) & 0xff;
    }
    if (register === REGISTER.STATUS) {
      const ended = this.#ended;
      this.#ended = 0;
      return ended; // No channel has a request.
    }
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
      case REGISTER.MODE:
        this.#modes[byte & 3] = byte;
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
      // Command and request: there is nobody to whom they would matter.
    }
  }

  #writeWord(register: number, byte: number): void {
    const old = this.#words[register] ?? 0;
    const word = this.#turn() ? (old & 0xff) | (byte << 8) : (old & 0xff00) | byte;
    this.#words[register] = word;
    this.#base[register] = word;
  }

  /** @returns whether it is the upper byte's turn */
  #turn(): boolean {
    const upper = this.#upperByte;
    this.#upperByte = !upper;
    return upper;
  }

  #clear(): void {
    this.#mask = ALL_MASKED;
    this.#ended = 0;
    this.#upperByte = false;
  }
}
