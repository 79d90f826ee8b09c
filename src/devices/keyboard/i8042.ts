import { byteDevice } from "../../core/byte-device.ts";
import type { BusDevice, Resettable } from "../../core/device.ts";

/** Status register, port 0x64 (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and
 * Auxiliary Device Controller"). */
const STATUS_OUTPUT_FULL = 1 << 0;
const STATUS_SYSTEM = 1 << 2;
const STATUS_COMMAND = 1 << 3;
const STATUS_UNLOCKED = 1 << 4;
const STATUS_AUX = 1 << 5;
const STATUS_TIMEOUT = 1 << 6;

/** Command byte. */
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
/** What the controller says for a device that did not answer. */
const RESEND = 0xfe;

const MEMORY_MASK = 0x1f;

/** Commands that are followed by a data byte. */
const WRITE_OUTPUT_PORT = 0xd1;
const WRITE_KEYBOARD_BUFFER = 0xd2;
const WRITE_AUX_BUFFER = 0xd3;
const WRITE_AUX = 0xd4;

/**
 * The keyboard controller, with nothing plugged in. It answers for itself (tests, command byte,
 * memory, output port); a byte for the keyboard or the mouse times out at once and says so, as the
 * controller does after 15 ms: so a guest that waits for an answer gets one. The controller's own
 * answers are polled for, so it has no interrupt lines.
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
  /** The controller's memory; byte 0 is the command byte. */
  readonly #memory = new Uint8Array(MEMORY_MASK + 1);
  #output = 0;
  /** Status bits that come with the output byte; 0 when there is none. */
  #outputStatus = 0;
  #outputPort = 0;
  /** The command whose data byte is awaited. */
  #awaiting: number | undefined;
  #lastWasCommand = false;

  /** @param onReset the CPU's reset line was pulsed */
  constructor({ onReset }: { onReset: () => void }) {
    this.#onReset = onReset;
    this.reset();
  }

  /** As a BIOS leaves it after its tests. */
  reset(): void {
    this.#memory.fill(0);
    this.#mode = MODE_TRANSLATE | MODE_SYSTEM;
    this.#output = 0;
    this.#outputStatus = 0;
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
    return (
      STATUS_UNLOCKED |
      (this.#mode & MODE_SYSTEM ? STATUS_SYSTEM : 0) |
      (this.#lastWasCommand ? STATUS_COMMAND : 0) |
      this.#outputStatus
    );
  }

  #readData(): number {
    this.#outputStatus = 0;
    return this.#output;
  }

  #writeData(value: number): void {
    const command = this.#awaiting;
    this.#awaiting = undefined;
    this.#lastWasCommand = false;
    switch (command) {
      case undefined:
        this.#answer(RESEND, STATUS_TIMEOUT);
        break;
      case WRITE_AUX:
        this.#answer(RESEND, STATUS_TIMEOUT | STATUS_AUX);
        break;
      case WRITE_KEYBOARD_BUFFER:
        this.#answer(value);
        break;
      case WRITE_AUX_BUFFER:
        this.#answer(value, STATUS_AUX);
        break;
      case WRITE_OUTPUT_PORT:
        this.#writeOutputPort(value);
        break;
      default:
        this.#memory[command & MEMORY_MASK] = value;
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

  #answer(byte: number, status = 0): void {
    this.#output = byte;
    this.#outputStatus = STATUS_OUTPUT_FULL | status;
  }
}
