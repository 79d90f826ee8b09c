import { characterOf } from "./code-page-437.ts";
import { BLANK_CELL, COLUMNS, type Frame, ROWS } from "./text-frame.ts";

/** Text of each row, without the blanks at its end, but for those before the cursor. */
const textOf = (frame: Frame, cursor: number | undefined): string[] =>
  Array.from({ length: ROWS }, (_, row) => {
    let text = "";
    for (let column = 0; column < COLUMNS; column++) {
      text += characterOf(frame[row * COLUMNS + column] ?? BLANK_CELL);
    }
    const trimmed = text.trimEnd();
    const typing = cursor !== undefined && Math.floor(cursor / COLUMNS) === row && trimmed !== "";
    return typing ? trimmed.padEnd(cursor % COLUMNS) : trimmed;
  });

const MAX_NEWLINES = 3;

/**
 * Shows a text screen as running text: what is new on it, a line at a time. A screen that scrolls
 * or is written from top to bottom comes out as it was written; where a line changes that has been
 * shown already, the new one is shown below.
 */
export class LineOutput {
  readonly #write: (text: string) => void;
  readonly #newline: string;
  #shown: string[] = new Array<string>(ROWS).fill("");
  /** The row that the output's last line shows. */
  #open: number | undefined;

  constructor(write: (text: string) => void, newline: string) {
    this.#write = write;
    this.#newline = newline;
  }

  /** Whether this frame only adds to what is shown, maybe after scrolling. */
  continues(frame: Frame): boolean {
    return this.#scrolled(textOf(frame, undefined)) !== undefined;
  }

  /** Whether all that is new in this frame came out otherwise. @param known tells it of a row */
  isKnown(frame: Frame, known: (row: string) => boolean): boolean {
    return textOf(frame, undefined).every((row) => this.#shown.includes(row) || known(row));
  }

  /**
   * @param cursor its cell on the screen
   * @param known tells of a row whether it came out otherwise
   */
  show(
    frame: Frame,
    cursor: number | undefined,
    known: (row: string) => boolean = () => false,
  ): void {
    const rows = textOf(frame, cursor);
    const distance = this.#scrolled(rows);
    if (distance === undefined) {
      this.end();
    } else if (distance > 0) {
      this.#shown = [...this.#shown.slice(distance), ...new Array<string>(distance).fill("")];
      if (this.#open !== undefined) this.#open -= distance;
    }
    for (const [row, text] of rows.entries()) {
      const before = this.#shown[row] as string;
      if (text === before || text.trimEnd() === "" || known(text)) continue;
      if (before.startsWith(text) && text.trimEnd() === before.trimEnd()) {
        rows[row] = before; // The cursor has left it.
        continue;
      }
      if (row === this.#open && text.startsWith(before)) this.#write(text.slice(before.length));
      else this.#writeRow(row, text);
    }
    this.#shown = rows;
  }

  /** Ends the last line; what is on the screen next begins anew. */
  end(): void {
    if (this.#open !== undefined) this.#write(this.#newline);
    this.#open = undefined;
  }

  #writeRow(row: number, text: string): void {
    if (this.#open !== undefined) {
      // Blank lines stand for themselves, but not for an empty screen.
      const lines = row > this.#open ? Math.min(row - this.#open, MAX_NEWLINES) : 1;
      this.#write(this.#newline.repeat(lines));
    }
    this.#write(text);
    this.#open = row;
  }

  /** How many rows up the shown ones have gone; undefined if they are not there any more. */
  #scrolled(rows: readonly string[]): number | undefined {
    const last = this.#shown.findLastIndex((text) => text !== "");
    for (let distance = 0; distance <= Math.max(last, 0); distance++) {
      let same = true;
      for (let row = distance; same && row <= last; row++) {
        const before = this.#shown[row] as string;
        const now = rows[row - distance] as string;
        same = row === last ? now.startsWith(before.trimEnd()) : now === before.trimEnd();
      }
      if (same) return distance;
    }
    return undefined;
  }
}
