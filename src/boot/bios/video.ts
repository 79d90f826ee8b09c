/**
 * INT 10h, video: text modes of an 80×25 colour screen (IBM PS/2 and PC BIOS Interface Technical
 * Reference, "Interrupt 10h"; VGA additions). Everything ends up in the text memory at 0xb8000 and
 * in the CRT controller, as on a PC; who shows that is another matter. Graphics modes can be set,
 * and show nothing.
 */

import { gpa } from "../../core/units.ts";
import { type BiosCall, linear, type Service } from "./call.ts";
import { BDA } from "./data-area.ts";
import { hideGraphics } from "./display.ts";
import type { BiosEnvironment } from "./environment.ts";
import { loadPalette } from "./palette.ts";
import { Vbe } from "./vbe.ts";

const TEXT_MEMORY = 0xb_8000;
const TEXT_MEMORY_SIZE = 0x8000;
const COLUMNS = 80;
const ROWS = 25;
const PAGE_SIZE = 0x1000;
const PAGES = 8;

const BLANK = 0x20;
const NORMAL = 0x07;
const MODE_MASK = 0x7f;
const TEXT_MODES: readonly number[] = [0, 1, 2, 3, 7];
/** Graphics modes of the CGA, whose picture is in the text memory. */
const CGA_MODES: readonly number[] = [4, 5, 6];
/** 320×200 pixels of 256 colours. */
const COLOUR_MODE = 0x13;
/** Those with 40 columns, but for graphics modes in which what the BIOS writes is shown: as text. */
const NARROW_MODES: readonly number[] = [0, 1, 4, 5];
/** Bit 7 of the mode: leave the memory as it is. */
export const KEEP_MEMORY = 0x80;
const CURSOR_SHAPE = 0x0607;
/** Emulation of old cursors, and 256 KiB of video memory. */
const VIDEO_CONTROL = 0x60;
const VIDEO_SWITCHES = 0xf9;
/** 400 lines, VGA active. */
const VIDEO_FLAGS = 0x51;
const VGA_COLOUR = 0x08;

const GRAPHICS_INDEX = 0x3ce;
const GRAPHICS_MODE = 5;
const GRAPHICS_MISCELLANEOUS = 6;
const SEQUENCER_INDEX = 0x3c4;
const SEQUENCER_MEMORY_MODE = 4;
const CRTC_INDEX = 0x3d4;
const CRTC_DISPLAY_END = 0x01;
const CRTC_CURSOR_START = 0x0a;
const CRTC_START_ADDRESS = 0x0c;
const CRTC_CURSOR_LOCATION = 0x0e;

const BELL = 0x07;
const BACKSPACE = 0x08;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

interface Window {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

export class Video {
  readonly #env: BiosEnvironment;
  #told = false;
  #vbeMissed = false;
  #vbe: Vbe | undefined;

  constructor(env: BiosEnvironment) {
    this.#env = env;
  }

  readonly service: Service = (call) => {
    const action = this.#functions[call.get("ah")];
    action?.(call);
    return undefined;
  };

  /** Prints as the power-on test does. */
  print(text: string): void {
    for (const character of text) {
      if (character === "\n") this.#teletype(CARRIAGE_RETURN, this.#page);
      this.#teletype(character.charCodeAt(0), this.#page);
    }
  }

  /** With {@link KEEP_MEMORY}, if it was set so. */
  get mode(): number {
    const { data } = this.#env;
    return data.u8(BDA.VIDEO_MODE) | (data.u8(BDA.VIDEO_CONTROL) & KEEP_MEMORY);
  }

  set mode(mode: number) {
    const { data, memory, ports, onScroll } = this.#env;
    onScroll();
    if (memory.videoMemory !== undefined) {
      this.#vbe?.leave();
      hideGraphics(ports);
    }
    const keep = (mode & KEEP_MEMORY) !== 0;
    const number = mode & MODE_MASK;
    const columns = NARROW_MODES.includes(number) ? COLUMNS / 2 : COLUMNS;
    data.setU8(BDA.VIDEO_MODE, number);
    data.setU16(BDA.COLUMNS, columns);
    ports.write(CRTC_INDEX, 2, ((columns - 1) << 8) | CRTC_DISPLAY_END);
    ports.write(GRAPHICS_INDEX, 2, (memoryMap(number) << 8) | GRAPHICS_MISCELLANEOUS);
    const has256 = number === COLOUR_MODE;
    ports.write(GRAPHICS_INDEX, 2, ((has256 ? 0x40 : 0x10) << 8) | GRAPHICS_MODE);
    ports.write(SEQUENCER_INDEX, 2, ((has256 ? 0x0e : 0x02) << 8) | SEQUENCER_MEMORY_MODE);
    if (has256) loadPalette(ports);
    data.setU16(BDA.PAGE_SIZE, PAGE_SIZE);
    data.setU8(BDA.LAST_ROW, ROWS - 1);
    data.setU8(BDA.CHARACTER_HEIGHT, 16);
    data.setU8(BDA.VIDEO_CONTROL, VIDEO_CONTROL | (mode & KEEP_MEMORY));
    data.setU8(BDA.VIDEO_SWITCHES, VIDEO_SWITCHES);
    data.setU8(BDA.VIDEO_FLAGS, VIDEO_FLAGS);
    data.setU8(BDA.DISPLAY_COMBINATION, VGA_COLOUR);
    data.setU8(BDA.CRT_MODE, 0x29);
    data.setU8(BDA.CRT_PALETTE, 0x30);
    for (let page = 0; page < PAGES; page++) data.setU16(BDA.CURSOR_POSITIONS + 2 * page, 0);
    if (!keep) {
      const text = memory.writableSlice(gpa(TEXT_MEMORY), TEXT_MEMORY_SIZE);
      for (let i = 0; i < text.length; i += 2) {
        text[i] = BLANK;
        text[i + 1] = NORMAL;
      }
    }
    this.#setCursorShape(CURSOR_SHAPE);
    this.#selectPage(0);
  }

