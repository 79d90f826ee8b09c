import { ataGeometry, HEADS, SECTORS_PER_TRACK } from "../../core/ata-geometry.ts";
import type { BlockBackend } from "../../core/backends.ts";
import { GuestError, HostError } from "../../core/errors.ts";
import {
  ABORTED,
  type AtaDevice,
  type DmaTransfer,
  DONE,
  failed,
  QUIETLY_DONE,
  type Step,
} from "./ata-device.ts";
import { IdentifyBlock, isPioMode, multiwordDmaMode, REVERTING } from "./identify.ts";
import { ERROR, REGISTER, type TaskFile } from "./task-file.ts";

const SECTOR_SIZE = 512;
const MAX_LBA28_SECTORS = 0x0fff_ffff;
/** Sectors a block of READ and WRITE MULTIPLE. */
const MAX_MULTIPLE = 16;

/** Command codes (ATA/ATAPI-6 annex B; some of older standards). */
const COMMAND = {
  RECALIBRATE: 0x10,
  READ_SECTORS: 0x20,
  READ_SECTORS_NO_RETRY: 0x21,
  READ_SECTORS_EXT: 0x24,
  READ_DMA_EXT: 0x25,
  READ_NATIVE_MAX_EXT: 0x27,
  READ_MULTIPLE_EXT: 0x29,
  WRITE_SECTORS: 0x30,
  WRITE_SECTORS_NO_RETRY: 0x31,
  WRITE_SECTORS_EXT: 0x34,
  WRITE_DMA_EXT: 0x35,
  WRITE_MULTIPLE_EXT: 0x39,
  VERIFY_SECTORS: 0x40,
  VERIFY_SECTORS_NO_RETRY: 0x41,
  VERIFY_SECTORS_EXT: 0x42,
  SEEK: 0x70,
  INITIALIZE_PARAMETERS: 0x91,
  READ_MULTIPLE: 0xc4,
  WRITE_MULTIPLE: 0xc5,
  SET_MULTIPLE_MODE: 0xc6,
  READ_DMA: 0xc8,
  READ_DMA_NO_RETRY: 0xc9,
  WRITE_DMA: 0xca,
  WRITE_DMA_NO_RETRY: 0xcb,
  STANDBY_IMMEDIATE: 0xe0,
  IDLE_IMMEDIATE: 0xe1,
  STANDBY: 0xe2,
  IDLE: 0xe3,
  CHECK_POWER_MODE: 0xe5,
  SLEEP: 0xe6,
  FLUSH_CACHE: 0xe7,
  FLUSH_CACHE_EXT: 0xea,
  IDENTIFY_DEVICE: 0xec,
  SET_FEATURES: 0xef,
  READ_NATIVE_MAX: 0xf8,
} as const;

/** Subcommands of SET FEATURES (§8.46). */
const FEATURE = {
  WRITE_CACHE_ON: 0x02,
  TRANSFER_MODE: 0x03,
  LOOK_AHEAD_OFF: 0x55,
  WRITE_CACHE_OFF: 0x82,
  LOOK_AHEAD_ON: 0xaa,
} as const;
const FEATURES_WITHOUT_EFFECT: ReadonlySet<number> = new Set([
  ...[FEATURE.WRITE_CACHE_ON, FEATURE.WRITE_CACHE_OFF],
  ...[FEATURE.LOOK_AHEAD_ON, FEATURE.LOOK_AHEAD_OFF],
  ...REVERTING,
]);

/** CHECK POWER MODE's answer: active. */
const ACTIVE = 0xff;

interface Range {
  /** First sector, and how many. */
  readonly start: number;
  readonly count: number;
}

type Command = (task: TaskFile) => Step;

/** A hard disk (ATA/ATAPI-6, general feature set, 48-bit addresses, multiword DMA). */
export class AtaDisk implements AtaDevice {
  readonly packet = false;
  readonly signature = 0;
  readonly #disk: BlockBackend;
  readonly #sectors: number;
  /** As INITIALIZE DEVICE PARAMETERS has it. */
  #heads = HEADS;
  #sectorsPerTrack = SECTORS_PER_TRACK;
  /** Sectors a block; 0 until SET MULTIPLE MODE. */
  #multiple = 0;
  #dmaMode: number | undefined;

  constructor(disk: BlockBackend) {
    this.#disk = disk;
    this.#sectors = Math.floor(disk.capacity / SECTOR_SIZE);
  }

  reset(): void {
    this.#heads = HEADS;
    this.#sectorsPerTrack = SECTORS_PER_TRACK;
    this.#multiple = 0;
    this.#dmaMode = undefined;
  }

  execute(command: number, task: TaskFile): Step {
    return this.#commands[command]?.(task) ?? ABORTED;
  }

