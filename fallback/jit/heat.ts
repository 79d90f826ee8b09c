import type { Block } from "../interpreter/block.ts";
import { HEADER } from "../interpreter/record.ts";

/** How often blocks are entered by the interpreter, and when the JIT hears of it. */
export class Heat {
  readonly #view: DataView;

  /** @param view of the records */
  constructor(view: DataView) {
    this.#view = view;
  }

  /** Counts anew. @param entries until the block is hot */
  begin({ header }: Block, entries: number): void {
    this.#view.setInt32(header + HEADER.HEAT, entries, true);
    this.#view.setInt32(header + HEADER.ENTRIES, entries, true);
  }

  /** Goes on counting. @param entries until the block is hot again */
  extend({ header }: Block, entries: number): void {
    const before = this.#view.getInt32(header + HEADER.ENTRIES, true);
    // It is entered again for the time that it was found hot.
    this.#view.setInt32(header + HEADER.HEAT, entries + 1, true);
    this.#view.setInt32(header + HEADER.ENTRIES, before + entries, true);
  }

  /** Whether the JIT has heard of it. */
  isOver({ header }: Block): boolean {
    return this.#view.getInt32(header + HEADER.HEAT, true) <= 0;
  }

  /** How often the block has been entered since {@link begin}. */
  entered({ header }: Block): number {
    const left = this.#view.getInt32(header + HEADER.HEAT, true);
    return this.#view.getInt32(header + HEADER.ENTRIES, true) - left;
  }
}
