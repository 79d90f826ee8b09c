import { emitMeaning } from "../emission/code-emitter.ts";
import { buildSlowAccess } from "../emission/slow-access.ts";
import type { Variant } from "../isa/variant.ts";
import { RAM_BASE } from "../state.ts";
import { ModuleBuilder } from "../wasm/module-builder.ts";
import { defineHandler, importAccesses, importProcedure } from "./handler-code.ts";
import type { MemoryAccess } from "./memory-access.ts";

const WASM_PAGE = 65536;

/** A handler by itself, and how it accesses memory. */
export interface LateHandler {
  readonly handler: unknown;
  readonly access: MemoryAccess | undefined;
}

/**
 * A module for one variant of an instruction that the interpreter's own module leaves out: see
 * `Instruction.late`.
 * @param cpu what the interpreter's module imports
 */
export function makeLateHandler(
  variant: Variant,
  cpu: Readonly<Record<string, unknown>>,
  shared: boolean,
): LateHandler {
  const module = new ModuleBuilder();
  module.importMemory("cpu", "memory", RAM_BASE / WASM_PAGE, shared);
  const accesses = importAccesses(module);
  const procedure = importProcedure(module);
  const slow = buildSlowAccess(module, accesses);
  let access: MemoryAccess | undefined;
  const index = defineHandler(module, variant, slow, { procedure }, (emitter) => {
    emitMeaning(emitter, variant.instruction.meaning, variant.operands);
    access = emitter.accessed;
  });
  module.exportFunction("handler", index);
  const made = new WebAssembly.Module(module.finish());
  return { handler: new WebAssembly.Instance(made, { cpu }).exports.handler, access };
}
