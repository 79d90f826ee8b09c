import type { ConsoleBackend } from "../../core/backends.ts";
import { ByteDevice } from "../../core/byte-device.ts";
import type { Resettable } from "../../core/device.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import { MIB } from "../../core/units.ts";

/** Registers by offset (National PC16550D data sheet, table II). */
const RBR_THR_DLL = 0;
const IER_DLM = 1;
const IIR_FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;

/** Interrupt enable register. */
const IER_RECEIVED = 1 << 0;
const IER_TRANSMITTER_EMPTY = 1 << 1;
const IER_LINE_STATUS = 1 << 2;
const IER_MODEM_STATUS = 1 << 3;
const IER_WRITABLE = 0x0f;

/** Interrupt identification register: sources in order of priority (table IV). */
const IIR_LINE_STATUS = 0x06;
const IIR_RECEIVED = 0x04;
const IIR_TIMEOUT = 0x0c;
const IIR_TRANSMITTER_EMPTY = 0x02;
const IIR_MODEM_STATUS = 0x00;
const IIR_NONE = 0x01;
const IIR_FIFOS_ENABLED = 0xc0;

/** FIFO control register. */
const FCR_ENABLE = 1 << 0;
const FCR_CLEAR_RECEIVER = 1 << 1;
const FCR_TRIGGER_SHIFT = 6;
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;
const FIFO_SIZE = 16;

const LCR_DIVISOR_LATCH = 1 << 7;

/** Modem control register. */
const MCR_DTR = 1 << 0;
const MCR_RTS = 1 << 1;
const MCR_OUT1 = 1 << 2;
/**
 * On a PC this output connects the chip's interrupt to the bus. Here it always is: many drivers,
 * written on emulators, leave the output alone.
 */
const MCR_OUT2 = 1 << 3;
const MCR_LOOPBACK = 1 << 4;
const MCR_WRITABLE = 0x1f;

/** Line status register. */
const LSR_DATA_READY = 1 << 0;
const LSR_OVERRUN = 1 << 1;
const LSR_TRANSMITTER_EMPTY = (1 << 5) | (1 << 6);

/** Modem status register: lines in the upper half, their changes in the lower. */
const MSR_CTS = 1 << 4;
const MSR_DSR = 1 << 5;
const MSR_RI = 1 << 6;
const MSR_DCD = 1 << 7;
const MSR_CHANGES = 0x0f;
const MSR_RI_ENDED = 1 << 2;
/** The other end of the line is there and ready. */
const CONNECTED = MSR_CTS | MSR_DSR | MSR_DCD;

/** 9600 Bd, what a BIOS sets. */
const POWER_ON_DIVISOR = 12;

/** What the host may send ahead of the guest. Beyond this the line overruns, as a real one does. */
const HOST_QUEUE_LIMIT = MIB;

/**
 * Who is about to send a byte looks once whether the transmitter is ready; who looks this often
 * without sending waits for bytes to come.
 */
const MANY_LOOKS = 16;

/**
 * The 16550A UART. Source: National PC16550D data sheet (June 1995).
 *
 * Bytes take no time on the line. The transmitter is always ready: a byte written goes to the host
 * at once. Bytes from the host wait in a queue until the receiver has room, so that a fast typist
 * causes no overrun; fewer bytes than the trigger level report a character timeout at once, since
 * no more of them are on their way.
 */
export class Uart16550 extends ByteDevice implements Resettable {
  readonly #irq: IrqLine;
  readonly #console: ConsoleBackend;

  /** What the guest can read: the receive FIFO, or its one holding register. */
  #received: number[] = [];
  /** Chunks from the host, and how much of the first is taken. */
  #queue: Uint8Array[] = [];
  #queueStart = 0;
  #queueLength = 0;

  #divisor = POWER_ON_DIVISOR;
  #interruptEnable = 0;
  #fifoControl = 0;
  #lineControl = 0;
  #modemControl = 0;
  #modemStatus = CONNECTED;
  #scratch = 0;
  #overrun = false;
  /** The transmitter has become empty and nobody has been told. */
  #emptied = false;
  /** How often nothing had come, since the last byte was sent. Stays at {@link MANY_LOOKS}. */
  #vainLooks = 0;

