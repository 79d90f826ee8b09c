import { byteDevice } from "../../core/byte-device.ts";
import type { BusDevice, Resettable } from "../../core/device.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import type { AtKeyboard } from "./at-keyboard.ts";
import { Ps2Mouse } from "./ps2-mouse.ts";

/** Status register, port 0x64 (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and
 * Auxiliary Device Controller"). */
const STATUS_OUTPUT_FULL = 1 << 0;
const STATUS_SYSTEM = 1 << 2;
const STATUS_COMMAND = 1 << 3;
const STATUS_UNLOCKED = 1 << 4;
const STATUS_AUX = 1 << 5;

/** Command byte. */
const MODE_KEYBOARD_INTERRUPT = 1 << 0;
const MODE_AUX_INTERRUPT = 1 << 1;
const MODE_SYSTEM = 1 << 2;
const MODE_KEYBOARD_DISABLED = 1 << 4;
const MODE_AUX_DISABLED = 1 << 5;
const MODE_TRANSLATE = 1 << 6;

/** Output port. */
const OUTPUT_NOT_RESET = 1 << 0;
const OUTPUT_A20 = 1 << 1;
/** The lines to keyboard and mouse, idle. */
const OUTPUT_IDLE = 0xcc;
/** Input port: keyboard not locked, manufacturing jumper off. */
const INPUT_PORT = 0xa0;

const SELF_TEST_PASSED = 0x55;
const PORT_TEST_PASSED = 0x00;

const MEMORY_MASK = 0x1f;

/** Answers to a guest that asks and asks and does not listen. */
const MAX_ANSWERS = 16;

/** Commands that are followed by a data byte. */
const WRITE_OUTPUT_PORT = 0xd1;
const WRITE_KEYBOARD_BUFFER = 0xd2;
const WRITE_AUX_BUFFER = 0xd3;
const WRITE_AUX = 0xd4;

type Speaker = "controller" | "keyboard" | "mouse";

interface OutputByte {
  readonly value: number;
  readonly from: Speaker;
  /** Whether a device said it because it was asked. */
  readonly isAnswer?: boolean;
}

/**
 * The keyboard controller, with a keyboard and a mouse.
 *
 * Address line 20 is never masked: its gate is remembered and has no other effect.
 */
export class I8042 implements Resettable {
  /** Port 0x60. */
  readonly data: BusDevice = byteDevice({
    readByte: () => this.#readData(),
    writeByte: (_offset, value) => this.#writeData(value),
  });
  /** Port 0x64. */
  readonly command: BusDevice = byteDevice({
    readByte: () => this.#status(),
    writeByte: (_offset, value) => this.#command(value),
  });

  readonly #onReset: () => void;
  readonly #irq: IrqLine;
  readonly #mouseIrq: IrqLine;
  readonly #keyboard: AtKeyboard;
  readonly #mouse = new Ps2Mouse();
  /** The controller's memory; byte 0 is the command byte. */
  readonly #memory = new Uint8Array(MEMORY_MASK + 1);
  /** Answers of the controller's own that are still to be read. */
  #answers: OutputByte[] = [];
  /** The mouse's answers to its last command, or a report: they come only while it is not disabled. */
  #mouseBytes: OutputByte[] = [];
  /** What port 0x60 reads; kept after it has been read. */
  #output: OutputByte = { value: 0, from: "controller" };
  #full = false;
  #outputPort = 0;
  /** The command whose data byte is awaited. */
  #awaiting: number | undefined;
  #lastWasCommand = false;
  #used = false;

  /**
   * @param onReset the CPU's reset line was pulsed
   * @param irq the keyboard's interrupt
   * @param mouseIrq the mouse's
   */
  constructor(options: {
    onReset: () => void;
    irq: IrqLine;
    mouseIrq: IrqLine;
    keyboard: AtKeyboard;
  }) {
    this.#onReset = options.onReset;
    this.#irq = options.irq;
    this.#mouseIrq = options.mouseIrq;
    this.#keyboard = options.keyboard;
    options.keyboard.onReady = () => this.#fill();
    this.reset();
  }

  /** Whether the guest has looked at the status register, as everybody does who has a driver. */
  get used(): boolean {
    return this.#used;
  }

  /** Somebody moves the mouse: see {@link Ps2Mouse.move}. */
  moveMouse(x: number, y: number, buttons: number): void {
    this.#mouse.move(x, y, buttons);
    this.#fill();
  }

  /** As a BIOS leaves it after its tests. */
  reset(): void {
    this.#memory.fill(0);
    this.#mode = MODE_TRANSLATE | MODE_SYSTEM | MODE_KEYBOARD_INTERRUPT;
    this.#answers = [];
    this.#mouseBytes = [];
    this.#mouse.reset();
    this.#full = false;
    this.#used = false;
    this.#lowerLines();
    this.#outputPort = OUTPUT_IDLE | OUTPUT_A20 | OUTPUT_NOT_RESET;
    this.#awaiting = undefined;
    this.#lastWasCommand = false;
  }