  readonly #commands: Readonly<Record<number, Command>> = {
    ...forAll([COMMAND.READ_SECTORS, COMMAND.READ_SECTORS_NO_RETRY], (task) =>
      this.#read(this.#range28(task), 1),
    ),
    [COMMAND.READ_SECTORS_EXT]: (task) => this.#read(this.#range48(task), 1),
    [COMMAND.READ_DMA_EXT]: (task) => this.#moveByDma(this.#range48(task), true),
    [COMMAND.READ_NATIVE_MAX_EXT]: (task) => this.#nativeSize(task, true),
    [COMMAND.READ_MULTIPLE_EXT]: (task) =>
      this.#multipleOnly(() => this.#read(this.#range48(task), this.#multiple)),
    ...forAll([COMMAND.WRITE_SECTORS, COMMAND.WRITE_SECTORS_NO_RETRY], (task) =>
      this.#write(this.#range28(task), 1),
    ),
    [COMMAND.WRITE_SECTORS_EXT]: (task) => this.#write(this.#range48(task), 1),
    [COMMAND.WRITE_DMA_EXT]: (task) => this.#moveByDma(this.#range48(task), false),
    [COMMAND.WRITE_MULTIPLE_EXT]: (task) =>
      this.#multipleOnly(() => this.#write(this.#range48(task), this.#multiple)),
    ...forAll([COMMAND.VERIFY_SECTORS, COMMAND.VERIFY_SECTORS_NO_RETRY], (task) =>
      verify(this.#range28(task)),
    ),
    [COMMAND.VERIFY_SECTORS_EXT]: (task) => verify(this.#range48(task)),
    ...forAll([COMMAND.RECALIBRATE, COMMAND.SEEK], () => DONE),
    [COMMAND.INITIALIZE_PARAMETERS]: (task) => this.#initializeParameters(task),
    [COMMAND.READ_MULTIPLE]: (task) =>
      this.#multipleOnly(() => this.#read(this.#range28(task), this.#multiple)),
    [COMMAND.WRITE_MULTIPLE]: (task) =>
      this.#multipleOnly(() => this.#write(this.#range28(task), this.#multiple)),
    [COMMAND.SET_MULTIPLE_MODE]: (task) => this.#setMultiple(task),
    ...forAll([COMMAND.READ_DMA, COMMAND.READ_DMA_NO_RETRY], (task) =>
      this.#moveByDma(this.#range28(task), true),
    ),
    ...forAll([COMMAND.WRITE_DMA, COMMAND.WRITE_DMA_NO_RETRY], (task) =>
      this.#moveByDma(this.#range28(task), false),
    ),
    ...forAll(
      [
        COMMAND.STANDBY_IMMEDIATE,
        COMMAND.IDLE_IMMEDIATE,
        COMMAND.STANDBY,
        COMMAND.IDLE,
        COMMAND.SLEEP,
      ],
      () => DONE,
    ),
    [COMMAND.CHECK_POWER_MODE]: (task) => {
      task.count = ACTIVE;
      return DONE;
    },
    ...forAll([COMMAND.FLUSH_CACHE, COMMAND.FLUSH_CACHE_EXT], () => this.#flush()),
    [COMMAND.IDENTIFY_DEVICE]: () => ({
      kind: "send",
      data: this.#identify(),
      next: () => QUIETLY_DONE,
    }),
    [COMMAND.SET_FEATURES]: (task) => this.#setFeatures(task),
    [COMMAND.READ_NATIVE_MAX]: (task) => this.#nativeSize(task, false),
  };

  /** @returns `undefined` when it is not all on the disk */
  #range28(task: TaskFile): Range | undefined {
    return this.#checked(task.usesLba ? task.lba28 : this.#blockOf(task), task.count28);
  }

  #range48(task: TaskFile): Range | undefined {
    return this.#checked(task.lba48, task.count48);
  }

  #checked(start: number | undefined, count: number): Range | undefined {
    if (start === undefined || start + count > this.#sectors) return undefined;
    return { start, count };
  }

