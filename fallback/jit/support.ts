import type { SlowAccess } from "../emission/guest-access.ts";
import { buildSlowAccess } from "../emission/slow-access.ts";
import { buildStringRuns, RUN_SIGNATURE, type StringRuns } from "../emission/string-runs.ts";
import type { MemoryBits } from "../isa/emitter.ts";
import { RAM_BASE } from "../state.ts";
import { callResult, FunctionBuilder } from "../wasm/function-builder.ts";
import { ModuleBuilder, type Signature } from "../wasm/module-builder.ts";

const WASM_PAGE = 65536;
const WIDTHS: readonly MemoryBits[] = [8, 16, 32, 64];

/** What regions call for accesses outside the windows, and how they import it. */
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
}

const LOAD = { parameters: ["i64"], results: ["i64"] } as const;
const STORE = { parameters: ["i64", "i64"], results: ["i32"] } as const;

/** The functions of {@link SlowAccess} by the names under which regions import them. */
const FUNCTIONS: readonly (readonly [string, Signature, (slow: SlowAccess) => number])[] = [
  ...WIDTHS.map((bits) => [`load${bits}`, LOAD, (slow: SlowAccess) => slow.load[bits]] as const),
  ...WIDTHS.map(
    (bits) => [`loadForWrite${bits}`, LOAD, (slow: SlowAccess) => slow.loadForWrite[bits]] as const,
  ),
  ...WIDTHS.map((bits) => [`store${bits}`, STORE, (slow: SlowAccess) => slow.store[bits]] as const),
  ["loadVector", { parameters: ["i64"], results: ["v128"] }, (slow) => slow.loadVector],
  ["storeVector", { parameters: ["i64", "v128"], results: ["i32"] }, (slow) => slow.storeVector],
  [
    "checkSegment",
    { parameters: ["i32", "i32", "i32"], results: ["i32"] },
    (slow) => slow.checkSegment,
  ],
];

const RUNS = ["move", "fill"] as const satisfies readonly (keyof StringRuns)[];

/** The module that {@link instantiateSupport} makes an instance of. */
function buildSupport(shared: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  const three = ["i32", "i32", "i32"] as const;
  module.importMemory("cpu", "memory", RAM_BASE / WASM_PAGE, shared);
  const one = { parameters: ["i32"], results: ["i32"] } as const;
  const called = module.importFunction("cpu", "procedure", one);
  const slow = buildSlowAccess(module, {
    load: module.importFunction("cpu", "load", { parameters: [...three, "i32"], results: [] }),
    store: module.importFunction("cpu", "store", { parameters: three, results: ["i32"] }),
    checkSegment: module.importFunction("cpu", "checkSegment", {
      parameters: three,
      results: ["i32"],
    }),
  });
  // An import from JavaScript would cost every module of regions code that calls it.
  const procedure = module.addFunction(one);
  const fn = new FunctionBuilder(one.parameters);
  fn.return(callResult("i32", called, fn.parameter(0, "i32")));
  module.define(procedure, fn.finish());
  for (const [name, , index] of FUNCTIONS) module.exportFunction(name, index(slow));
  const runs = buildStringRuns(module);
  for (const name of RUNS) module.exportFunction(name, runs[name]);
  module.exportFunction("procedure", procedure);
  return module.finish();
}

export function instantiateSupport(
  memory: WebAssembly.Memory,
  shared: boolean,
  host: JitHost,
  { recordFault, procedure }: SupportCalls,
): Readonly<Record<string, unknown>> {
  return new WebAssembly.Instance(new WebAssembly.Module(buildSupport(shared)), {
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
  }).exports;
}

/** Imports {@link RUNS} into a module of regions. */
export const importRuns = (module: ModuleBuilder): StringRuns => ({
  move: module.importFunction("jit", RUNS[0], RUN_SIGNATURE),
  fill: module.importFunction("jit", RUNS[1], RUN_SIGNATURE),
});

/** Imports {@link FUNCTIONS} into a module of regions. */
export function importSupport(module: ModuleBuilder): SlowAccess {
  const indices = new Map(
    FUNCTIONS.map(([name, signature]) => [name, module.importFunction("jit", name, signature)]),
  );
  const index = (name: string): number => indices.get(name) as number;
  const byWidth = (name: string) =>
    Object.fromEntries(WIDTHS.map((bits) => [bits, index(`${name}${bits}`)])) as Record<
      MemoryBits,
      number
    >;
  return {
    load: byWidth("load"),
    loadForWrite: byWidth("loadForWrite"),
    store: byWidth("store"),
    loadVector: index("loadVector"),
    storeVector: index("storeVector"),
    checkSegment: index("checkSegment"),
  };
}
