import { type Span, spansOf } from "../jit/region.ts";
import type { CodePages } from "../memory/code-pages.ts";
import type { Engine } from "./engine.ts";

/** A block or a region, and where the bytes are that it was made from. */
export interface MadeOfCode {
  readonly made: object;
  readonly spans: readonly Span[];
}

/** What was made of the guest's code and may be executed again: for tests that look whether it is true. */
export class LiveCode {
  readonly #engine: Pick<Engine, "blocks" | "jit">;
  readonly #pages: CodePages;

  constructor(engine: Pick<Engine, "blocks" | "jit">, pages: CodePages) {
    this.#engine = engine;
    this.#pages = pages;
  }

  get all(): readonly MadeOfCode[] {
    const { blocks, jit } = this.#engine;
    const regions = jit?.live ?? [];
    return [
      ...blocks.live.map((block) => ({ made: block, spans: spansOf(block) })),
      ...regions.map((region) => ({ made: region, spans: region.spans })),
    ];
  }

  /** Whether a write to any of these bytes would be noticed as one to code. */
  guards({ page, from, to }: Span): boolean {
    return this.#pages.has(page) && this.#engine.blocks.covers(page, from, to);
  }
}
