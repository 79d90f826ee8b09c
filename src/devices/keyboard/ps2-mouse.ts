import type { Resettable } from "../../core/device.ts";
import {
  ACKNOWLEDGE,
  DISABLE,
  ENABLE,
  RESEND,
  RESET,
  SELF_TEST_PASSED,
  SET_DEFAULTS,
} from "./ps2.ts";

/** Commands (IBM PS/2 Hardware Interface Technical Reference, "Auxiliary Device: Mouse"). */
const SET_SCALING_1 = 0xe6;
const SET_SCALING_2 = 0xe7;
const SET_RESOLUTION = 0xe8;
const STATUS_REQUEST = 0xe9;
const SET_STREAM_MODE = 0xea;
const READ_DATA = 0xeb;
const RESET_WRAP_MODE = 0xec;
const SET_WRAP_MODE = 0xee;
const SET_REMOTE_MODE = 0xf0;
const READ_DEVICE_TYPE = 0xf2;
const SET_SAMPLING_RATE = 0xf3;

const DEVICE_TYPE = 0x00;

/** The first byte of STATUS REQUEST's answer. */
const STATUS = { REMOTE: 1 << 6, ENABLED: 1 << 5, SCALING_2: 1 << 4 } as const;
/** The first byte of a report; buttons are its low three bits. */
const REPORT = { ALWAYS: 1 << 3, X_NEGATIVE: 1 << 4, Y_NEGATIVE: 1 << 5 } as const;
const BUTTONS = 0x07;
/** What a report can tell of, in each direction. */
const MAX_MOVEMENT = 255;

interface Settings {
  remote: boolean;
  enabled: boolean;
  scaling2: boolean;
  /** As a power of two: counts a millimetre. */
  resolution: number;
  /** Reports a second. */
  samplingRate: number;
}

const DEFAULTS: Readonly<Settings> = {
  ...{ remote: false, enabled: false, scaling2: false },
  ...{ resolution: 2, samplingRate: 100 },
};

/** A mouse with three buttons, which it may be that nobody moves: systems look for it, some without an end. */
export class Ps2Mouse implements Resettable {
  #settings: Settings = { ...DEFAULTS };
  #echoes = false;
  #awaitingParameterOf: number | undefined;
  #last: readonly number[] = [];
  /** What no report has told of yet, in counts: to the right, and up. */
  #x = 0;
  #y = 0;
  #buttons = 0;
  #changed = false;

  reset(): void {
    this.#settings = { ...DEFAULTS };
    this.#echoes = false;
    this.#awaitingParameterOf = undefined;
    this.#last = [];
    this.#forget();
  }

  /**
   * Somebody moves it, or presses buttons. While it does not report it forgets that.
   * @param x counts to the right
   * @param y counts up
   * @param buttons bit 0 the left one, 1 the right one, 2 the middle one
   */
  move(x: number, y: number, buttons: number): void {
    this.#x += x;
    this.#y += y;
    this.#buttons = buttons & BUTTONS;
    this.#changed = true;
    if (!this.#settings.enabled && !this.#settings.remote) this.#forget();
  }

  /** In stream mode: the next report, if there is anything to tell. */
  take(): readonly number[] | undefined {
    const { enabled, remote } = this.#settings;
    if (!this.#changed || !enabled || remote || this.#echoes) return undefined;
    return this.#report();
  }

  #forget(): void {
    this.#x = 0;
    this.#y = 0;
    this.#changed = false;
  }

  #report(): readonly number[] {
    const x = clamped(this.#x);
    const y = clamped(this.#y);
    this.#x -= x;
    this.#y -= y;
    this.#changed = this.#x !== 0 || this.#y !== 0;
    const signs = (x < 0 ? REPORT.X_NEGATIVE : 0) | (y < 0 ? REPORT.Y_NEGATIVE : 0);
    return [REPORT.ALWAYS | signs | this.#buttons, x & 0xff, y & 0xff];
  }

  /** A byte from the controller. @returns the answer */
  send(byte: number): readonly number[] {
    if (byte === RESEND && !this.#echoes) return this.#last;
    const answer = this.#answer(byte);
    this.#last = answer;
    return answer;
  }

  #answer(byte: number): readonly number[] {
    if (this.#echoes && byte !== RESET && byte !== RESET_WRAP_MODE) return [byte];
    const command = this.#awaitingParameterOf;
    this.#awaitingParameterOf = undefined;
    const settings = this.#settings;
    if (command === SET_RESOLUTION) settings.resolution = byte;
    else if (command === SET_SAMPLING_RATE) settings.samplingRate = byte;
    if (command !== undefined) return [ACKNOWLEDGE];
    switch (byte) {
      case SET_SCALING_1:
      case SET_SCALING_2:
        settings.scaling2 = byte === SET_SCALING_2;
        break;
      case SET_RESOLUTION:
      case SET_SAMPLING_RATE:
        this.#awaitingParameterOf = byte;
        break;
      case STATUS_REQUEST:
        return [ACKNOWLEDGE, this.#status, settings.resolution, settings.samplingRate];
      case SET_STREAM_MODE:
      case SET_REMOTE_MODE:
        settings.remote = byte === SET_REMOTE_MODE;
        break;
      case READ_DATA:
        return [ACKNOWLEDGE, ...this.#report()];
      case SET_WRAP_MODE:
      case RESET_WRAP_MODE:
        this.#echoes = byte === SET_WRAP_MODE;
        break;
      case READ_DEVICE_TYPE:
        return [ACKNOWLEDGE, DEVICE_TYPE];
      case ENABLE:
      case DISABLE:
        settings.enabled = byte === ENABLE;
        break;
      case SET_DEFAULTS:
        this.reset();
        break;
      case RESET:
        this.reset();
        return [ACKNOWLEDGE, SELF_TEST_PASSED, DEVICE_TYPE];
      default:
        return [RESEND];
    }
    return [ACKNOWLEDGE];
  }

  get #status(): number {
    const { remote, enabled, scaling2 } = this.#settings;
    return (
      (remote ? STATUS.REMOTE : 0) |
      (enabled ? STATUS.ENABLED : 0) |
      (scaling2 ? STATUS.SCALING_2 : 0)
    );
  }
}

const clamped = (movement: number): number =>
  Math.max(-MAX_MOVEMENT, Math.min(MAX_MOVEMENT, Math.trunc(movement)));