  #blockOf(task: TaskFile): number | undefined {
    const sector = task.read(REGISTER.LBA_LOW);
    if (sector === 0 || sector > this.#sectorsPerTrack || task.head >= this.#heads)
      return undefined;
    return (task.middle * this.#heads + task.head) * this.#sectorsPerTrack + sector - 1;
  }

  #read(range: Range | undefined, perBlock: number): Step {
    if (range === undefined) return failed(ERROR.ID_NOT_FOUND);
    const { start, count } = range;
    const now = Math.min(count, perBlock);
    const data = new Uint8Array(now * SECTOR_SIZE);
    if (!this.#move(true, start * SECTOR_SIZE, data)) return failed(ERROR.UNCORRECTABLE);
    const rest = { start: start + now, count: count - now };
    const next = (): Step => (rest.count === 0 ? QUIETLY_DONE : this.#read(rest, perBlock));
    return { kind: "send", data, next };
  }

  #write(range: Range | undefined, perBlock: number, first = true): Step {
    if (range === undefined) return failed(ERROR.ID_NOT_FOUND);
    if (this.#disk.readOnly) return ABORTED;
    const { start, count } = range;
    const now = Math.min(count, perBlock);
    const next = (data: Uint8Array): Step => {
      if (!this.#move(false, start * SECTOR_SIZE, data)) return failed(ERROR.UNCORRECTABLE);
      const rest = { start: start + now, count: count - now };
      return rest.count === 0 ? DONE : this.#write(rest, perBlock, false);
    };
    return { kind: "receive", length: now * SECTOR_SIZE, quiet: first, next };
  }

  #moveByDma(range: Range | undefined, toGuest: boolean): Step {
    if (range === undefined) return failed(ERROR.ID_NOT_FOUND);
    if (!toGuest && this.#disk.readOnly) return ABORTED;
    const start = range.start * SECTOR_SIZE;
    const transfer: DmaTransfer = {
      toGuest,
      length: range.count * SECTOR_SIZE,
      move: (offset, guest) => this.#move(toGuest, start + offset, guest),
    };
    return {
      kind: "dma",
      transfer,
      next: (complete) => (complete ? DONE : failed(ERROR.UNCORRECTABLE)),
    };
  }

  /** @returns whether the host could */
  #move(fromDisk: boolean, offset: number, bytes: Uint8Array): boolean {
    try {
      if (fromDisk) this.#disk.read(offset, bytes);
      else this.#disk.write(offset, bytes);
      return true;
    } catch (error) {
      if (error instanceof HostError || error instanceof GuestError) return false;
      throw error;
    }
  }

  #flush(): Step {
    try {
      this.#disk.flush();
      return DONE;
    } catch (error) {
      if (error instanceof HostError) return failed(ERROR.UNCORRECTABLE);
      throw error;
    }
  }

  #multipleOnly(command: () => Step): Step {
    return this.#multiple === 0 ? ABORTED : command();
  }

  /** Sectors a block: a power of two. */
  #setMultiple(task: TaskFile): Step {
    const { count } = task;
    if (count > MAX_MULTIPLE || (count & (count - 1)) !== 0) return ABORTED;
    this.#multiple = count;
    return DONE;
  }

  #initializeParameters(task: TaskFile): Step {
    if (task.count === 0) return ABORTED;
    this.#heads = task.head + 1;
    this.#sectorsPerTrack = task.count;
    return DONE;
  }

  #setFeatures(task: TaskFile): Step {
    if (FEATURES_WITHOUT_EFFECT.has(task.features)) return DONE;
    if (task.features !== FEATURE.TRANSFER_MODE) return ABORTED;
    const dmaMode = multiwordDmaMode(task.count);
    if (dmaMode === undefined && !isPioMode(task.count)) return ABORTED;
    if (dmaMode !== undefined) this.#dmaMode = dmaMode;
    return DONE;
  }

  /** The address of the last sector. */
  #nativeSize(task: TaskFile, extended: boolean): Step {
    const last =
      Math.min(this.#sectors, extended ? Number.POSITIVE_INFINITY : MAX_LBA28_SECTORS) - 1;
    task.setLba(last, extended);
    return DONE;
  }

  #identify(): Uint8Array {
    const { capacity } = this.#disk;
    const current = ataGeometry(capacity, this.#heads, this.#sectorsPerTrack).cylinders;
    const block = new IdentifyBlock();
    block
      .word(0, 0x0040)
      .word(1, ataGeometry(capacity).cylinders)
      .word(3, HEADS)
      .word(6, SECTORS_PER_TRACK)
      .text(10, 10, "S5D0")
      .text(23, 4, "1.0")
      .text(27, 20, "solo5-kvm disk")
      .word(47, 0x8000 | MAX_MULTIPLE)
      // LBA and DMA; IORDY may be disabled.
      .word(49, 0x0f00)
      .word(50, 0x4000)
      .word(51, 0x0200)
      .modes(this.#dmaMode)
      .word(54, current)
      .word(55, this.#heads)
      .word(56, this.#sectorsPerTrack)
      .double(57, current * this.#heads * this.#sectorsPerTrack)
      .word(59, this.#multiple === 0 ? 0 : 0x0100 | this.#multiple)
      .double(60, Math.min(this.#sectors, MAX_LBA28_SECTORS))
      // ATA-1 to ATA/ATAPI-6.
      .word(80, 0x007e)
      // Write cache; 48-bit addresses, FLUSH CACHE and its EXT; the same enabled.
      .word(82, 0x0020)
      .word(83, 0x7400)
      .word(84, 0x4000)
      .word(85, 0x0020)
      .word(86, 0x3400)
      .word(87, 0x4000)
      .double(100, this.#sectors % 2 ** 32)
      .double(102, Math.floor(this.#sectors / 2 ** 32));
    return block.bytes;
  }
}

const verify = (range: Range | undefined): Step =>
  range === undefined ? failed(ERROR.ID_NOT_FOUND) : DONE;

const forAll = (codes: readonly number[], command: Command): Record<number, Command> =>
  Object.fromEntries(codes.map((code) => [code, command]));
