import { ByteDevice } from "../../core/byte-device.ts";
import type { Clock } from "../../core/clock.ts";
import type { Resettable } from "../../core/device.ts";
import { MICROSECOND } from "../../core/units.ts";
import type { Vga } from "./dispi.ts";
import type { Palette } from "./pixel-formats.ts";

/** Offsets from port 0x3c0 (IBM VGA; Intel's open manuals, "VGA Registers"). */
const ATTRIBUTE_ADDRESS = 0x00;
const ATTRIBUTE_DATA = 0x01;
const MISCELLANEOUS_WRITE = 0x02;
const SEQUENCER_INDEX = 0x04;
const DAC_MASK = 0x06;
const DAC_READ_INDEX = 0x07;
const DAC_WRITE_INDEX = 0x08;
const DAC_DATA = 0x09;
const MISCELLANEOUS_READ = 0x0c;
const GRAPHICS_INDEX = 0x0e;
const CRTC_INDEX = 0x14;
const INPUT_STATUS_1 = 0x1a;

/** CRT controller registers. */
const DISPLAY_END = 0x01;
const CURSOR_START = 0x0a;
const START_ADDRESS_HIGH = 0x0c;
const CURSOR_HIGH = 0x0e;
const CURSOR_OFF = 1 << 5;

const ATTRIBUTE_INDEX_MASK = 0x1f;
/** Bit 5 of the attribute index: the screen is on. */
const PALETTE_ADDRESS_SOURCE = 1 << 5;
/** Colour, 25 MHz clock, ports at 0x3d0. */
const MISCELLANEOUS_TEXT = 0x67;

/** Graphics controller register 6: graphics, and the memory map, of which these are at 0xb8000. */
const GRAPHICS_MISCELLANEOUS = 6;
const GRAPHICS = 1 << 0;
const MEMORY_MAP = 0x0c;
const MAPS_OF_TEXT_MEMORY: readonly number[] = [0x00, 0x0c];
const MAP_OF_GRAPHICS = 0x04;
/** Graphics controller register 5, sequencer register 4: a byte a pixel, one after the other. */
const GRAPHICS_MODE = 5;
const COLOURS_256 = 1 << 6;
const MEMORY_MODE = 4;
const CHAIN_4 = 1 << 3;

const DISPLAY_DISABLED = 1 << 0;
const VERTICAL_RETRACE = 1 << 3;
/** 70 frames a second, each with 449 lines of 800 dots. */
const FRAME = 14_268 * MICROSECOND;
const RETRACE = 64 * MICROSECOND;
const LINE = 32 * MICROSECOND;
const LINE_BLANK = 6 * MICROSECOND;

const COLOURS = 256;

/** CRT controller in 80×25 text mode. */
const CRTC_TEXT = [
  ...[0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00],
  ...[0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff],
] as const;

/** An index port and a data port behind it. */
class IndexedRegisters {
  readonly bytes: Uint8Array;
  index = 0;

  constructor(count: number) {
    this.bytes = new Uint8Array(count);
  }

  read(offset: number): number {
    return offset === 0 ? this.index : (this.bytes[this.index] ?? 0xff);
  }

  write(offset: number, value: number): void {
    if (offset === 0) this.index = value;
    else if (this.index < this.bytes.length) this.bytes[this.index] = value;
  }
}

/**
 * The registers of a VGA that shows text: which part of the text memory is on the screen, and where
 * the cursor is; and its palette. The rest remembers what is written to it. Of graphics modes it knows one,
 * 13h.
 */
export class VgaText extends ByteDevice implements Resettable, Vga {
  /** Ports from 0x3c0. */
  readonly length = 0x20;
  wideDac = false;
  readonly #clock: Clock;
  #crtc = new IndexedRegisters(0x19);
  #sequencer = new IndexedRegisters(5);
  #graphics = new IndexedRegisters(9);
  #attribute = new IndexedRegisters(0x15);
  #attributeData = false;
  #miscellaneous = MISCELLANEOUS_TEXT;
  #dac = new Uint8Array(3 * COLOURS);
  #dacMask = 0xff;
  #dacRead = 0;
  #dacWrite = 0;

  constructor({ clock }: { clock: Clock }) {
    super();
    this.#clock = clock;
    this.reset();
  }

  /** As the firmware leaves it: in text mode 3. */
  reset(): void {
    this.#crtc = new IndexedRegisters(0x19);
    this.#crtc.bytes.set(CRTC_TEXT);
    this.#sequencer = new IndexedRegisters(5);
    this.#sequencer.bytes.set([0x03, 0x00, 0x03, 0x00, 0x02]);
    this.#graphics = new IndexedRegisters(9);
    this.#graphics.bytes.set([0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff]);
    this.#attribute = new IndexedRegisters(0x15);
    this.#attribute.index = PALETTE_ADDRESS_SOURCE;
    this.#attributeData = false;
    this.#miscellaneous = MISCELLANEOUS_TEXT;
    this.#dac = new Uint8Array(3 * COLOURS);
    this.wideDac = false;
    this.#dacMask = 0xff;
    this.#dacRead = 0;
    this.#dacWrite = 0;
  }

