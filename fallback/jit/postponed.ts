import type { Block } from "../interpreter/block.ts";

/** Blocks that are remembered at most, so that those that are no longer executed do not pile up. */
const MAX_BLOCKS = 500;

/** Blocks that were hot before anything was to be translated: for when the guest has nothing to do. */
export class Postponed {
  /** The one that was hot last is the last. */
  readonly #blocks = new Set<Block>();

  /** Whether there is anything to {@link take}. */
  get any(): boolean {
    return this.#blocks.size > 0;
  }

  /** A block is hot, perhaps again. */
  add(block: Block): void {
    this.#blocks.delete(block);
    if (this.#blocks.size >= MAX_BLOCKS) this.clear();
    this.#blocks.add(block);
  }

  /** The one that was hot last. */
  take(): Block | undefined {
    const block = [...this.#blocks].at(-1);
    if (block !== undefined) this.#blocks.delete(block);
    return block;
  }

  clear(): void {
    this.#blocks.clear();
  }
}
