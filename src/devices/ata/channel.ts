import type { Alarm, Clock } from "../../core/clock.ts";
import {
  type AccessSize,
  type BusDevice,
  floating,
  type Resettable,
  readBytewise,
  writeBytewise,
} from "../../core/device.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import { MICROSECOND, nanos } from "../../core/units.ts";
import type { AtaDevice, DmaTransfer, Step } from "./ata-device.ts";
import { REGISTER, STATUS, TaskFile } from "./task-file.ts";

/** Device control bits (ATA/ATAPI-6 §7.8). */
const CONTROL_NO_INTERRUPT = 1 << 1;
const CONTROL_RESET = 1 << 2;
const CONTROL_PREVIOUS = 1 << 7;

/** Commands for whom the channel is concerned itself. */
const DEVICE_RESET = 0x08;
const EXECUTE_DEVICE_DIAGNOSTIC = 0x90;
/** Diagnostic code, where errors are read: device 0 passed, and device 1 did or is absent. */
const PASSED = 0x01;

const READY = STATUS.READY | STATUS.SEEK_COMPLETE;

/**
 * How long an interrupt lets itself be awaited: no disk is as quick as this one, and kernels halt behind a look for
 * something to do, counting on it that the interrupt did not come in between (xv6 with HLT in its scheduler).
 */
const LATENCY = 50 * MICROSECOND;

/** A block in the middle of being read or written through the data register. */
interface Block {
  readonly data: Uint8Array;
  readonly toGuest: boolean;
  position: number;
  readonly next: () => Step;
}

/** Moves data between a device and the guest's memory, if it has been started. */
export interface DmaEngine {
  /** A device has data to move: true if all of it was, undefined if the engine is not started. */
  move(transfer: DmaTransfer): boolean | undefined;
  /** The interrupt line went up. */
  noticeInterrupt(): void;
}

export interface AtaChannelOptions {
  readonly clock: Clock;
  readonly irq: IrqLine;
  /** Device 0, and device 1 if there is one. */
  readonly devices: readonly [AtaDevice, AtaDevice?];
}

/**
 * One cable of the AT's disk interface with its two devices: the registers of the host adapter and
 * the order of things when a command is given (ATA/ATAPI-6, clauses 7 and 9). Commands are done at
 * once, so nobody ever sees it busy, but during a reset. Interrupts come a little later, or when the guest has
 * a look at the registers, whatever is first.
 */
export class AtaChannel implements Resettable {
  /** Eight ports: 0x1f0 or 0x170 on a PC. */
  readonly commandBlock: BusDevice;
  /** One port, 0x3f6 or 0x376: device control, and the status without its effect. */
  readonly controlBlock: BusDevice;
  readonly #options: AtaChannelOptions;
  readonly #task = new TaskFile();
  #engine: DmaEngine | undefined;
  #control = 0;
  #status = 0;
  #interrupt = false;
  /** The interrupt is to come, at the time of the alarm. */
  #isDue = false;
  readonly #alarm: Alarm;
  #block: Block | undefined;
  #waitingForDma: (Step & { kind: "dma" }) | undefined;

  constructor(options: AtaChannelOptions) {
    this.#options = options;
    this.#alarm = options.clock.alarm(() => this.settle());
    this.commandBlock = {
      read: (offset, size) => this.#readCommandBlock(offset, size),
      write: (offset, size, value) => this.#writeCommandBlock(offset, size, value),
    };
    this.controlBlock = {
      read: () => {
        this.settle();
        return this.#visibleStatus;
      },
      write: (_offset, _size, value) => this.#writeControl(value),
    };
    this.reset();
  }

  /** To be called once, by what has the channel. */
  attachEngine(engine: DmaEngine): void {
    this.#engine = engine;
  }

  reset(): void {
    this.#control = 0;
    this.#resetDevices();
  }

  /** An interrupt that is to come does so now: before anything about the channel is looked at or changed. */
  settle(): void {
    if (!this.#isDue) return;
    this.#withdraw();
    this.#interrupt = true;
    this.#driveLine();
    this.#engine?.noticeInterrupt();
  }

  /** The DMA engine has been started. */
  startDma(): void {
    this.settle();
    const step = this.#waitingForDma;
    if (step === undefined) return;
    this.#waitingForDma = undefined;
    this.#dma(step);
  }

  #resetDevices(): void {
    for (const device of this.#options.devices) device?.reset();
    this.#abandon();
    this.#task.reset();
    this.#sign(this.#options.devices[0]);
    this.#setInterrupt(false);
  }

  #abandon(): void {
    this.#block = undefined;
    this.#waitingForDma = undefined;
  }