  get #mode(): number {
    return this.#memory[0] ?? 0;
  }

  set #mode(value: number) {
    this.#memory[0] = value;
  }

  #status(): number {
    this.#used = true;
    return (
      STATUS_UNLOCKED |
      (this.#mode & MODE_SYSTEM ? STATUS_SYSTEM : 0) |
      (this.#lastWasCommand ? STATUS_COMMAND : 0) |
      (this.#full ? STATUS_OUTPUT_FULL : 0) |
      (this.#full && this.#output.from === "mouse" ? STATUS_AUX : 0)
    );
  }

  #readData(): number {
    const { value } = this.#output;
    this.#full = false;
    this.#lowerLines();
    this.#fill();
    return value;
  }

  #lowerLines(): void {
    this.#irq.set(false);
    this.#mouseIrq.set(false);
  }

  /** Puts the next byte into the output buffer: the controller's answers come first. */
  #fill(): void {
    if (this.#full) return;
    const next = this.#answers.shift() ?? this.#takeMouse() ?? this.#takeKeyboard();
    if (next === undefined) return;
    this.#output = next;
    this.#full = true;
    const { from } = next;
    if (from === "keyboard" && (this.#mode & MODE_KEYBOARD_INTERRUPT) !== 0) this.#irq.set(true);
    if (from === "mouse" && (this.#mode & MODE_AUX_INTERRUPT) !== 0) this.#mouseIrq.set(true);
  }

  #takeMouse(): OutputByte | undefined {
    if ((this.#mode & MODE_AUX_DISABLED) !== 0) return undefined;
    if (this.#mouseBytes.length === 0) this.#mouseBytes = mouseBytes(this.#mouse.take(), false);
    return this.#mouseBytes.shift();
  }

  #takeKeyboard(): OutputByte | undefined {
    if ((this.#mode & MODE_KEYBOARD_DISABLED) !== 0) return undefined;
    const taken = this.#keyboard.take();
    return taken && { value: taken.byte, from: "keyboard", isAnswer: taken.isAnswer };
  }

  #writeData(value: number): void {
    const command = this.#awaiting;
    this.#awaiting = undefined;
    this.#lastWasCommand = false;
    switch (command) {
      case undefined:
        this.#mode &= ~MODE_KEYBOARD_DISABLED;
        this.#dropAnswer("keyboard");
        this.#keyboard.send(value);
        break;
      case WRITE_AUX:
        this.#mode &= ~MODE_AUX_DISABLED;
        this.#dropAnswer("mouse");
        this.#mouseBytes = mouseBytes(this.#mouse.send(value), true);
        this.#fill();
        break;
      case WRITE_KEYBOARD_BUFFER:
        this.#answer(value, "keyboard");
        break;
      case WRITE_AUX_BUFFER:
        this.#answer(value, "mouse");
        break;
      case WRITE_OUTPUT_PORT:
        this.#writeOutputPort(value);
        break;
      default:
        this.#memory[command & MEMORY_MASK] = value;
        this.#fill();
    }
  }

  #command(command: number): void {
    this.#awaiting = undefined;
    this.#lastWasCommand = true;
    if (command >= 0x20 && command < 0x40) this.#answer(this.#memory[command & MEMORY_MASK] ?? 0);
    else if (command >= 0x60 && command < 0x80) this.#awaiting = command;
    else if (command >= 0xf0) this.#pulse(command & 0xf);
    else this.#namedCommand(command);
  }

  #namedCommand(command: number): void {
    switch (command) {
      case WRITE_OUTPUT_PORT:
      case WRITE_KEYBOARD_BUFFER:
      case WRITE_AUX_BUFFER:
      case WRITE_AUX:
        this.#awaiting = command;
        break;
      case 0xa7:
        this.#mode |= MODE_AUX_DISABLED;
        break;
      case 0xa8:
        this.#mode &= ~MODE_AUX_DISABLED;
        this.#fill();
        break;
      case 0xaa:
        this.#mode |= MODE_SYSTEM;
        this.#answer(SELF_TEST_PASSED);
        break;
      case 0xa9:
      case 0xab:
        this.#answer(PORT_TEST_PASSED);
        break;
      case 0xad:
        this.#mode |= MODE_KEYBOARD_DISABLED;
        break;
      case 0xae:
        this.#mode &= ~MODE_KEYBOARD_DISABLED;
        this.#fill();
        break;
      case 0xc0:
        this.#answer(INPUT_PORT);
        break;
      case 0xd0:
        this.#answer(this.#outputPort);
        break;
      case 0xdd:
        this.#outputPort &= ~OUTPUT_A20;
        break;
      case 0xdf:
        this.#outputPort |= OUTPUT_A20;
        break;
      default: // No such command: no answer.
    }
  }

  /** Commands 0xf0 to 0xff take those output port bits low for 6 µs whose bits are clear. */
  #pulse(keep: number): void {
    if ((keep & OUTPUT_NOT_RESET) === 0) this.#onReset();
  }

  #writeOutputPort(value: number): void {
    this.#outputPort = value | OUTPUT_NOT_RESET;
    if ((value & OUTPUT_NOT_RESET) === 0) this.#onReset();
  }

  #answer(value: number, from: Speaker = "controller"): void {
    if (this.#answers.length >= MAX_ANSWERS) return;
    this.#answers.push({ value, from });
    this.#fill();
  }

  /**
   * A device is sent the next byte. Its answer to the one before takes milliseconds in a PC, so that drivers
   * that do not wait for it do not meet it later.
   */
  #dropAnswer(from: Speaker): void {
    if (!this.#full || this.#output.from !== from || this.#output.isAnswer !== true) return;
    this.#full = false;
    this.#lowerLines();
  }
}

const mouseBytes = (values: readonly number[] = [], isAnswer: boolean): OutputByte[] =>
  values.map((value) => ({ value, from: "mouse", isAnswer }));
