import type { SlowAccess } from "../emission/guest-access.ts";
import type { AccessImports } from "../emission/slow-access.ts";
import type { Variant } from "../isa/variant.ts";
import { i32 } from "../wasm/expression.ts";
import { type Callee, callResult, FunctionBuilder } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";
import { type CalledFunctions, InterpreterEmitter } from "./interpreter-emitter.ts";
import { OUTCOME } from "./outcomes.ts";

export type Emit = (emitter: InterpreterEmitter, variant: Variant) => void;

/** What handlers call besides accesses to memory. */
export interface HandlerFunctions extends CalledFunctions {
  readonly procedure: Callee;
}

const one = ["i32"] as const;

/** What accesses to memory need of TypeScript. */
export const importAccesses = (module: ModuleBuilder): AccessImports => ({
  load: module.importFunction("cpu", "load", {
    parameters: ["i32", "i32", "i32", "i32"],
    results: [],
  }),
  store: module.importFunction("cpu", "store", {
    parameters: ["i32", "i32", "i32"],
    results: one,
  }),
  checkSegment: module.importFunction("cpu", "checkSegment", {
    parameters: ["i32", "i32", "i32"],
    results: one,
  }),
});

/** Executes the instruction of a record. */
export const importProcedure = (module: ModuleBuilder): number =>
  module.importFunction("cpu", "procedure", { parameters: one, results: one });

/** A handler as a function of its record. Returns the function's index. */
export function defineHandler(
  module: ModuleBuilder,
  variant: Variant,
  slow: SlowAccess,
  functions: HandlerFunctions,
  emit: Emit,
): number {
  const index = module.addFunction({ parameters: ["i32"], results: ["i32"] });
  const fn = new FunctionBuilder(["i32"]);
  const record = fn.parameter(0, "i32");
  const exits = {
    fault: () => fn.return(i32.const(OUTCOME.LEAVE)),
    jump: () => fn.return(i32.const(OUTCOME.JUMP)),
    fallback: () => fn.return(callResult("i32", functions.procedure, record)),
  };
  emit(new InterpreterEmitter(fn, record, variant, slow, exits, functions), variant);
  fn.return(i32.const(OUTCOME.NEXT));
  fn.unreachable();
  module.define(index, fn.finish());
  return index;
}