  constructor({ irq, console }: { irq: IrqLine; console: ConsoleBackend }) {
    super();
    this.#irq = irq;
    this.#console = console;
    console.connect((bytes) => this.#receive(bytes));
  }

  /** What the host has sent ahead stays for the next guest to read. */
  reset(): void {
    this.#received = [];
    this.#divisor = POWER_ON_DIVISOR;
    this.#interruptEnable = 0;
    this.#fifoControl = 0;
    this.#lineControl = 0;
    this.#modemControl = 0;
    this.#modemStatus = CONNECTED;
    this.#scratch = 0;
    this.#overrun = false;
    this.#emptied = false;
    this.#refill();
    this.#update();
  }

  /**
   * Whether a driver listens: it wants to hear of bytes, or is ready to receive and keeps looking for
   * them. Being ready says little alone, for those that only send say so too.
   */
  get listening(): boolean {
    const ready = !this.#loopback && (this.#modemControl & (MCR_DTR | MCR_RTS)) !== 0;
    const looking = this.#vainLooks >= MANY_LOOKS;
    return (ready && looking) || (this.#interruptEnable & IER_RECEIVED) !== 0;
  }

  readByte(offset: number): number {
    switch (offset) {
      case RBR_THR_DLL:
        return this.#divisorLatch ? this.#divisor & 0xff : this.#readData();
      case IER_DLM:
        return this.#divisorLatch ? this.#divisor >> 8 : this.#interruptEnable;
      case IIR_FCR:
        return this.#readIdentification();
      case LCR:
        return this.#lineControl;
      case MCR:
        return this.#modemControl;
      case LSR:
        return this.#readLineStatus();
      case MSR:
        return this.#readModemStatus();
      default:
        return this.#scratch;
    }
  }

  writeByte(offset: number, value: number): void {
    switch (offset) {
      case RBR_THR_DLL:
        if (this.#divisorLatch) this.#divisor = (this.#divisor & 0xff00) | value;
        else this.#writeData(value);
        break;
      case IER_DLM:
        if (this.#divisorLatch) this.#divisor = (value << 8) | (this.#divisor & 0xff);
        else this.#writeInterruptEnable(value & IER_WRITABLE);
        break;
      case IIR_FCR:
        this.#writeFifoControl(value);
        break;
      case LCR:
        this.#lineControl = value;
        break;
      case MCR:
        this.#writeModemControl(value & MCR_WRITABLE);
        break;
      case LSR:
      case MSR:
        // Read-only (the data sheet leaves writing them to factory tests).
        break;
      default:
        this.#scratch = value;
    }
  }

  get #divisorLatch(): boolean {
    return (this.#lineControl & LCR_DIVISOR_LATCH) !== 0;
  }

  get #loopback(): boolean {
    return (this.#modemControl & MCR_LOOPBACK) !== 0;
  }

  get #capacity(): number {
    return (this.#fifoControl & FCR_ENABLE) !== 0 ? FIFO_SIZE : 1;
  }

  #receive(bytes: Uint8Array): void {
    const room = HOST_QUEUE_LIMIT - this.#queueLength;
    if (bytes.length > room) this.#overrun = true;
    // A copy: the bytes are the host's again after the call.
    const taken = bytes.slice(0, room);
    if (taken.length > 0) this.#queue.push(taken);
    this.#queueLength += taken.length;
    this.#refill();
    this.#update();
  }

  /** Moves bytes from the host's queue to the receiver. Loopback disconnects the line. */
  #refill(): void {
    while (!this.#loopback && this.#received.length < this.#capacity) {
      const [chunk] = this.#queue;
      if (chunk === undefined) return;
      this.#received.push(chunk[this.#queueStart++] as number);
      this.#queueLength--;
      if (this.#queueStart === chunk.length) {
        this.#queue.shift();
        this.#queueStart = 0;
      }
    }
  }

  #readData(): number {
    const byte = this.#received.shift() ?? 0;
    this.#refill();
    this.#update();
    return byte;
  }

  #writeData(byte: number): void {
    // The line goes low and up again, as while a byte is being sent: an edge for the controller.
    this.#emptied = false;
    if (this.#vainLooks < MANY_LOOKS) this.#vainLooks = 0;
    this.#update();
    if (!this.#loopback) this.#console.transmit(byte);
    else if (this.#received.length < this.#capacity) this.#received.push(byte);
    else {
      this.#overrun = true;
      // Without FIFO the new byte takes the place of the old one.
      if (this.#capacity === 1) this.#received[0] = byte;
    }
    this.#emptied = true;
    this.#update();
  }

  #writeInterruptEnable(value: number): void {
    const enabled = value & ~this.#interruptEnable;
    // Enabling the interrupt while the transmitter is empty raises it (section 8.4).
    if ((enabled & IER_TRANSMITTER_EMPTY) !== 0) this.#emptied = true;
    this.#interruptEnable = value;
    this.#update();
  }

  #writeFifoControl(value: number): void {
    const toggled = ((value ^ this.#fifoControl) & FCR_ENABLE) !== 0;
    if (toggled || (value & FCR_CLEAR_RECEIVER) !== 0) this.#received = [];
    // The other bits count only together with the enable bit (section 8.5).
    this.#fifoControl = (value & FCR_ENABLE) !== 0 ? value : 0;
    this.#refill();
    this.#update();
  }

  #writeModemControl(value: number): void {
    this.#modemControl = value;
    const lines = this.#modemLines();
    const changed = (lines ^ this.#modemStatus) & ~MSR_CHANGES;
    // Of the ring indicator only the end counts, of the others any change.
    const changes = (changed >> 4) & ~((lines & MSR_RI) !== 0 ? MSR_RI_ENDED : 0);
    this.#modemStatus = lines | (this.#modemStatus & MSR_CHANGES) | changes;
    this.#refill();
    this.#update();
  }

  /** The modem's lines; in loopback the chip's own outputs are connected to them. */
  #modemLines(): number {
    if (!this.#loopback) return CONNECTED;
    const outputs = this.#modemControl;
    return (
      ((outputs & MCR_RTS) !== 0 ? MSR_CTS : 0) |
      ((outputs & MCR_DTR) !== 0 ? MSR_DSR : 0) |
      ((outputs & MCR_OUT1) !== 0 ? MSR_RI : 0) |
      ((outputs & MCR_OUT2) !== 0 ? MSR_DCD : 0)
    );
  }

  #readLineStatus(): number {
    const status =
      LSR_TRANSMITTER_EMPTY |
      (this.#received.length > 0 ? LSR_DATA_READY : 0) |
      (this.#overrun ? LSR_OVERRUN : 0);
    this.#overrun = false;
    if (this.#received.length === 0 && this.#vainLooks < MANY_LOOKS) this.#vainLooks++;
    this.#update();
    return status;
  }

  #readModemStatus(): number {
    const status = this.#modemStatus;
    this.#modemStatus &= ~MSR_CHANGES;
    this.#update();
    return status;
  }

  #readIdentification(): number {
    const source = this.#source();
    if (source === IIR_TRANSMITTER_EMPTY) {
      this.#emptied = false;
      this.#update();
    }
    return source | ((this.#fifoControl & FCR_ENABLE) !== 0 ? IIR_FIFOS_ENABLED : 0);
  }

  /** The most urgent interrupt that is enabled and pending. */
  #source(): number {
    const enabled = this.#interruptEnable;
    if ((enabled & IER_LINE_STATUS) !== 0 && this.#overrun) return IIR_LINE_STATUS;
    if ((enabled & IER_RECEIVED) !== 0 && this.#received.length > 0) {
      const trigger = TRIGGER_LEVELS[this.#fifoControl >> FCR_TRIGGER_SHIFT] ?? 1;
      return this.#received.length >= trigger ? IIR_RECEIVED : IIR_TIMEOUT;
    }
    if ((enabled & IER_TRANSMITTER_EMPTY) !== 0 && this.#emptied) return IIR_TRANSMITTER_EMPTY;
    if ((enabled & IER_MODEM_STATUS) !== 0 && (this.#modemStatus & MSR_CHANGES) !== 0) {
      return IIR_MODEM_STATUS;
    }
    return IIR_NONE;
  }

  #update(): void {
    this.#irq.set(this.#source() !== IIR_NONE);
  }
}
