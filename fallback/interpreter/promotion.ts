import type { Engine } from "./engine.ts";

/**
 * Interpreted instructions after which a guest gets the interpreter whose frequent handlers are inline. That one is
 * a single function, which V8 needs some milliseconds to make run at all, and soon begins to optimise, for which
 * a process that ends meanwhile waits. The other one's handlers are compiled one by one as they are used.
 */
const LONG_RUN = 5_000_000;

/** Exchanges the interpreter when the guest proves to run for longer. */
export class Promotion {
  readonly #engine: Engine;
  readonly #compile: () => WebAssembly.Module;
  #promoted = false;

  /** @param compile makes the interpreter for long runs */
  constructor(engine: Engine, compile: () => WebAssembly.Module) {
    this.#engine = engine;
    this.#compile = compile;
  }

  /** To be called between slices. @param instructions executed so far, by whatever */
  executed(instructions: number): void {
    if (this.#promoted || instructions - this.#engine.inRegions < LONG_RUN) return;
    this.#promoted = true;
    this.#engine.use(this.#compile());
  }
}