  #tell(mode: number): void {
    if (this.#told || TEXT_MODES.includes(mode)) return;
    this.#told = true;
    this.#env.onGraphics(mode, mode === COLOUR_MODE);
  }

  readonly #functions: Readonly<Record<number, (call: BiosCall) => void>> = {
    0: (call) => {
      this.mode = call.get("al");
      this.#tell(call.get("al") & MODE_MASK);
      call.set("al", (call.get("al") & MODE_MASK) === 6 ? 0x3f : 0x30);
    },
    1: (call) => this.#setCursorShape(call.get("cx")),
    2: (call) => this.#setCursor(call.get("bh"), call.get("dx")),
    3: (call) => {
      call.set("dx", this.#cursor(call.get("bh")));
      call.set("cx", this.#env.data.u16(BDA.CURSOR_SHAPE));
    },
    5: (call) => this.#selectPage(call.get("al") % PAGES),
    6: (call) => this.#scroll(windowOf(call), call.get("al"), call.get("bh")),
    7: (call) => this.#scroll(windowOf(call), -call.get("al"), call.get("bh")),
    8: (call) => call.set("ax", this.#cell(call.get("bh"))),
    9: (call) => this.#repeat(call, call.get("bl")),
    10: (call) => this.#repeat(call, undefined),
    14: (call) => this.#teletype(call.get("al"), this.#page),
    15: (call) => {
      call.set("al", this.mode);
      call.set("ah", this.#columns);
      call.set("bh", this.#page);
    },
    17: (call) => this.#font(call),
    18: (call) => this.#alternate(call),
    19: (call) => this.#writeString(call),
    26: (call) => {
      if (call.get("al") === 0) call.set("bx", VGA_COLOUR);
      call.set("al", 0x1a);
    },
    79: (call) => this.#extension(call),
  };

  #extension(call: BiosCall): void {
    const { memory, ports, onVbeMissed } = this.#env;
    if (memory.videoMemory === undefined) {
      if (!this.#vbeMissed) onVbeMissed();
      this.#vbeMissed = true;
      return;
    }
    this.#vbe ??= new Vbe(memory.videoMemory, { memory, ports, vga: this });
    this.#vbe.service(call);
  }

  get #page(): number {
    return this.#env.data.u8(BDA.ACTIVE_PAGE) % PAGES;
  }

  get #columns(): number {
    return this.#env.data.u16(BDA.COLUMNS) === COLUMNS / 2 ? COLUMNS / 2 : COLUMNS;
  }

  #cursor(page: number): number {
    return this.#env.data.u16(BDA.CURSOR_POSITIONS + 2 * (page % PAGES));
  }

  /** @param position row in the upper byte, column in the lower */
  #setCursor(page: number, position: number): void {
    this.#env.data.setU16(BDA.CURSOR_POSITIONS + 2 * (page % PAGES), position);
    if (page % PAGES === this.#page) this.#showCursor();
  }

  #showCursor(): void {
    const address = this.#addressOf(this.#page, this.#cursor(this.#page));
    this.#crtc(CRTC_CURSOR_LOCATION, (address - TEXT_MEMORY) >> 1);
  }

  #setCursorShape(shape: number): void {
    this.#env.data.setU16(BDA.CURSOR_SHAPE, shape);
    this.#crtc(CRTC_CURSOR_START, shape);
  }

