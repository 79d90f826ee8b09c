/** Makes the modules of the functions that regions call: when the package is built. */
import { buildSlowAccess } from "../emission/slow-access.ts";
import { buildStringComparison } from "../emission/string-comparison.ts";
import { buildStringRuns, TOUCH } from "../emission/string-runs.ts";
import { buildX87Functions } from "../emission/x87-functions.ts";
import type { MemoryBits } from "../isa/emitter.ts";
import { RAM_BASE } from "../state.ts";
import { i64 } from "../wasm/expression.ts";
import { callResult, FunctionBuilder } from "../wasm/function-builder.ts";
import { ModuleBuilder, type Signature } from "../wasm/module-builder.ts";
import { REGION_LEFT, REGION_SIGNATURE } from "./protocol.ts";
import { CHECK_SEGMENT, FUNCTIONS, PROCEDURE, WIDTHS } from "./support.ts";

const WASM_PAGE = 65536;

/**
 * A module that exports the functions, in their order, but for `settleFlags`, which is the interpreter's;
 * and `unlinked`, which stands for regions that there are not: their code is interpreted.
 */
export function buildSupport(shared: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  const three = ["i32", "i32", "i32"] as const;
  module.importMemory("cpu", "memory", RAM_BASE / WASM_PAGE, shared);
  const called = module.importFunction("cpu", "procedure", PROCEDURE);
  const touch = module.importFunction("cpu", "touch", TOUCH);
  const { load, loadForWrite, store, ...slow } = buildSlowAccess(module, {
    load: module.importFunction("cpu", "load", { parameters: [...three, "i32"], results: [] }),
    store: module.importFunction("cpu", "store", { parameters: three, results: ["i32"] }),
    checkSegment: module.importFunction("cpu", "checkSegment", CHECK_SEGMENT),
  });
  const define = (signature: Signature, body: (fn: FunctionBuilder) => void): number => {
    const index = module.addFunction(signature);
    const fn = new FunctionBuilder(signature.parameters);
    body(fn);
    module.define(index, fn.finish());
    return index;
  };
  const byWidth = (name: string, indices: Readonly<Record<MemoryBits, number>>) =>
    WIDTHS.map((bits) => [`${name}${bits}`, indices[bits]] as const);
  const indices = new Map<string, number>([
    ...byWidth("load", load),
    ...byWidth("loadForWrite", loadForWrite),
    ...byWidth("store", store),
    ...Object.entries({ ...slow, ...buildStringRuns(module, touch) }),
    ["compareStrings", buildStringComparison(module)],
  ]);
  indices.set(
    "procedure",
    define(PROCEDURE, (fn) => fn.return(callResult("i32", called, fn.parameter(0, "i32")))),
  );
  indices.set(
    "unlinked",
    define(REGION_SIGNATURE, (fn) => fn.return(i64.const(REGION_LEFT.INTERPRET))),
  );
  for (const name of [...FUNCTIONS.map(([name]) => name), "unlinked"]) {
    const index = indices.get(name);
    if (index !== undefined) module.exportFunction(name, index);
  }
  return module.finish();
}

/** The functions for x87, in the order of {@link X87_FUNCTIONS}. */
export const buildX87 = (shared: boolean): Uint8Array<ArrayBuffer> =>
  buildX87Functions(RAM_BASE / WASM_PAGE, shared);
