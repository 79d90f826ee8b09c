/**
 * INT 10h AH=4Fh: VESA BIOS Extension Core Functions 3.0, for the modes of `vbe-modes.ts`, and VBE/DDC
 * for a monitor that does not tell about itself. Other than these (power, state, the protected mode
 * interface) there is none.
 */

import type { BusDevice } from "../../core/device.ts";
import type { GuestMemory, VideoMemory } from "../../core/guest-memory.ts";
import { bytesPerPixel } from "../../core/picture.ts";
import { gpa } from "../../core/units.ts";
import { type BiosCall, linear } from "./call.ts";
import { REGISTER, readDisplay, showGraphics, WIDE_DAC, writeDisplay } from "./display.ts";
import { WINDOW_FUNCTION } from "./rom.ts";
import {
  controllerInformation,
  LINEAR,
  modeInformation,
  modesOf,
  type VbeMode,
} from "./vbe-modes.ts";

const SUPPORTED = 0x4f;
const SUCCEEDED = 0;
const FAILED = 1;
const NOT_IN_THIS_MODE = 3;

/** What a caller leaves in the block that wants to have 512 bytes of it. */
const VBE2 = 0x3245_4256;

const MODE_NUMBER = 0x1ff;
const KEEP_MEMORY = 1 << 15;

const DAC_WRITE_INDEX = 0x3c8;
const DAC_READ_INDEX = 0x3c7;
const DAC_DATA = 0x3c9;
const NARROW = 6;
const WIDE = 8;
const COLOURS = 256;
const COLOURS_BITS = 8;
/** The VGA's mode that it is in beside those of VBE. */
const GRAPHICS_MODE = 0x13;

export interface VbeEnvironment {
  readonly memory: GuestMemory;
  readonly ports: BusDevice;
  /** The VGA's mode, as INT 10h AH=0 sets and AH=0Fh tells it. */
  readonly vga: { mode: number };
}

export class Vbe {
  readonly #env: VbeEnvironment;
  readonly #video: VideoMemory;
  /** With its flags; `undefined` when another service has set a mode. */
  #current: { readonly mode: VbeMode; readonly number: number } | undefined;

  constructor(video: VideoMemory, env: VbeEnvironment) {
    this.#video = video;
    this.#env = env;
  }

  /** The VGA has the screen again. */
  leave(): void {
    this.#current = undefined;
  }

  service(call: BiosCall): void {
    const status = this.#serve(call);
    if (status !== undefined) call.set("ax", (status << 8) | SUPPORTED);
  }

  /** @returns `undefined` where there is no such function */
  #serve(call: BiosCall): number | undefined {
    switch (call.get("al")) {
      case 0x00:
        return this.#controllerInformation(call);
      case 0x01:
        return this.#modeInformation(call);
      case 0x02:
        return this.#setMode(call.get("bx"));
      case 0x03:
        call.set("bx", this.#current?.number ?? this.#env.vga.mode);
        return SUCCEEDED;
      case 0x05:
        return this.#window(call);
      case 0x06:
        return this.#lineLength(call);
      case 0x07:
        return this.#displayStart(call);
      case 0x08:
        return this.#dacWidth(call);
      case 0x09:
        return this.#palette(call);
      case 0x15:
        return FAILED;
      default:
        return undefined;
    }
  }

  #controllerInformation(call: BiosCall): number {
    const { memory } = this.#env;
    const [segment, offset] = [call.es, call.get("di")];
    const at = linear(segment, offset);
    const whole = memory.readU32(at) === VBE2;
    memory.write(at, controllerInformation(this.#video, { segment, offset }, whole));
    return SUCCEEDED;
  }

  #find(number: number): VbeMode | undefined {
    return modesOf(this.#video).find((mode) => mode.number === (number & MODE_NUMBER));
  }

  #modeInformation(call: BiosCall): number {
    const mode = this.#find(call.get("cx"));
    if (mode === undefined) return FAILED;
    const block = modeInformation(mode, this.#video, WINDOW_FUNCTION);
    this.#env.memory.write(linear(call.es, call.get("di")), block);
    return SUCCEEDED;
  }

  #setMode(number: number): number {
    const { ports, vga } = this.#env;
    const keep = (number & KEEP_MEMORY) !== 0;
    if ((number & MODE_NUMBER) < 0x100) {
      vga.mode = (number & 0x7f) | (keep ? 0x80 : 0);
      return SUCCEEDED;
    }
    const mode = this.#find(number);
    if (mode === undefined) return FAILED;
    vga.mode = GRAPHICS_MODE;
    showGraphics(ports, mode, { linear: (number & LINEAR) !== 0, keep });
    this.#current = { mode, number };
    return SUCCEEDED;
  }

