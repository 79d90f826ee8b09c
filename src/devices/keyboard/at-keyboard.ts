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
import { scanCodesOf } from "./scan-codes.ts";

/** Commands (IBM PS/2 Hardware Interface Technical Reference, "Keyboard (101- and 102-Key)"). */
const SET_INDICATORS = 0xed;
const ECHO = 0xee;
const SELECT_SCAN_CODES = 0xf0;
const READ_ID = 0xf2;
const SET_TYPEMATIC = 0xf3;

/** The second byte as the controller translates it: what all systems since the AT see. */
const ID = [0xab, 0x41] as const;
const TRANSLATED_SET_2 = 0x41;

/** Keys that nobody has asked for yet; more are lost, as from a full buffer. */
const MAX_WAITING = 4096;

/**
 * A keyboard of 101 keys behind a controller that translates, so that what it sends is scan codes
 * of set 1. Keys are what is typed on the host's console.
 */
export class AtKeyboard implements Resettable {
  #waiting: number[] = [];
  /** To the last command: what has not been taken when the next comes is lost. */
  #answers: readonly number[] = [];
  #enabled = true;
  #awaitingParameterOf: number | undefined;
  #last = 0;
  /** Hears that there is something to {@link take}. */
  onReady: () => void = () => {};

  reset(): void {
    this.#waiting = [];
    this.#answers = [];
    this.#enabled = true;
    this.#awaitingParameterOf = undefined;
  }

  type(text: Uint8Array): void {
    if (!this.#enabled || this.#waiting.length > MAX_WAITING) return;
    this.#waiting.push(...scanCodesOf(text));
    this.onReady();
  }

  /** The next byte for the controller: an answer comes before any keys. */
  take(): { readonly byte: number; readonly isAnswer: boolean } | undefined {
    const [answer, ...others] = this.#answers;
    this.#answers = others;
    const byte = answer ?? this.#waiting.shift();
    if (byte === undefined) return undefined;
    this.#last = byte;
    return { byte, isAnswer: answer !== undefined };
  }

  /** A byte from the controller. */
  send(byte: number): void {
    this.#answers = this.#answer(byte);
    this.onReady();
  }

  #answer(byte: number): readonly number[] {
    const command = this.#awaitingParameterOf;
    this.#awaitingParameterOf = undefined;
    if (command !== undefined && byte < SET_INDICATORS) {
      const asked = command === SELECT_SCAN_CODES && byte === 0;
      return asked ? [ACKNOWLEDGE, TRANSLATED_SET_2] : [ACKNOWLEDGE];
    }
    switch (byte) {
      case SET_INDICATORS:
      case SELECT_SCAN_CODES:
      case SET_TYPEMATIC:
        this.#awaitingParameterOf = byte;
        return [ACKNOWLEDGE];
      case ECHO:
        return [ECHO];
      case READ_ID:
        return [ACKNOWLEDGE, ...ID];
      case ENABLE:
        this.#enabled = true;
        return [ACKNOWLEDGE];
      case DISABLE:
      case SET_DEFAULTS:
        this.#enabled = byte !== DISABLE;
        this.#waiting = [];
        return [ACKNOWLEDGE];
      case RESEND:
        return [this.#last];
      case RESET:
        this.#enabled = true;
        this.#waiting = [];
        return [ACKNOWLEDGE, SELF_TEST_PASSED];
      default:
        return [RESEND];
    }
  }
}
