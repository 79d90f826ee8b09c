import { characterOf } from "./code-page-437.ts";
import { CELLS, COLUMNS, type Frame, ROWS } from "./text-frame.ts";

/** The order of ECMA-48's eight colours among a PC's. */
const COLOURS = [0, 4, 2, 6, 1, 5, 3, 7] as const;
const BRIGHT = 0x8;
const ESCAPE = "\x1b[";

/** ECMA-48 SGR for a PC's attribute: foreground, bright or not, and background. */
function rendition(attribute: number): string {
  const foreground = COLOURS[attribute & 7] as number;
  const background = COLOURS[(attribute >> 4) & 7] as number;
  const bold = (attribute & BRIGHT) !== 0 ? ";1" : "";
  // The usual ones are the terminal's own.
  const colours = [
    ...(foreground === 7 ? [] : [`;${30 + foreground}`]),
    ...(background === 0 ? [] : [`;${40 + background}`]),
  ];
  if (foreground === 0 && background === 7) return `${ESCAPE}0${bold};7m`;
  return `${ESCAPE}0${bold}${colours.join("")}m`;
}

/** Shows a text screen at its place on a terminal (ECMA-48): only cells that have changed are sent. */
export class ScreenOutput {
  readonly #write: (text: string) => void;
  #shown: Frame | undefined;
  #cursor: number | undefined;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  get active(): boolean {
    return this.#shown !== undefined;
  }

  /** @param cursor its cell on the screen; undefined for none */
  show(frame: Frame, cursor: number | undefined): void {
    let text = "";
    if (this.#shown === undefined) {
      text += `${ESCAPE}0m${ESCAPE}2J`;
      this.#shown = new Uint16Array(CELLS).fill(0);
      this.#cursor = undefined;
    }
    let at = -1;
    let attribute = -1;
    for (let i = 0; i < CELLS; i++) {
      const cell = frame[i] as number;
      if (cell === this.#shown[i]) continue;
      if (i !== at) text += position(i);
      if (cell >> 8 !== attribute) {
        attribute = cell >> 8;
        text += rendition(attribute);
      }
      text += characterOf(cell);
      at = i % COLUMNS === COLUMNS - 1 ? -1 : i + 1;
    }
    this.#shown.set(frame);
    if (text !== "" || cursor !== this.#cursor) {
      text += `${ESCAPE}0m${cursor === undefined ? `${ESCAPE}?25l` : `${position(cursor)}${ESCAPE}?25h`}`;
    }
    this.#cursor = cursor;
    if (text !== "") this.#write(text);
  }

  /** Leaves the screen as it is, and the terminal's cursor below it. */
  end(): void {
    if (this.#shown === undefined) return;
    this.#shown = undefined;
    this.#write(`${ESCAPE}0m${ESCAPE}?25h${position((ROWS - 1) * COLUMNS)}\r\n`);
  }
}

const position = (cell: number): string =>
  `${ESCAPE}${Math.floor(cell / COLUMNS) + 1};${(cell % COLUMNS) + 1}H`;
