import type { MemoryBits } from "../isa/emitter.ts";
import { STATE } from "../state.ts";
import { type I32, i32, i64 } from "../wasm/expression.ts";
import { callResult, FunctionBuilder, type Local } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";
import { v128 } from "../wasm/simd.ts";
import type { SlowAccess } from "./guest-access.ts";
import { throughTlb } from "./page-lookup.ts";
import { buildPageWalk } from "./page-walk.ts";

/** Imported functions that take an address as two halves, a width in bytes and a flag. */
export interface AccessImports {
  /** (low, high, bytes, forWrite) → nothing; the value is in SCRATCH, or a fault is recorded. */
  readonly load: number;
  /** (low, high, bytes) → i32, zero if a fault is recorded; the value is in SCRATCH. */
  readonly store: number;
  /** As in {@link SlowAccess}. */
  readonly checkSegment: number;
}

const WIDTHS: readonly MemoryBits[] = [8, 16, 32, 64];

const LOAD = { 8: i64.load8U, 16: i64.load16U, 32: i64.load32U, 64: i64.load } as const;

/**
 * Accesses outside the identity windows: through the software TLB, where that knows nothing through the
 * guest's paging structures, and what is not plain there through TypeScript.
 */
export function buildSlowAccess(module: ModuleBuilder, imports: AccessImports): SlowAccess<number> {
  const walk = buildPageWalk(module);
  const loader = (bits: MemoryBits, forWrite: boolean): number => {
    const index = module.addFunction({ parameters: ["i64"], results: ["i64"] });
    const fn = new FunctionBuilder(["i64"]);
    const address = fn.parameter(0, "i64");
    lookUp(fn, walk, address, bits / 8, forWrite, (host) => fn.return(LOAD[bits](host)));
    fn.call(imports.load, ...halves(address), i32.const(bits / 8), i32.const(forWrite ? 1 : 0));
    fn.return(LOAD[bits](i32.const(0), STATE.SCRATCH));
    fn.unreachable();
    module.define(index, fn.finish());
    return index;
  };
  const storer = (bits: MemoryBits): number => {
    const index = module.addFunction({ parameters: ["i64", "i64"], results: ["i32"] });
    const fn = new FunctionBuilder(["i64", "i64"]);
    const address = fn.parameter(0, "i64");
    const value = fn.parameter(1, "i64");
    lookUp(fn, walk, address, bits / 8, true, (host) => {
      fn.storeNarrow(bits, host, value);
      fn.return(i32.const(1));
    });
    fn.store(i32.const(STATE.SCRATCH), value);
    fn.return(callResult("i32", imports.store, ...halves(address), i32.const(bits / 8)));
    fn.unreachable();
    module.define(index, fn.finish());
    return index;
  };
  const byWidth = (build: (bits: MemoryBits) => number) =>
    Object.fromEntries(WIDTHS.map((bits) => [bits, build(bits)])) as Record<MemoryBits, number>;
  return {
    load: byWidth((bits) => loader(bits, false)),
    loadForWrite: byWidth((bits) => loader(bits, true)),
    store: byWidth(storer),
    loadVector: vectorLoader(module, walk, imports),
    storeVector: vectorStorer(module, walk, imports),
    checkSegment: imports.checkSegment,
  };
}

/** @param found gets the memory offset; without it the code goes on */
function lookUp(
  fn: FunctionBuilder,
  walk: number,
  address: Local<"i64">,
  bytes: number,
  write: boolean,
  found: (host: I32) => void,
): void {
  throughTlb(fn, address, bytes, write, found);
  const walked = callResult("i32", walk, address, i32.const(bytes), i32.const(write ? 1 : 0));
  const host = fn.let(walked);
  fn.if(host, () => found(host));
}

function vectorLoader(module: ModuleBuilder, walk: number, imports: AccessImports): number {
  const index = module.addFunction({ parameters: ["i64"], results: ["v128"] });
  const fn = new FunctionBuilder(["i64"]);
  const address = fn.parameter(0, "i64");
  lookUp(fn, walk, address, 16, false, (host) => fn.return(v128.load(host)));
  fn.call(imports.load, ...halves(address), i32.const(16), i32.const(0));
  fn.return(v128.load(i32.const(0), STATE.SCRATCH));
  fn.unreachable();
  module.define(index, fn.finish());
  return index;
}

function vectorStorer(module: ModuleBuilder, walk: number, imports: AccessImports): number {
  const index = module.addFunction({ parameters: ["i64", "v128"], results: ["i32"] });
  const fn = new FunctionBuilder(["i64", "v128"]);
  const address = fn.parameter(0, "i64");
  const value = fn.parameter(1, "v128");
  lookUp(fn, walk, address, 16, true, (host) => {
    fn.store(host, value);
    fn.return(i32.const(1));
  });
  fn.store(i32.const(STATE.SCRATCH), value);
  fn.return(callResult("i32", imports.store, ...halves(address), i32.const(16)));
  fn.unreachable();
  module.define(index, fn.finish());
  return index;
}

const halves = (address: Local<"i64">): [I32, I32] => [
  i32.wrap(address),
  i32.wrap(i64.shrU(address, i64.const(32))),
];
