/** The registers by which an ATA device gets a command and answers (ATA/ATAPI-6, clause 7). */

/** Offsets in the command block. */
export const REGISTER = {
  DATA: 0,
  /** Written: features. Read: error. */
  FEATURES: 1,
  SECTOR_COUNT: 2,
  LBA_LOW: 3,
  LBA_MID: 4,
  LBA_HIGH: 5,
  DEVICE: 6,
  /** Written: command. Read: status. */
  COMMAND: 7,
} as const;

/** Status bits (§7.15). */
export const STATUS = {
  BUSY: 1 << 7,
  READY: 1 << 6,
  /** Command dependent; of old, seek complete. */
  SEEK_COMPLETE: 1 << 4,
  DATA_REQUEST: 1 << 3,
  ERROR: 1 << 0,
} as const;

/** Error bits (§7.9). */
export const ERROR = {
  UNCORRECTABLE: 1 << 6,
  ID_NOT_FOUND: 1 << 4,
  ABORTED: 1 << 2,
} as const;

const DEVICE_LBA = 1 << 6;
const DEVICE_1 = 1 << 4;
const HEAD_MASK = 0xf;

/**
 * Each register holds the byte written last and, for the 48-bit commands, the one before it
 * (§6.20).
 */
export class TaskFile {
  /** What the guest reads at the place of the features. */
  error = 0;
  readonly #now = new Uint8Array(8);
  readonly #before = new Uint8Array(8);

  write(register: number, value: number): void {
    this.#before[register] = this.#now[register] ?? 0;
    this.#now[register] = value;
  }

  /** @param previous whether the byte before the last is asked for: HOB of the device control */
  read(register: number, previous = false): number {
    return (previous ? this.#before : this.#now)[register] ?? 0;
  }

  get features(): number {
    return this.read(REGISTER.FEATURES);
  }

  get count(): number {
    return this.read(REGISTER.SECTOR_COUNT);
  }

  set count(value: number) {
    this.#now[REGISTER.SECTOR_COUNT] = value;
  }

  /** Which of the channel's two devices is meant. */
  get deviceNumber(): 0 | 1 {
    return (this.read(REGISTER.DEVICE) & DEVICE_1) !== 0 ? 1 : 0;
  }

  get usesLba(): boolean {
    return (this.read(REGISTER.DEVICE) & DEVICE_LBA) !== 0;
  }

  get head(): number {
    return this.read(REGISTER.DEVICE) & HEAD_MASK;
  }

  /** LBA mid and high: a cylinder, or a packet command's byte count. */
  get middle(): number {
    return this.read(REGISTER.LBA_MID) | (this.read(REGISTER.LBA_HIGH) << 8);
  }

  set middle(value: number) {
    this.#now[REGISTER.LBA_MID] = value & 0xff;
    this.#now[REGISTER.LBA_HIGH] = value >> 8;
  }

  get lba28(): number {
    return (this.head << 24) | (this.middle << 8) | this.read(REGISTER.LBA_LOW);
  }

  get lba48(): number {
    const low = this.middle * 0x100 + this.read(REGISTER.LBA_LOW);
    const high =
      this.read(REGISTER.LBA_LOW, true) |
      (this.read(REGISTER.LBA_MID, true) << 8) |
      (this.read(REGISTER.LBA_HIGH, true) << 16);
    return high * 0x100_0000 + low;
  }

  /** @param extended whether all 48 bits are to be told, or 28 of them */
  setLba(lba: number, extended: boolean): void {
    const byte = (index: number): number => Math.floor(lba / 2 ** (8 * index)) & 0xff;
    this.#now[REGISTER.LBA_LOW] = byte(0);
    this.#now[REGISTER.LBA_MID] = byte(1);
    this.#now[REGISTER.LBA_HIGH] = byte(2);
    if (extended) {
      this.#before[REGISTER.LBA_LOW] = byte(3);
      this.#before[REGISTER.LBA_MID] = byte(4);
      this.#before[REGISTER.LBA_HIGH] = byte(5);
    } else {
      const device = this.read(REGISTER.DEVICE) & ~HEAD_MASK;
      this.#now[REGISTER.DEVICE] = device | (byte(3) & HEAD_MASK);
    }
  }

  /** Sectors: 0 stands for 256. */
  get count28(): number {
    return this.count === 0 ? 0x100 : this.count;
  }

  /** Sectors: 0 stands for 65536. */
  get count48(): number {
    const count = (this.read(REGISTER.SECTOR_COUNT, true) << 8) | this.count;
    return count === 0 ? 0x1_0000 : count;
  }

  /** What a device leaves there after a reset, to tell what it is (§9.12). */
  setSignature(middle: number): void {
    this.count = 1;
    this.#now[REGISTER.LBA_LOW] = 1;
    this.middle = middle;
    this.#now[REGISTER.DEVICE] = 0;
  }

  reset(): void {
    this.#now.fill(0);
    this.#before.fill(0);
    this.error = 0;
  }
}