  #window(call: BiosCall): number {
    if (this.#current === undefined || (this.#current.number & LINEAR) !== 0)
      return NOT_IN_THIS_MODE;
    if (call.get("bl") !== 0) return FAILED;
    if (call.get("bh") === 0) writeDisplay(this.#env.ports, REGISTER.BANK, call.get("dx"));
    else call.set("dx", readDisplay(this.#env.ports, REGISTER.BANK));
    return SUCCEEDED;
  }

  /** How long a line is in memory: at least as on the screen. */
  #lineLength(call: BiosCall): number {
    if (this.#current === undefined) return FAILED;
    const { ports } = this.#env;
    const { width, height, depth } = this.#current.mode;
    const bytes = bytesPerPixel(depth);
    const longest = Math.floor(this.#video.length / height / bytes);
    switch (call.get("bl")) {
      case 0x00:
      case 0x02: {
        const given = call.get("cx");
        const pixels = call.get("bl") === 0 ? given : Math.ceil(given / bytes);
        if (pixels > longest) return FAILED;
        writeDisplay(ports, REGISTER.VIRT_WIDTH, Math.max(width, pixels));
        break;
      }
      case 0x01:
        break;
      case 0x03:
        call.set("bx", longest * bytes);
        call.set("cx", longest);
        call.set("dx", height);
        return SUCCEEDED;
      default:
        return FAILED;
    }
    const pixels = readDisplay(ports, REGISTER.VIRT_WIDTH);
    call.set("bx", pixels * bytes);
    call.set("cx", pixels);
    call.set("dx", readDisplay(ports, REGISTER.VIRT_HEIGHT));
    return SUCCEEDED;
  }

  #displayStart(call: BiosCall): number {
    if (this.#current === undefined) return FAILED;
    const { ports } = this.#env;
    switch (call.get("bl")) {
      case 0x00:
      case 0x80:
        writeDisplay(ports, REGISTER.X_OFFSET, call.get("cx"));
        writeDisplay(ports, REGISTER.Y_OFFSET, call.get("dx"));
        return SUCCEEDED;
      case 0x01:
        call.set("bh", 0);
        call.set("cx", readDisplay(ports, REGISTER.X_OFFSET));
        call.set("dx", readDisplay(ports, REGISTER.Y_OFFSET));
        return SUCCEEDED;
      default:
        return FAILED;
    }
  }

  get #hasWideDac(): boolean {
    return (readDisplay(this.#env.ports, REGISTER.ENABLE) & WIDE_DAC) !== 0;
  }

  #dacWidth(call: BiosCall): number {
    if (this.#current?.mode.depth !== COLOURS_BITS) return NOT_IN_THIS_MODE;
    const { ports } = this.#env;
    if (call.get("bl") === 0) {
      const flags = readDisplay(ports, REGISTER.ENABLE) & ~WIDE_DAC;
      const wide = call.get("bh") >= WIDE;
      writeDisplay(ports, REGISTER.ENABLE, flags | (wide ? WIDE_DAC : 0));
    } else if (call.get("bl") !== 1) return FAILED;
    call.set("bh", this.#hasWideDac ? WIDE : NARROW);
    return SUCCEEDED;
  }

  /** CX colours from DX on at ES:DI: blue, green, red and a byte of nothing. */
  #palette(call: BiosCall): number {
    const [count, first, at] = [call.get("cx"), call.get("dx"), linear(call.es, call.get("di"))];
    if (count + first > COLOURS) return FAILED;
    const { memory, ports } = this.#env;
    const set = (call.get("bl") & 0x7f) === 0;
    if (!set && call.get("bl") !== 1) return FAILED;
    ports.write(set ? DAC_WRITE_INDEX : DAC_READ_INDEX, 1, first);
    for (let i = 0; i < count; i++) {
      for (const part of [2, 1, 0]) {
        const address = gpa(at + 4 * i + part);
        if (set) ports.write(DAC_DATA, 1, memory.readU8(address));
        else memory.writeU8(address, ports.read(DAC_DATA, 1));
      }
    }
    return SUCCEEDED;
  }
}
