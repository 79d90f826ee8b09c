import { ByteDevice } from "../../core/byte-device.ts";
import type { Alarm, Clock } from "../../core/clock.ts";
import type { Resettable } from "../../core/device.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import { MICROSECOND, nanos } from "../../core/units.ts";
import type { DmaChannel } from "../dma/dma-channel.ts";
import type { FloppyDrive } from "./floppy-drive.ts";
import {
  readId,
  ST0_ABNORMAL,
  type TransferKind,
  type TransferResult,
  transfer,
} from "./floppy-transfer.ts";

/** Offsets from port 0x3f0 (Intel 82077AA data sheet, §2.1). That of 0x3f6 is a disk's. */
const DOR = 2;
const TDR = 3;
const MSR_DSR = 4;
const FIFO = 5;
const DIR_CCR = 7;

/** Digital output register. */
const DOR_NOT_RESET = 1 << 2;
const DOR_DMA_GATE = 1 << 3;
const DOR_MOTOR_0 = 1 << 4;

/** Main status register. */
const MSR_BUSY = 1 << 4;
const MSR_TO_CPU = 1 << 6;
const MSR_REQUEST = 1 << 7;

const DSR_RESET = 1 << 7;
const DIR_CHANGED = 1 << 7;

const ST0_SEEK_END = 0x20;
const ST0_EQUIPMENT = 0x10;
const ST0_INVALID = 0x80;
/** After a reset each of four drives tells that it is there no more, and there again. */
const ST0_READY_CHANGED = 0xc0;
const DRIVES = 4;

const ST3_ALWAYS = 0x28; // Ready, two sides.
const ST3_TRACK_0 = 0x10;
const ST3_WRITE_PROTECTED = 0x40;

/** Of an 82077AA, as VERSION tells it. */
const VERSION_ENHANCED = 0x90;
const CONFIGURE_IMPLIED_SEEK = 1 << 6;

/** How long a command takes: drivers are not ready for an answer before they have waited for one. */
const COMMAND_TIME = 100 * MICROSECOND;

const MULTI_TRACK = 0x80;
const COMMAND_MASK = 0x1f;

/** Bytes of each command, with the first, by its lower five bits; others are invalid. */
const LENGTHS: Readonly<Record<number, number>> = {
  ...{ 2: 9, 3: 3, 4: 2, 5: 9, 6: 9, 7: 2, 8: 1, 9: 9, 10: 2, 12: 9, 13: 6, 14: 1, 15: 3 },
  ...{ 16: 1, 18: 2, 19: 4, 20: 1, 22: 9, 24: 1 },
};
const KINDS: Readonly<Record<number, TransferKind>> = {
  ...{ 2: "read", 5: "write", 6: "read", 9: "write", 12: "read", 13: "format", 22: "verify" },
};

export interface FloppyControllerOptions {
  readonly irq: IrqLine;
  readonly clock: Clock;
  readonly dma: DmaChannel;
  /** Drive 0; the others are not there. */
  readonly drive: FloppyDrive;
}

/**
 * An 82077AA floppy disk controller: registers and command phases. Data goes by DMA only; every
 * command is carried out at once, and takes a while to say so.
 */
export class FloppyController extends ByteDevice implements Resettable {
  /** Ports from 0x3f0; the sixth is not its own. */
  readonly length = 8;
  readonly #options: FloppyControllerOptions;
  readonly #alarm: Alarm;
  #dor = 0;
  #rate = 0;
  #command: number[] = [];
  #result: number[] = [];
  /** What is done, and will be told when its time has passed. */
  #finish: (() => void) | undefined;
  /** ST0 and the cylinder, for SENSE INTERRUPT STATUS. */
  #interrupts: [number, number][] = [];
  #configuration = 0;
  #locked = false;
  #specified: [number, number] = [0, 0];

