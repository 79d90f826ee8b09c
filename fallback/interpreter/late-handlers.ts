/** Handlers that the interpreter's own module leaves out: see `Instruction.late`. */
import { emitMeaning } from "../emission/code-emitter.ts";
import type { Variant } from "../isa/variant.ts";
import { importSupport } from "../jit/support.ts";
import { RAM_BASE } from "../state.ts";
import { ModuleBuilder } from "../wasm/module-builder.ts";
import { defineHandler } from "./handler-code.ts";
import type { MemoryAccess } from "./memory-access.ts";

const WASM_PAGE = 65536;

/** A handler by itself, and how it accesses memory. */
export interface LateHandler {
  readonly handler: unknown;
  readonly access: MemoryAccess | undefined;
}

/**
 * Makes a module for each. They import nothing of TypeScript, for V8 would compile a way out to it anew
 * for every module: what they call is in one that is made before.
 */
export class LateHandlers {
  readonly #memory: unknown;
  readonly #shared: boolean;
  readonly #support: WebAssembly.Instance["exports"];

  /** @param support exports of the module of `buildSupport` */
  constructor(support: WebAssembly.Instance["exports"], memory: unknown, shared: boolean) {
    this.#memory = memory;
    this.#shared = shared;
    this.#support = support;
  }

  make(variant: Variant): LateHandler {
    const module = new ModuleBuilder();
    module.importMemory("cpu", "memory", RAM_BASE / WASM_PAGE, this.#shared);
    const { slow, ...functions } = importSupport(module, "support");
    let access: MemoryAccess | undefined;
    const index = defineHandler(module, variant, slow, functions, (emitter) => {
      emitMeaning(emitter, variant.instruction.meaning, variant.operands);
      access = emitter.accessed;
    });
    module.exportFunction("handler", index);
    const imports = { cpu: { memory: this.#memory }, support: this.#support };
    const made = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), imports);
    return { handler: made.exports.handler, access };
  }
}