  /** The first character cell on the screen. */
  get startCell(): number {
    return this.#pair(START_ADDRESS_HIGH);
  }

  /** Whether what is at 0xb8000 is text, and no picture. */
  get isText(): boolean {
    const miscellaneous = this.#graphics.bytes[GRAPHICS_MISCELLANEOUS] ?? 0;
    const isPicture = (miscellaneous & GRAPHICS) !== 0;
    return !isPicture || !MAPS_OF_TEXT_MEMORY.includes(miscellaneous & MEMORY_MAP);
  }

  /** Whether what is at 0xa0000 is a picture of 256 colours. */
  get isPicture(): boolean {
    const miscellaneous = this.#graphics.bytes[GRAPHICS_MISCELLANEOUS] ?? 0;
    return (
      (miscellaneous & (GRAPHICS | MEMORY_MAP)) === (GRAPHICS | MAP_OF_GRAPHICS) &&
      ((this.#graphics.bytes[GRAPHICS_MODE] ?? 0) & COLOURS_256) !== 0 &&
      ((this.#sequencer.bytes[MEMORY_MODE] ?? 0) & CHAIN_4) !== 0
    );
  }

  /** Character cells in a row. */
  get columns(): 40 | 80 {
    return this.#crtc.bytes[DISPLAY_END] === 39 ? 40 : 80;
  }

  /** The cell with the cursor; undefined while it is switched off. */
  get cursorCell(): number | undefined {
    const hidden = ((this.#crtc.bytes[CURSOR_START] ?? 0) & CURSOR_OFF) !== 0;
    return hidden ? undefined : this.#pair(CURSOR_HIGH);
  }

  get palette(): Palette {
    return this.#dac.map((value) => (this.wideDac ? value : (value << 2) | ((value >> 4) & 3)));
  }

  readByte(offset: number): number {
    switch (offset) {
      case ATTRIBUTE_ADDRESS:
        return this.#attribute.index;
      case ATTRIBUTE_DATA:
        return this.#attribute.bytes[this.#attribute.index & ATTRIBUTE_INDEX_MASK] ?? 0;
      case MISCELLANEOUS_WRITE:
        return 0; // Input status 0: no interrupt, no switch.
      case SEQUENCER_INDEX:
      case SEQUENCER_INDEX + 1:
        return this.#sequencer.read(offset - SEQUENCER_INDEX);
      case DAC_MASK:
        return this.#dacMask;
      case DAC_READ_INDEX:
        return 0;
      case DAC_WRITE_INDEX:
        return Math.floor(this.#dacWrite / 3) & 0xff;
      case DAC_DATA:
        return this.#dac[this.#dacRead++ % this.#dac.length] ?? 0;
      case MISCELLANEOUS_READ:
        return this.#miscellaneous;
      case GRAPHICS_INDEX:
      case GRAPHICS_INDEX + 1:
        return this.#graphics.read(offset - GRAPHICS_INDEX);
      case CRTC_INDEX:
      case CRTC_INDEX + 1:
        return this.#crtc.read(offset - CRTC_INDEX);
      case INPUT_STATUS_1:
        this.#attributeData = false;
        return this.#retrace();
      default:
        return 0xff;
    }
  }

  writeByte(offset: number, value: number): void {
    switch (offset) {
      case ATTRIBUTE_ADDRESS:
        this.#writeAttribute(value);
        break;
      case MISCELLANEOUS_WRITE:
        this.#miscellaneous = value;
        break;
      case SEQUENCER_INDEX:
      case SEQUENCER_INDEX + 1:
        this.#sequencer.write(offset - SEQUENCER_INDEX, value);
        break;
      case DAC_MASK:
        this.#dacMask = value;
        break;
      case DAC_READ_INDEX:
        this.#dacRead = 3 * value;
        break;
      case DAC_WRITE_INDEX:
        this.#dacWrite = 3 * value;
        break;
      case DAC_DATA:
        this.#dac[this.#dacWrite++ % this.#dac.length] = this.wideDac ? value : value & 0x3f;
        break;
      case GRAPHICS_INDEX:
      case GRAPHICS_INDEX + 1:
        this.#graphics.write(offset - GRAPHICS_INDEX, value);
        break;
      case CRTC_INDEX:
      case CRTC_INDEX + 1:
        this.#crtc.write(offset - CRTC_INDEX, value);
        break;
      default: // Nothing there, or nothing to be written.
    }
  }

  /** One port for index and data in turns; reading input status 1 makes it the index's. */
  #writeAttribute(value: number): void {
    if (!this.#attributeData) this.#attribute.index = value;
    else this.#attribute.bytes[this.#attribute.index & ATTRIBUTE_INDEX_MASK] = value;
    this.#attributeData = !this.#attributeData;
  }

  /** Programs wait for the beam to be where they want it. */
  #retrace(): number {
    const now = this.#clock.now();
    if (now % FRAME < RETRACE) return VERTICAL_RETRACE | DISPLAY_DISABLED;
    return now % LINE < LINE_BLANK ? DISPLAY_DISABLED : 0;
  }

  #pair(high: number): number {
    return ((this.#crtc.bytes[high] ?? 0) << 8) | (this.#crtc.bytes[high + 1] ?? 0);
  }
}
