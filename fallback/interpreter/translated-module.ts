/** Handlers of what is a translation by variant: see `Instruction.byVariant`. */
import type { Form } from "../isa/form.ts";
import { variantsOf } from "../isa/variant.ts";
import { importSupport, importX87 } from "../jit/support.ts";
import { RAM_BASE, SEGMENT_INDEX } from "../state.ts";
import { ModuleBuilder } from "../wasm/module-builder.ts";
import { defineHandler } from "./handler-code.ts";
import { translatedName } from "./handlers.ts";

const WASM_PAGE = 65536;

/**
 * A module that exports all of them by name. It is not part of the interpreter's own, which has to be
 * compiled for every start; and it imports nothing of TypeScript, as those of `LateHandlers`.
 */
export function buildTranslated(forms: readonly Form[], shared: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory("cpu", "memory", RAM_BASE / WASM_PAGE, shared);
  const { slow, ...support } = importSupport(module, "support");
  const functions = { ...support, x87: importX87(module, "x87") };
  for (const form of forms) {
    const { byVariant } = form.instruction;
    if (byVariant === undefined) continue;
    for (const { variant } of variantsOf(form)) {
      const operandSize = variant.bits;
      const segment = SEGMENT_INDEX.ds;
      const index = defineHandler(module, variant, slow, functions, (emitter) =>
        byVariant(emitter, { form, operandSize, addressSize: 64, segment }),
      );
      module.exportFunction(translatedName(form, operandSize), index);
    }
  }
  return module.finish();
}
