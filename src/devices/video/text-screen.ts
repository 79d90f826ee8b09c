import type { ConsoleBackend } from "../../core/backends.ts";
import type { Alarm, Clock } from "../../core/clock.ts";
import type { Resettable } from "../../core/device.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { MILLISECOND, type Nanos, nanos } from "../../core/units.ts";
import { encodeUtf8 } from "../../core/utf8.ts";
import { LineOutput } from "./line-output.ts";
import { ScreenOutput } from "./screen-output.ts";
import { SerialLog } from "./serial-log.ts";
import { BLANK_CELL, CELLS, COLUMNS, type Frame, ROWS, readFrame } from "./text-frame.ts";
import type { VgaText } from "./vga-text.ts";

/** How long a change waits for others: a guest that fills the screen is shown once. */
const DELAY = 20 * MILLISECOND;
/** How often lines that have been shown already may be shown anew, below the others. */
const REPEAT = 1000 * MILLISECOND;

/** How long the serial port has to be quiet for the screen to be looked at again. */
const QUIET = 500 * MILLISECOND;

export interface TextScreenOptions {
  readonly memory: GuestMemory;
  readonly vga: VgaText;
  readonly clock: Clock;
  readonly console: ConsoleBackend;
  /** Whether the guest takes what is typed from the serial port: then that is its console. */
  readonly serialListens: () => boolean;
}

/**
 * The text screen of a guest that writes to video memory, shown on the console that it shares with
 * the serial port. That has it from its first byte on, until it is quiet, nobody listens there, and
 * there is something on the screen that did not come out by it. Nothing tells when memory is written:
 * it is looked at whenever the guest does not run.
 *
 * As long as the screen is used as a teletype it is shown as running text. On a terminal, once it
 * is used as a screen (a line changes, a background is coloured), it gets the terminal's whole.
 */
export class TextScreen implements Resettable {
  readonly #options: TextScreenOptions;
  readonly #alarm: Alarm;
  readonly #frame: Frame = new Uint16Array(CELLS).fill(BLANK_CELL);
  readonly #lines: LineOutput;
  readonly #screen: ScreenOutput;
  #cursor: number | undefined;
  #pending = false;
  /** When lines may be shown anew. */
  #repeatAt: Nanos = nanos(0);
  /** The serial port has the console. */
  #silent = false;
  readonly #serial = new SerialLog();
  /** How much of that there was when the screen was looked at last. */
  #serialSeen = 0;

  constructor(options: TextScreenOptions) {
    this.#options = options;
    const { console, clock } = options;
    const write = (text: string): void => {
      for (const byte of encodeUtf8(text)) console.transmit(byte);
    };
    this.#lines = new LineOutput(write, console.terminal === true ? "\r\n" : "\n");
    this.#screen = new ScreenOutput(write);
    this.#alarm = clock.alarm(() => (this.#silent ? this.#look() : this.#showUnlessTooSoon()));
  }

  /** Whether there was any when it was looked at last. */
  get hasText(): boolean {
    return this.#frame.some((cell) => cell !== BLANK_CELL);
  }

  reset(): void {
    this.finish();
    this.#silent = false;
    this.#frame.fill(BLANK_CELL);
  }

  /** The guest is about to write a byte to the console by the serial port. */
  serialWrites(byte: number): void {
    this.#serial.add(byte);
    if (this.#silent) return;
    this.update();
    this.#giveUp();
    this.#silent = true;
  }

  /** Looks at video memory: the guest has run. */
  poll(): void {
    if (this.#pending) {
      if (!this.#silent) this.#read();
    } else if (this.#silent) this.#wait(QUIET);
    else if (this.#read()) this.#wait(DELAY);
  }

  #wait(time: number): void {
    this.#pending = true;
    this.#alarm.set(nanos(this.#options.clock.now() + time));
  }

  /** Shows now what there is: rows are about to go. */
  update(): void {
    if (this.#silent) return;
    if (this.#read() || this.#pending) this.#show();
  }

  /** The run is over. */
  finish(): void {
    if (this.#silent) this.#takeBack();
    else this.update();
    this.#giveUp();
  }

  #giveUp(): void {
    if (this.#pending) this.#alarm.cancel();
    this.#pending = false;
    this.#screen.end();
    this.#lines.end();
  }

  #look(): void {
    const { count } = this.#serial;
    if (count !== this.#serialSeen) {
      this.#serialSeen = count;
      this.#wait(QUIET);
      return;
    }
    this.#pending = false;
    this.#takeBack();
  }

  /** The console is the screen's again, if there is anything new on it. */
  #takeBack(): void {
    if (this.#options.serialListens() || !this.#read()) return;
    const known = this.#serial.knows();
    if (this.#lines.isKnown(this.#frame, known)) return;
    this.#silent = false;
    this.#show(known);
  }

  #read(): boolean {
    const { memory, vga } = this.#options;
    if (!vga.isText) return false;
    const { startCell, columns } = vga;
    const changed = readFrame(memory, startCell, columns, this.#frame);
    const cursor = this.#cursorIn(startCell, columns);
    const moved = cursor !== this.#cursor;
    this.#cursor = cursor;
    return changed || moved;
  }

  /** @returns where in the frame the cursor is; undefined if it is nowhere to be seen */
  #cursorIn(start: number, columns: number): number | undefined {
    const cursor = this.#options.vga.cursorCell;
    if (cursor === undefined || cursor < start || cursor >= start + columns * ROWS)
      return undefined;
    const at = cursor - start;
    return Math.floor(at / columns) * COLUMNS + (at % columns);
  }

  /** A clock that ticks on the screen must not fill what is a log. */
  #showUnlessTooSoon(): void {
    const { clock } = this.#options;
    const repeats = !this.#screen.active && !this.#lines.continues(this.#frame);
    if (repeats && clock.now() < this.#repeatAt) {
      this.#alarm.set(this.#repeatAt);
      return;
    }
    if (repeats) this.#repeatAt = nanos(clock.now() + REPEAT);
    this.#show();
  }

  #show(known?: (row: string) => boolean): void {
    this.#pending = false;
    this.#alarm.cancel();
    const frame = this.#frame;
    if (this.#screen.active || this.#wantsScreen()) this.#screen.show(frame, this.#cursor);
    else this.#lines.show(frame, this.#cursor, known);
  }

  #wantsScreen(): boolean {
    if (this.#options.console.terminal !== true) return false;
    if (this.#frame.some((cell) => (cell & 0x7000) !== 0)) return true;
    const blank = this.#frame.every((cell) => (cell & 0xff) === 0x20);
    return !blank && !this.#lines.continues(this.#frame);
  }
}
