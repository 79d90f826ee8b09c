/**
 * The keyboard: INT 09h takes scan codes from the controller and puts keys into the buffer of the
 * BIOS data area, INT 16h takes them out (IBM PS/2 and PC BIOS Interface Technical Reference).
 */

import { type BiosCall, type Service, WAIT } from "./call.ts";
import { BDA } from "./data-area.ts";
import type { BiosEnvironment } from "./environment.ts";
import { keyOf, MODIFIER_FLAGS } from "./scan-codes.ts";

const KEYBOARD_DATA = 0x60;
const KEYBOARD_STATUS = 0x64;
const STATUS_OUTPUT_FULL = 1 << 0;
const PIC_COMMAND = 0x20;
const END_OF_INTERRUPT = 0x20;

const EXTENDED_PREFIX = 0xe0;
const RELEASED = 0x80;
const CAPS_LOCK = 0x3a;
const CAPS_LOCK_ON = 1 << 6;

/** How much the extended functions know: those of a keyboard of 101 keys, and AH=10h to 12h. */
const CAPABILITIES = 0x20;

export class Keyboard {
  readonly #env: BiosEnvironment;
  #extended = false;
  /** The controller has kept a byte for which the buffer had no room. */
  #declined = false;

  constructor(env: BiosEnvironment) {
    this.#env = env;
  }

  /** INT 09h, from IRQ 1. */
  readonly interrupt: Service = () => {
    const { ports } = this.#env;
    if (this.#isFull) this.#declined = true;
    else this.#takeNext();
    ports.write(PIC_COMMAND, 1, END_OF_INTERRUPT);
    return undefined;
  };

  /**
   * Takes the byte that had to wait, once there is room. A PC's firmware would have lost it, and
   * nobody types that fast; here text may be pasted, or come from a script.
   */
  resume(): void {
    if (!this.#declined || this.#isFull) return;
    this.#declined = false;
    this.#takeNext();
  }

  readonly service: Service = (call) => {
    const { data } = this.#env;
    this.resume();
    switch (call.get("ah")) {
      case 0x00:
      case 0x10:
      case 0x20:
        return this.#read(call);
      case 0x01:
      case 0x11:
      case 0x21:
        this.#peek(call);
        break;
      case 0x02:
        call.set("al", data.u8(BDA.KEYBOARD_FLAGS));
        break;
      case 0x12:
      case 0x22:
        call.set("al", data.u8(BDA.KEYBOARD_FLAGS));
        call.set("ah", data.u8(BDA.KEYBOARD_FLAGS_2));
        break;
      case 0x05:
        call.set("al", this.#put(call.get("cx")) ? 0 : 1);
        break;
      case 0x09:
        call.set("al", CAPABILITIES);
        break;
    }
    return undefined;
  };

  #read(call: BiosCall): typeof WAIT | undefined {
    const key = this.#head();
    if (key === undefined) return WAIT;
    const { data } = this.#env;
    data.setU16(BDA.KEYBOARD_HEAD, this.#after(data.u16(BDA.KEYBOARD_HEAD)));
    call.set("ax", forFunction(call, key));
    return undefined;
  }

  #peek(call: BiosCall): void {
    const key = this.#head();
    call.zero = key === undefined;
    call.set("ax", key === undefined ? 0 : forFunction(call, key));
  }

  #head(): number | undefined {
    const { data } = this.#env;
    const head = data.u16(BDA.KEYBOARD_HEAD);
    return head === data.u16(BDA.KEYBOARD_TAIL) ? undefined : data.u16(head);
  }

  /** Programs move the buffer, and its bounds are variables therefore. */
  #after(position: number): number {
    const { data } = this.#env;
    const next = position + 2;
    return next >= data.u16(BDA.KEYBOARD_END) ? data.u16(BDA.KEYBOARD_START) : next;
  }

  /** @returns false when the buffer is full */
  #put(key: number): boolean {
    const { data } = this.#env;
    if (this.#isFull) return false;
    const tail = data.u16(BDA.KEYBOARD_TAIL);
    data.setU16(tail, key);
    data.setU16(BDA.KEYBOARD_TAIL, this.#after(tail));
    return true;
  }

  get #isFull(): boolean {
    const { data } = this.#env;
    return this.#after(data.u16(BDA.KEYBOARD_TAIL)) === data.u16(BDA.KEYBOARD_HEAD);
  }

  #takeNext(): void {
    const { ports } = this.#env;
    if ((ports.read(KEYBOARD_STATUS, 1) & STATUS_OUTPUT_FULL) === 0) return;
    this.#take(ports.read(KEYBOARD_DATA, 1));
  }

  #take(scanCode: number): void {
    if (scanCode === EXTENDED_PREFIX) {
      this.#extended = true;
      return;
    }
    const extended = this.#extended;
    this.#extended = false;
    const { data } = this.#env;
    const pressed = (scanCode & RELEASED) === 0;
    const code = scanCode & ~RELEASED;
    const flags = data.u8(BDA.KEYBOARD_FLAGS);
    const modifier = MODIFIER_FLAGS[code];
    if (modifier !== undefined) {
      data.setU8(BDA.KEYBOARD_FLAGS, pressed ? flags | modifier : flags & ~modifier);
    } else if (pressed && code === CAPS_LOCK) {
      data.setU8(BDA.KEYBOARD_FLAGS, flags ^ CAPS_LOCK_ON);
    } else if (pressed) {
      const key = keyOf(code, extended, flags);
      if (key !== undefined) this.#put(key);
    }
  }
}

/** The functions of the first PC know no keys marked as extended: 0xe0 becomes 0. */
function forFunction(call: BiosCall, key: number): number {
  const extended = call.get("ah") >= 0x10;
  const mark = (key & 0xff) === 0xe0 && key >> 8 !== 0;
  return mark && !extended ? key & 0xff00 : key;
}
