import type { GuestMemory } from "../../core/guest-memory.ts";
import { gpa } from "../../core/units.ts";

export const COLUMNS = 80;
export const ROWS = 25;
export const CELLS = COLUMNS * ROWS;

/** A blank in grey on black. */
export const BLANK_CELL = 0x0720;

const TEXT_MEMORY = 0xb_8000;
const TEXT_CELLS = 0x4000;

/** The cells on the screen, row by row: character in the lower byte, attribute in the upper. */
export type Frame = Uint16Array;

/**
 * Copies what the screen shows.
 * @param start the first cell, anywhere in text memory, which is a ring
 * @param columns how many cells a row has there; what is right of them stays blank
 * @returns whether anything is different from what `into` held
 */
export function readFrame(
  memory: GuestMemory,
  start: number,
  columns: number,
  into: Frame,
): boolean {
  const bytes = memory.slice(gpa(TEXT_MEMORY), 2 * TEXT_CELLS);
  const cells = new Uint16Array(bytes.buffer, bytes.byteOffset, TEXT_CELLS);
  let changed = false;
  let at = start;
  for (let i = 0; i < CELLS; i++) {
    // Memory that nobody has written yet shows nothing.
    const cell = (i % COLUMNS < columns ? cells[at++ % TEXT_CELLS] : 0) || BLANK_CELL;
    if (cell === into[i]) continue;
    into[i] = cell;
    changed = true;
  }
  return changed;
}