  #selectPage(page: number): void {
    const { data } = this.#env;
    data.setU8(BDA.ACTIVE_PAGE, page);
    data.setU16(BDA.PAGE_START, page * PAGE_SIZE);
    this.#crtc(CRTC_START_ADDRESS, (page * PAGE_SIZE) >> 1);
    this.#showCursor();
  }

  /** A register pair of the CRT controller: high byte first. */
  #crtc(index: number, value: number): void {
    const { ports } = this.#env;
    ports.write(CRTC_INDEX, 2, (value & 0xff00) | index);
    ports.write(CRTC_INDEX, 2, ((value & 0xff) << 8) | (index + 1));
  }

  #addressOf(page: number, position: number): number {
    const row = Math.min(position >> 8, ROWS - 1);
    const column = Math.min(position & 0xff, COLUMNS - 1);
    return TEXT_MEMORY + (page % PAGES) * PAGE_SIZE + 2 * (row * this.#columns + column);
  }

  #cell(page: number): number {
    return this.#env.memory.readU16(gpa(this.#addressOf(page, this.#cursor(page))));
  }

  /** Writes one character CX times from the cursor on, which stays. */
  #repeat(call: BiosCall, attribute: number | undefined): void {
    const { memory } = this.#env;
    const page = call.get("bh") % PAGES;
    const start = this.#addressOf(page, this.#cursor(page));
    const end = TEXT_MEMORY + page * PAGE_SIZE + 2 * ROWS * this.#columns;
    const count = Math.min(call.get("cx"), (end - start) / 2);
    for (let i = 0; i < count; i++) {
      memory.writeU8(gpa(start + 2 * i), call.get("al"));
      if (attribute !== undefined) memory.writeU8(gpa(start + 2 * i + 1), attribute);
    }
  }

  #teletype(character: number, page: number, attribute?: number): void {
    const { memory } = this.#env;
    const position = this.#cursor(page);
    let row = position >> 8;
    let column = position & 0xff;
    switch (character) {
      case BELL:
        return;
      case BACKSPACE:
        column = Math.max(0, column - 1);
        break;
      case LINE_FEED:
        row++;
        break;
      case CARRIAGE_RETURN:
        column = 0;
        break;
      default: {
        const address = gpa(this.#addressOf(page, position));
        memory.writeU8(address, character);
        if (attribute !== undefined) memory.writeU8(gpa(address + 1), attribute);
        column++;
      }
    }
    if (column >= this.#columns) {
      column = 0;
      row++;
    }
    if (row >= ROWS) {
      const whole = { top: 0, left: 0, bottom: ROWS - 1, right: this.#columns - 1 };
      this.#scroll(whole, 1, NORMAL);
      row = ROWS - 1;
    }
    this.#setCursor(page, (row << 8) | column);
  }

  /** @param lines up if positive, down if negative; 0 clears the window */
  #scroll(window: Window, lines: number, attribute: number): void {
    const { memory, onScroll } = this.#env;
    onScroll();
    const columns = this.#columns;
    const right = Math.min(window.right, columns - 1);
    const bottom = Math.min(window.bottom, ROWS - 1);
    const { left, top } = window;
    if (left > right || top > bottom) return;
    const base = TEXT_MEMORY + this.#page * PAGE_SIZE;
    const screen = memory.writableSlice(gpa(base), 2 * ROWS * columns);
    const at = (row: number, column: number): number => 2 * (row * columns + column);
    const height = bottom - top + 1;
    const distance = lines === 0 || Math.abs(lines) > height ? height : Math.abs(lines);
    const clear = (row: number): void => {
      for (let column = left; column <= right; column++) {
        screen[at(row, column)] = BLANK;
        screen[at(row, column) + 1] = attribute;
      }
    };
    for (let i = 0; i < height; i++) {
      const row = lines >= 0 ? top + i : bottom - i;
      const from = lines >= 0 ? row + distance : row - distance;
      if (from < top || from > bottom) clear(row);
      else screen.copyWithin(at(row, left), at(from, left), at(from, right) + 2);
    }
  }

  /** ES:BP: CX characters, with attributes between them if bit 1 of AL is set; bit 0 moves. */
  #writeString(call: BiosCall): void {
    const { memory } = this.#env;
    const mode = call.get("al");
    const page = call.get("bh") % PAGES;
    const before = this.#cursor(page);
    const offset = call.get("bp");
    const step = (mode & 2) !== 0 ? 2 : 1;
    this.#setCursor(page, call.get("dx"));
    for (let i = 0; i < call.get("cx"); i++) {
      const character = memory.readU8(linear(call.es, offset + step * i));
      const attribute =
        step === 2 ? memory.readU8(linear(call.es, offset + 2 * i + 1)) : call.get("bl");
      this.#teletype(character, page, attribute);
    }
    if ((mode & 1) === 0) this.#setCursor(page, before);
  }

  /** Fonts cannot be loaded; their size can be asked for. */
  #font(call: BiosCall): void {
    if (call.get("al") !== 0x30) return;
    call.set("cx", this.#env.data.u8(BDA.CHARACTER_HEIGHT));
    call.set("dl", ROWS - 1);
  }

  #alternate(call: BiosCall): void {
    if (call.get("bl") === 0x10) {
      call.set("bx", 0x0003); // Colour, 256 KiB.
      call.set("cx", 0x0009);
    } else if (call.get("bl") >= 0x30 && call.get("bl") <= 0x36) call.set("al", 0x12);
  }
}

/** What a VGA's BIOS gives the graphics controller: text or a picture, and where in memory. */
function memoryMap(mode: number): number {
  if (TEXT_MODES.includes(mode)) return 0x0e;
  return CGA_MODES.includes(mode) ? 0x0f : 0x05;
}

const windowOf = (call: BiosCall): Window => ({
  top: call.get("ch"),
  left: call.get("cl"),
  bottom: call.get("dh"),
  right: call.get("dl"),
});
