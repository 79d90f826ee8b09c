import type { Engine } from "./interpreter/engine.ts";
import { LiveCode } from "./interpreter/live-code.ts";
import type { Mmu } from "./memory/mmu.ts";
import { PAGE_SIZE } from "./memory/physical.ts";

/** What was made of the guest's code, blocks and regions, when that is not what it was. */
export class MadeCode {
  readonly #engine: Engine;
  readonly #mmu: Mmu;

  constructor(engine: Engine, mmu: Mmu) {
    this.#engine = engine;
    this.#mmu = mmu;
  }

  get live(): LiveCode {
    return new LiveCode(this.#engine, this.#mmu.codePages);
  }

  forget(): void {
    this.#engine.blocks.clear();
    this.#engine.jit?.clear();
  }

  /** These bytes of memory have been written to. @param address guest physical */
  drop(address: number, length: number): void {
    const first = Math.floor(address / PAGE_SIZE);
    const last = Math.floor((address + length - 1) / PAGE_SIZE);
    for (let page = first; page <= last; page++) {
      const start = page * PAGE_SIZE;
      const from = Math.max(address - start, 0);
      const to = Math.min(address + length - start, PAGE_SIZE);
      if (this.#engine.blocks.isBeside(page, from, to)) continue;
      const inRegions = this.#engine.jit?.dropBytes(page, from, to) === true;
      const inBlocks = this.#engine.blocks.dropBytes(page, from, to);
      if (!inRegions && !inBlocks) this.#mmu.unmarkCode(page);
    }
  }
}
