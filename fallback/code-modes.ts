import { CODE_MODES } from "./state.ts";

/** The code segment that code outside 64-bit mode is translated for. */
interface CodeMode {
  readonly size: 16 | 32;
  readonly base: number;
  readonly limit: number;
}

/** Of 64-bit mode, where nothing else counts. */
export const MODE_64 = 0;

/**
 * Numbers of code modes, from 1 on. Keys of linear addresses have them (`STATE.CODE_KEY`): a BIOS's
 * services and boot loaders change between modes thousands of times, and find what they had again.
 */
export class CodeModes {
  readonly #modes: CodeMode[] = [];
  readonly #onFull: () => void;
  #last = 0;

  /** @param onFull numbers begin anew: no key with any of them may be left */
  constructor(onFull: () => void) {
    this.#onFull = onFull;
  }

  numberOf(size: 16 | 32, base: number, limit: number): number {
    const isIt = (mode: CodeMode | undefined): boolean =>
      mode?.base === base && mode.size === size && mode.limit === limit;
    if (isIt(this.#modes[this.#last])) return this.#last + 1;
    this.#last = this.#modes.findIndex(isIt);
    if (this.#last < 0) {
      if (this.#modes.length >= CODE_MODES) {
        this.#modes.length = 0;
        this.#onFull();
      }
      this.#last = this.#modes.push({ size, base, limit }) - 1;
    }
    return this.#last + 1;
  }
}