  constructor(options: FloppyControllerOptions) {
    super();
    this.#options = options;
    this.#alarm = options.clock.alarm(() => {
      const finish = this.#finish;
      this.#finish = undefined;
      finish?.();
    });
  }

  reset(): void {
    this.#dor = 0;
    this.#rate = 0;
    this.#configuration = 0;
    this.#locked = false;
    this.#options.drive.reset();
    this.#stop();
  }

  readByte(offset: number): number {
    switch (offset) {
      case DOR:
        return this.#dor;
      case TDR:
        return 0;
      case MSR_DSR:
        return this.#status;
      case FIFO:
        return this.#readResult();
      case DIR_CCR: {
        const spins = (this.#dor & 3) === 0 && (this.#dor & DOR_MOTOR_0) !== 0;
        return spins && this.#options.drive.changed ? DIR_CHANGED : 0;
      }
      default:
        return 0;
    }
  }

  writeByte(offset: number, value: number): void {
    switch (offset) {
      case DOR: {
        const started = (value & ~this.#dor & DOR_NOT_RESET) !== 0;
        this.#dor = value;
        if ((value & DOR_NOT_RESET) === 0) this.#stop();
        else if (started) this.#start();
        break;
      }
      case MSR_DSR:
        this.#rate = value & 3;
        if ((value & DSR_RESET) !== 0) {
          this.#stop();
          this.#start();
        }
        break;
      case FIFO:
        this.#writeCommand(value);
        break;
      case DIR_CCR:
        this.#rate = value & 3;
        break;
      default: // Nothing there, or nothing to be written.
    }
  }

  get #status(): number {
    if ((this.#dor & DOR_NOT_RESET) === 0) return 0;
    if (this.#finish !== undefined) return this.#command.length > 0 ? MSR_BUSY : MSR_REQUEST;
    if (this.#result.length > 0) return MSR_REQUEST | MSR_TO_CPU | MSR_BUSY;
    return MSR_REQUEST | (this.#command.length > 0 ? MSR_BUSY : 0);
  }

  #stop(): void {
    this.#alarm.cancel();
    this.#finish = undefined;
    this.#command = [];
    this.#result = [];
    this.#interrupts = [];
    this.#options.irq.set(false);
  }

  #start(): void {
    if (!this.#locked) this.#configuration = 0;
    this.#later(() => {
      this.#interrupts = Array.from({ length: DRIVES }, (_, n) => [ST0_READY_CHANGED | n, 0]);
      this.#options.irq.set(true);
    });
  }

  #later(finish: () => void): void {
    this.#finish = finish;
    this.#alarm.set(nanos(this.#options.clock.now() + COMMAND_TIME));
  }

  #readResult(): number {
    const byte = this.#result.shift();
    // The interrupt of a command with a result is taken back by reading that.
    if (byte !== undefined) this.#options.irq.set(false);
    return byte ?? 0;
  }

  #writeCommand(byte: number): void {
    const ready = (this.#status & (MSR_REQUEST | MSR_TO_CPU)) === MSR_REQUEST;
    if (!ready) return;
    this.#command.push(byte);
    const first = this.#command[0] as number;
    if (this.#command.length < (LENGTHS[first & COMMAND_MASK] ?? 1)) return;
    this.#execute(first, this.#command.slice(1));
  }

  #execute(first: number, parameters: number[]): void {
    const command = first & COMMAND_MASK;
    const [select = 0, second = 0] = parameters;
    const head = (select >> 2) & 1;
    const kind = KINDS[command];
    if (kind !== undefined) {
      this.#transfer(kind, (first & MULTI_TRACK) !== 0, parameters);
      return;
    }
    switch (command) {
      case 3: // SPECIFY
        this.#specified = [select, second];
        this.#answer();
        break;
      case 4: // SENSE DRIVE STATUS
        this.#answer(this.#driveStatus(select));
        break;
      case 7: // RECALIBRATE
        this.#seek(select & 3, 0);
        break;
      case 8: // SENSE INTERRUPT STATUS
        this.#senseInterrupt();
        break;
      case 10: // READ ID
        this.#tell(() => readId(this.#drive(select), this.#rate, head), select);
        break;
      case 14: // DUMPREG
        this.#dumpRegisters();
        break;
      case 15: // SEEK
        this.#seek(select & 7, second);
        break;
      case 16: // VERSION
        this.#answer(VERSION_ENHANCED);
        break;
      case 18: // PERPENDICULAR MODE
        this.#answer();
        break;
      case 19: // CONFIGURE
        this.#configuration = second;
        this.#answer();
        break;
      case 20: // LOCK, UNLOCK
        this.#locked = (first & 0x80) !== 0;
        this.#answer(this.#locked ? 0x10 : 0);
        break;
      default:
        this.#answer(ST0_INVALID);
    }
  }

  #answer(...bytes: number[]): void {
    this.#command = [];
    this.#result = bytes;
  }

  #drive(select: number): FloppyDrive | undefined {
    return (select & 3) === 0 ? this.#options.drive : undefined;
  }

  #driveStatus(select: number): number {
    const drive = this.#drive(select);
    if (drive === undefined) return select & 7;
    const track0 = drive.cylinder === 0 ? ST3_TRACK_0 : 0;
    return ST3_ALWAYS | track0 | (drive.readOnly ? ST3_WRITE_PROTECTED : 0) | (select & 7);
  }

  /** Commands that seek say so by an interrupt, and the processor asks what it was. */
  #seek(select: number, cylinder: number): void {
    const drive = this.#drive(select);
    this.#command = [];
    this.#later(() => {
      drive?.seek(cylinder);
      const missing = drive === undefined ? ST0_ABNORMAL | ST0_EQUIPMENT : 0;
      this.#interrupts = [[ST0_SEEK_END | missing | select, drive?.cylinder ?? 0]];
      this.#options.irq.set(true);
    });
  }

  #senseInterrupt(): void {
    const [status, cylinder] = this.#interrupts.shift() ?? [ST0_INVALID, 0];
    this.#options.irq.set(false);
    if (status === ST0_INVALID) this.#answer(status);
    else this.#answer(status, cylinder);
  }

  #dumpRegisters(): void {
    const { drive } = this.#options;
    this.#answer(
      ...[drive.cylinder, 0, 0, 0, ...this.#specified, drive.geometry.sectors],
      ...[this.#locked ? 0x80 : 0, this.#configuration, 0],
    );
  }

  #transfer(kind: TransferKind, multiTrack: boolean, parameters: readonly number[]): void {
    const { dma } = this.#options;
    const [select = 0] = parameters;
    const drive = (this.#dor & DOR_DMA_GATE) !== 0 ? this.#drive(select) : undefined;
    const impliedSeek = (this.#configuration & CONFIGURE_IMPLIED_SEEK) !== 0;
    const rate = this.#rate;
    this.#tell(
      () => transfer({ kind, drive, dma, rate, multiTrack, impliedSeek, parameters }),
      select,
    );
  }

  #tell(execute: () => TransferResult, select: number): void {
    this.#later(() => {
      const { status, position } = execute();
      const [st0, st1, st2] = status;
      this.#answer(st0 | (select & 3) | ((position[1] & 1) << 2), st1, st2, ...position);
      this.#options.irq.set(true);
    });
  }
}
