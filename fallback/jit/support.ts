import type { SlowAccess } from "../emission/guest-access.ts";
import { buildSlowAccess } from "../emission/slow-access.ts";
import { buildStringRuns, RUN_SIGNATURE, type StringRuns, TOUCH } from "../emission/string-runs.ts";
import {
  buildX87Functions,
  X87_FUNCTIONS,
  type X87Function,
  type X87Functions,
} from "../emission/x87-functions.ts";
import type { MemoryBits } from "../isa/emitter.ts";
import { RAM_BASE } from "../state.ts";
import { i32, i64 } from "../wasm/expression.ts";
import { type Callee, callResult, FunctionBuilder } from "../wasm/function-builder.ts";
import { ModuleBuilder, type Signature } from "../wasm/module-builder.ts";
import {
  FIRST_SUPPORT_PLACE,
  FIRST_X87_PLACE,
  REGION_LEFT,
  REGION_SIGNATURE,
  REGION_TABLE,
} from "./protocol.ts";

const WASM_PAGE = 65536;
const WIDTHS: readonly MemoryBits[] = [8, 16, 32, 64];

const LOAD = { parameters: ["i64"], results: ["i64"] } as const;
const STORE = { parameters: ["i64", "i64"], results: ["i32"] } as const;
const CHECK_SEGMENT = { parameters: ["i32", "i32", "i32"], results: ["i32"] } as const;
const PROCEDURE = { parameters: ["i32"], results: ["i32"] } as const;

/** The functions by name, in the order in which the table of regions has them. */
const FUNCTIONS: readonly (readonly [string, Signature])[] = [
  ...WIDTHS.map((bits) => [`load${bits}`, LOAD] as const),
  ...WIDTHS.map((bits) => [`loadForWrite${bits}`, LOAD] as const),
  ...WIDTHS.map((bits) => [`store${bits}`, STORE] as const),
  ["loadVector", { parameters: ["i64"], results: ["v128"] }],
  ["storeVector", { parameters: ["i64", "v128"], results: ["i32"] }],
  ["checkSegment", CHECK_SEGMENT],
  ["move", RUN_SIGNATURE],
  ["fill", RUN_SIGNATURE],
  ["procedure", PROCEDURE],
  ["settleFlags", { parameters: [], results: [] }],
];

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

/**
 * Of a module of regions: a function for each of {@link FUNCTIONS} that calls it. V8 makes a lot of code
 * for each call through a table.
 */
export function supportCalls(module: ModuleBuilder): { index: number; body: Uint8Array }[] {
  return FUNCTIONS.map(([, signature], number) => {
    const index = module.addFunction(signature);
    const fn = new FunctionBuilder(signature.parameters);
    const operands = signature.parameters.map((type, n) => fn.parameter(n, type));
    const slot = i32.const(FIRST_SUPPORT_PLACE + number);
    fn.returnCall(REGION_TABLE, module.typeIndex(signature), slot, ...operands);
    fn.unreachable();
    return { index, body: fn.finish() };
  });
}

/** What the code of a module of regions calls. */
export interface Support {
  readonly slow: SlowAccess;
  readonly runs: StringRuns;
  readonly procedure: Callee;
  readonly settleFlags: Callee;
  readonly x87: X87Functions;
}

/** @param calls indices of the functions of {@link supportCalls} */
export function supportOf(module: ModuleBuilder, calls: readonly number[]): Support {
  const callee = (wanted: string): Callee =>
    calls[FUNCTIONS.findIndex(([name]) => name === wanted)] as number;
  return {
    slow: slowOf(callee),
    runs: { move: callee("move"), fill: callee("fill") },
    procedure: callee("procedure"),
    settleFlags: callee("settleFlags"),
    x87: x87FunctionsOf(module),
  };
}

/** Imports what handlers call of the functions: see `LateHandlers`. @param from the module's name */
export function importSupport(
  module: ModuleBuilder,
  from: string,
): { readonly slow: SlowAccess; readonly procedure: Callee } {
  const signatures = new Map(FUNCTIONS);
  const callee = (name: string): Callee =>
    module.importFunction(from, name, signatures.get(name) as Signature);
  return { slow: slowOf(callee), procedure: callee("procedure") };
}

/** The same of those for x87. */
export function importX87(module: ModuleBuilder, from: string): X87Functions {
  const callees = X87_FUNCTIONS.map(
    ([name, signature]) => [name, module.importFunction(from, name, signature)] as const,
  );
  return byName(callees);
}

function slowOf(callee: (name: string) => Callee): SlowAccess {
  const byWidth = (name: string) =>
    Object.fromEntries(WIDTHS.map((bits) => [bits, callee(`${name}${bits}`)])) as Record<
      MemoryBits,
      Callee
    >;
  return {
    load: byWidth("load"),
    loadForWrite: byWidth("loadForWrite"),
    store: byWidth("store"),
    loadVector: callee("loadVector"),
    storeVector: callee("storeVector"),
    checkSegment: callee("checkSegment"),
  };
}

function x87FunctionsOf(module: ModuleBuilder): X87Functions {
  const callees = X87_FUNCTIONS.map(([name, signature], index) => {
    const slot = FIRST_X87_PLACE + index;
    return [name, { table: REGION_TABLE, signature: module.typeIndex(signature), slot }] as const;
  });
  return byName(callees);
}

function byName(callees: readonly (readonly [X87Function, Callee])[]): X87Functions {
  const byName = new Map(callees);
  return (name) => byName.get(name) as Callee;
}
