import {
  type AccessSize,
  type BusDevice,
  type Resettable,
  readBytewise,
} from "../../core/device.ts";
import { GuestError } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { gpa } from "../../core/units.ts";
import type { DmaTransfer } from "./ata-device.ts";
import type { AtaChannel, DmaEngine } from "./channel.ts";

/** Registers ("Programming Interface for Bus Master IDE Controller" 1.0, §2). */
const COMMAND = 0;
const STATUS = 2;
const TABLE = 4;
const LENGTH = 8;

const COMMAND_START = 1 << 0;
/** From the device to memory. */
const COMMAND_TO_MEMORY = 1 << 3;

const STATUS_ACTIVE = 1 << 0;
const STATUS_ERROR = 1 << 1;
const STATUS_INTERRUPT = 1 << 2;
/** For software to note that the drives can do DMA. */
const STATUS_NOTES = 3 << 5;

/** An entry of the table (§1.2): address, byte count (0 is 64 KiB), and a mark at the last. */
const ENTRY_SIZE = 8;
const ENTRY_LAST = 0x8000_0000;
const FULL_COUNT = 0x1_0000;
/** A table does not go over the end of 64 KiB. */
const MAX_ENTRIES = 0x1_0000 / ENTRY_SIZE;

/** One channel's bus master: eight ports. A transfer is made at once when both sides are ready. */
export class BusMaster implements BusDevice, DmaEngine, Resettable {
  readonly length = LENGTH;
  readonly #memory: GuestMemory;
  readonly #channel: AtaChannel;
  #command = 0;
  #status = 0;
  #table = 0;

  constructor(memory: GuestMemory, channel: AtaChannel) {
    this.#memory = memory;
    this.#channel = channel;
    channel.attachEngine(this);
  }

  reset(): void {
    this.#command = 0;
    this.#status = 0;
    this.#table = 0;
  }

  read(offset: number, size: AccessSize): number {
    if (size > 1) return readBytewise(this, offset, size);
    this.#channel.settle();
    if (offset === COMMAND) return this.#command;
    if (offset === STATUS) return this.#status;
    return offset < TABLE ? 0 : (this.#table >>> (8 * (offset - TABLE))) & 0xff;
  }

  /** Byte by byte, the highest last but for the command: that starts what the others describe. */
  write(offset: number, size: AccessSize, value: number): void {
    this.#channel.settle();
    for (let i = size - 1; i >= 0; i--) this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }

  noticeInterrupt(): void {
    this.#status |= STATUS_INTERRUPT;
  }

  move(transfer: DmaTransfer): boolean | undefined {
    if ((this.#status & STATUS_ACTIVE) === 0) return undefined;
    const toMemory = (this.#command & COMMAND_TO_MEMORY) !== 0;
    const moved = toMemory === transfer.toGuest && this.#walk(transfer);
    if (!moved) {
      this.#status |= STATUS_ERROR;
      this.#status &= ~STATUS_ACTIVE;
    }
    return moved;
  }

  #writeByte(offset: number, value: number): void {
    if (offset === COMMAND) this.#writeCommand(value);
    else if (offset === STATUS) {
      const cleared = value & (STATUS_ERROR | STATUS_INTERRUPT);
      this.#status = (this.#status & ~cleared & ~STATUS_NOTES) | (value & STATUS_NOTES);
    } else if (offset >= TABLE) {
      const shift = 8 * (offset - TABLE);
      this.#table = ((this.#table & ~(0xff << shift)) | (value << shift)) >>> 0;
      this.#table = (this.#table & ~3) >>> 0;
    }
  }

  #writeCommand(value: number): void {
    const started = (value & ~this.#command & COMMAND_START) !== 0;
    this.#command = value & (COMMAND_START | COMMAND_TO_MEMORY);
    if ((value & COMMAND_START) === 0) this.#status &= ~STATUS_ACTIVE;
    if (!started) return;
    this.#status |= STATUS_ACTIVE;
    this.#channel.startDma();
  }

  /** @returns whether all of it found a place */
  #walk(transfer: DmaTransfer): boolean {
    try {
      let offset = 0;
      for (let entry = 0; entry < MAX_ENTRIES; entry++) {
        const at = this.#table + ENTRY_SIZE * entry;
        const address = this.#memory.readU32(gpa(at)) & ~1;
        const control = this.#memory.readU32(gpa(at + 4));
        const room = control & 0xfffe || FULL_COUNT;
        const length = Math.min(room, transfer.length - offset);
        if (!transfer.move(offset, this.#part(transfer, address >>> 0, length))) return false;
        offset += length;
        const last = (control & ENTRY_LAST) !== 0;
        if (offset === transfer.length) {
          // With room left in the table it goes on being active (§3.1).
          if (last && length === room) this.#status &= ~STATUS_ACTIVE;
          return true;
        }
        if (last) return false;
      }
      return false;
    } catch (error) {
      if (error instanceof GuestError) return false;
      throw error;
    }
  }

  #part({ toGuest }: DmaTransfer, address: number, length: number): Uint8Array {
    return toGuest
      ? this.#memory.writableSlice(gpa(address), length)
      : this.#memory.slice(gpa(address), length);
  }
}