  /** Leaves in the registers what tells the device's kind. */
  #sign(device: AtaDevice): void {
    this.#task.setSignature(device.signature);
    this.#task.error = PASSED;
    this.#status = device.packet ? 0 : READY;
  }

  get #selected(): AtaDevice | undefined {
    return this.#options.devices[this.#task.deviceNumber];
  }

  /** An absent device 1 reads as zero in all its registers. */
  get #visibleStatus(): number {
    if ((this.#control & CONTROL_RESET) !== 0) return STATUS.BUSY;
    return this.#selected === undefined ? 0 : this.#status;
  }

  #readCommandBlock(offset: number, size: AccessSize): number {
    this.settle();
    if (offset === REGISTER.DATA) return this.#readData(size);
    if (size > 1) return readBytewise(this.commandBlock, offset, size);
    if (offset === REGISTER.COMMAND) {
      this.#setInterrupt(false);
      return this.#visibleStatus;
    }
    // The device register is the channel's to both devices.
    if (this.#selected === undefined && offset !== REGISTER.DEVICE) return 0;
    if (offset === REGISTER.FEATURES) return this.#task.error;
    return this.#task.read(offset, (this.#control & CONTROL_PREVIOUS) !== 0);
  }

  #writeCommandBlock(offset: number, size: AccessSize, value: number): void {
    this.settle();
    if (offset === REGISTER.DATA) {
      this.#writeData(size, value);
      return;
    }
    if (size > 1) {
      writeBytewise(this.commandBlock, offset, size, value);
      return;
    }
    this.#control &= ~CONTROL_PREVIOUS;
    if (offset === REGISTER.COMMAND) this.#command(value & 0xff);
    else this.#task.write(offset, value & 0xff);
  }

  #writeControl(value: number): void {
    this.settle();
    const reset = (value & CONTROL_RESET) !== 0;
    const wasReset = (this.#control & CONTROL_RESET) !== 0;
    this.#control = value;
    if (reset && !wasReset) this.#resetDevices();
    this.#driveLine();
  }

  #command(command: number): void {
    const device = this.#selected;
    this.#abandon();
    this.#setInterrupt(false);
    if (command === EXECUTE_DEVICE_DIAGNOSTIC) {
      this.#resetDevices();
      this.#setInterrupt(true);
    } else if (device === undefined) return;
    else if (command === DEVICE_RESET && device.packet) {
      device.reset();
      this.#sign(device);
    } else this.#take(device.execute(command, this.#task));
  }

  #take(step: Step): void {
    switch (step.kind) {
      case "finish": {
        const { error = 0, quiet = false } = step;
        this.#task.error = error;
        this.#status = READY | (error === 0 ? 0 : STATUS.ERROR);
        if (!quiet) this.#setInterrupt(true);
        return;
      }
      case "send":
        this.#request({ data: step.data, toGuest: true, position: 0, next: step.next }, false);
        return;
      case "receive": {
        const data = new Uint8Array(step.length);
        const next = (): Step => step.next(data);
        this.#request({ data, toGuest: false, position: 0, next }, step.quiet);
        return;
      }
      case "dma":
        this.#dma(step);
    }
  }

  #request(block: Block, quiet: boolean): void {
    this.#block = block;
    this.#status = READY | STATUS.DATA_REQUEST;
    if (!quiet) this.#setInterrupt(true);
  }

  #dma(step: Step & { kind: "dma" }): void {
    const complete = this.#engine?.move(step.transfer);
    if (complete === undefined) {
      this.#waitingForDma = step;
      this.#status = READY | STATUS.DATA_REQUEST;
    } else this.#take(step.next(complete));
  }

  /** Data come in words; 32-bit accesses are two of them. */
  #readData(size: AccessSize): number {
    const block = this.#block;
    if (block === undefined || !block.toGuest) return floating(size);
    const { data, position } = block;
    let value = 0;
    for (let i = 0; i < size; i++) value |= (data[position + i] ?? 0) << (8 * i);
    this.#advance(block, size);
    return value >>> 0;
  }

  #writeData(size: AccessSize, value: number): void {
    const block = this.#block;
    if (block === undefined || block.toGuest) return;
    const { data, position } = block;
    // What is behind the end of the array is dropped.
    for (let i = 0; i < size; i++) data[position + i] = value >>> (8 * i);
    this.#advance(block, size);
  }

  #advance(block: Block, size: AccessSize): void {
    block.position += size;
    if (block.position < block.data.length) return;
    this.#block = undefined;
    this.#take(block.next());
  }

  #setInterrupt(level: boolean): void {
    if (level) {
      if (this.#interrupt || this.#isDue) return;
      this.#isDue = true;
      this.#alarm.set(nanos(this.#options.clock.now() + LATENCY));
      return;
    }
    if (this.#isDue) this.#withdraw();
    this.#interrupt = false;
    this.#driveLine();
  }

  /** The interrupt is not to come any more by itself. */
  #withdraw(): void {
    this.#isDue = false;
    this.#alarm.cancel();
  }

  #driveLine(): void {
    this.#options.irq.set(this.#interrupt && (this.#control & CONTROL_NO_INTERRUPT) === 0);
  }
}
