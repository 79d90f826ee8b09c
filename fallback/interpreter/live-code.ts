import type { LoneRegion } from "../jit/jit.ts";
import { type Span, spansOf } from "../jit/region.ts";
import type { CodePages } from "../memory/code-pages.ts";
import type { Engine } from "./engine.ts";

/** A block or a region, and where the bytes are that it was made from. */
export interface MadeOfCode {
  readonly made: object;
  readonly spans: readonly Span[];
}

/** What was made of the guest's code and may be executed again: for tests that look whether it is true, or make it. */
export class LiveCode {
  readonly #engine: Pick<Engine, "blocks" | "jit" | "translateOne">;
  readonly #pages: CodePages;

  constructor(engine: Pick<Engine, "blocks" | "jit" | "translateOne">, pages: CodePages) {
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

  /**
   * The instruction at RIP translated by the JIT, if it does that. It is made with all others that are
   * asked for before the first of them is executed, and lasts until the processor is reset.
   */
  translateOne(): LoneRegion | undefined {
    return this.#engine.translateOne();
  }

  /** Whether a write to any of these bytes would be noticed as one to code. */
  guards({ page, from, to }: Span): boolean {
    return this.#pages.has(page) && this.#engine.blocks.covers(page, from, to);
  }
}
