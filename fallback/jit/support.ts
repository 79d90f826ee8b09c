import type { SlowAccess } from "../emission/guest-access.ts";
import { RUN_SIGNATURE, type StringRuns } from "../emission/string-runs.ts";
import { X87_FUNCTIONS, type X87Function, type X87Functions } from "../emission/x87-functions.ts";
import type { MemoryBits } from "../isa/emitter.ts";
import { STRING_COMPARISON } from "../isa/string-comparison.ts";
import { i32 } from "../wasm/expression.ts";
import { type Callee, FunctionBuilder } from "../wasm/function-builder.ts";
import type { ModuleBuilder, Signature } from "../wasm/module-builder.ts";
import { FIRST_SUPPORT_PLACE, FIRST_X87_PLACE, REGION_TABLE } from "./protocol.ts";

export const WIDTHS: readonly MemoryBits[] = [8, 16, 32, 64];

const LOAD = { parameters: ["i64"], results: ["i64"] } as const;
const STORE = { parameters: ["i64", "i64"], results: ["i32"] } as const;
export const CHECK_SEGMENT = { parameters: ["i32", "i32", "i32"], results: ["i32"] } as const;
export const PROCEDURE = { parameters: ["i32"], results: ["i32"] } as const;

/** The functions by name, in the order in which the table of regions has them. */
export const FUNCTIONS: readonly (readonly [string, Signature])[] = [
  ...WIDTHS.map((bits) => [`load${bits}`, LOAD] as const),
  ...WIDTHS.map((bits) => [`loadForWrite${bits}`, LOAD] as const),
  ...WIDTHS.map((bits) => [`store${bits}`, STORE] as const),
  ["loadVector", { parameters: ["i64"], results: ["v128"] }],
  ["storeVector", { parameters: ["i64", "v128"], results: ["i32"] }],
  ["checkSegment", CHECK_SEGMENT],
  ["move", RUN_SIGNATURE],
  ["fill", RUN_SIGNATURE],
  ["compareStrings", STRING_COMPARISON],
  ["procedure", PROCEDURE],
  ["settleFlags", { parameters: [], results: [] }],
];

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
  readonly compareStrings: Callee;
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
    compareStrings: callee("compareStrings"),
    procedure: callee("procedure"),
    settleFlags: callee("settleFlags"),
    x87: x87FunctionsOf(module),
  };
}

/** Imports what handlers call of the functions: see `LateHandlers`. @param from the module's name */
export function importSupport(
  module: ModuleBuilder,
  from: string,
): Pick<Support, "slow" | "procedure" | "compareStrings"> {
  const signatures = new Map(FUNCTIONS);
  const callee = (name: string): Callee =>
    module.importFunction(from, name, signatures.get(name) as Signature);
  return {
    slow: slowOf(callee),
    procedure: callee("procedure"),
    compareStrings: callee("compareStrings"),
  };
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
