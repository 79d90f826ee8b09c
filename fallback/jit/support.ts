import type { SlowAccess } from "../emission/guest-access.ts";
import { buildSlowAccess } from "../emission/slow-access.ts";
import { buildStringRuns, RUN_SIGNATURE, type StringRuns } from "../emission/string-runs.ts";
import { buildX87Functions, X87_FUNCTIONS, type X87Functions } from "../emission/x87-functions.ts";
import type { MemoryBits } from "../isa/emitter.ts";
import { RAM_BASE } from "../state.ts";
import { type Callee, callResult, FunctionBuilder } from "../wasm/function-builder.ts";
import { ModuleBuilder, type Signature } from "../wasm/module-builder.ts";
import { FIRST_SUPPORT_PLACE, FIRST_X87_PLACE, REGION_TABLE } from "./protocol.ts";

const WASM_PAGE = 65536;
const WIDTHS: readonly MemoryBits[] = [8, 16, 32, 64];

/** What regions call for accesses outside the windows. */
export interface JitHost {
  /**
   * As the interpreter's, but for accesses that have to be interpreted: these are not made. Then a
   * fault is recorded, or the result is false.
   */
  load(low: number, high: number, bytes: number, forWrite: boolean): boolean;
  store(low: number, high: number, bytes: number): boolean;
  checkSegment(limit: number, offset: number, length: number): boolean;
}

/** What else the module of {@link instantiateSupport} stands before. */
export interface SupportCalls {
  /** Is called when a load has failed. */
  recordFault(): void;
  /** @returns 0 if the region may go on behind the instruction */
  procedure(number: number): number;
  /** A function of WebAssembly that makes the flags in the state known. */
  readonly settleFlags: unknown;
}

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

/** The module that {@link instantiateSupport} makes an instance of. */
function buildSupport(shared: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  const three = ["i32", "i32", "i32"] as const;
  module.importMemory("cpu", "memory", RAM_BASE / WASM_PAGE, shared);
  const called = module.importFunction("cpu", "procedure", PROCEDURE);
  const slow = buildSlowAccess(module, {
    load: module.importFunction("cpu", "load", { parameters: [...three, "i32"], results: [] }),
    store: module.importFunction("cpu", "store", { parameters: three, results: ["i32"] }),
    checkSegment: module.importFunction("cpu", "checkSegment", CHECK_SEGMENT),
  });
  const procedure = module.addFunction(PROCEDURE);
  const fn = new FunctionBuilder(PROCEDURE.parameters);
  fn.return(callResult("i32", called, fn.parameter(0, "i32")));
  module.define(procedure, fn.finish());
  for (const bits of WIDTHS) {
    module.exportFunction(`load${bits}`, slow.load[bits]);
    module.exportFunction(`loadForWrite${bits}`, slow.loadForWrite[bits]);
    module.exportFunction(`store${bits}`, slow.store[bits]);
  }
  const { loadVector, storeVector, checkSegment } = slow;
  const others = { loadVector, storeVector, checkSegment, ...buildStringRuns(module), procedure };
  for (const [name, index] of Object.entries(others)) module.exportFunction(name, index);
  return module.finish();
}

/**
 * The functions that regions call, for the table of regions: V8 compiles a way out to JavaScript for
 * each kind of function that a module imports, which took longer than the region itself.
 */
export function instantiateSupport(
  memory: WebAssembly.Memory,
  shared: boolean,
  host: JitHost,
  { recordFault, procedure, settleFlags }: SupportCalls,
): readonly unknown[] {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(buildSupport(shared)), {
    cpu: {
      memory,
      procedure,
      load: (low: number, high: number, bytes: number, forWrite: number) => {
        if (!host.load(low, high, bytes, forWrite !== 0)) recordFault();
      },
      store: (low: number, high: number, bytes: number) => (host.store(low, high, bytes) ? 1 : 0),
      checkSegment: (limit: number, offset: number, length: number) =>
        host.checkSegment(limit, offset, length) ? 1 : 0,
    },
  });
  const functions: Readonly<Record<string, unknown>> = { ...exports, settleFlags };
  return FUNCTIONS.map(([name]) => functions[name]);
}

/** The functions for x87, in the order of {@link X87_FUNCTIONS}: most guests never need them. */
export function instantiateX87(memory: WebAssembly.Memory, shared: boolean): readonly unknown[] {
  const module = new WebAssembly.Module(buildX87Functions(RAM_BASE / WASM_PAGE, shared));
  const exports: Readonly<Record<string, unknown>> = new WebAssembly.Instance(module, {
    cpu: { memory },
  }).exports;
  return X87_FUNCTIONS.map(([name]) => exports[name]);
}

/** What the code of a module of regions calls. */
export interface Support {
  readonly slow: SlowAccess;
  readonly runs: StringRuns;
  readonly procedure: Callee;
  readonly settleFlags: Callee;
  readonly x87: X87Functions;
}

export function supportOf(module: ModuleBuilder): Support {
  const callee = (wanted: string): Callee => {
    const index = FUNCTIONS.findIndex(([name]) => name === wanted);
    const [, signature] = FUNCTIONS[index] as (typeof FUNCTIONS)[number];
    return {
      table: REGION_TABLE,
      signature: module.typeIndex(signature),
      slot: FIRST_SUPPORT_PLACE + index,
    };
  };
  const byWidth = (name: string) =>
    Object.fromEntries(WIDTHS.map((bits) => [bits, callee(`${name}${bits}`)])) as Record<
      MemoryBits,
      Callee
    >;
  return {
    slow: {
      load: byWidth("load"),
      loadForWrite: byWidth("loadForWrite"),
      store: byWidth("store"),
      loadVector: callee("loadVector"),
      storeVector: callee("storeVector"),
      checkSegment: callee("checkSegment"),
    },
    runs: { move: callee("move"), fill: callee("fill") },
    procedure: callee("procedure"),
    settleFlags: callee("settleFlags"),
    x87: x87FunctionsOf(module),
  };
}

function x87FunctionsOf(module: ModuleBuilder): X87Functions {
  const callees = X87_FUNCTIONS.map(([name, signature], index) => {
    const slot = FIRST_X87_PLACE + index;
    return [name, { table: REGION_TABLE, signature: module.typeIndex(signature), slot }] as const;
  });
  const byName = new Map(callees);
  return (name) => byName.get(name) as Callee;
}
