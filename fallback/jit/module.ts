import type { SlowAccess } from "../emission/guest-access.ts";
import type { StringRuns } from "../emission/string-runs.ts";
import { RAM_BASE } from "../state.ts";
import { i64 } from "../wasm/expression.ts";
import { FunctionBuilder } from "../wasm/function-builder.ts";
import { joined, ModuleBuilder } from "../wasm/module-builder.ts";
import { REGION_SIGNATURE } from "./protocol.ts";
import { importRuns, importSupport } from "./support.ts";

const WASM_PAGE = 65536;

/** Indices of what the functions of a module of regions have in common. */
export interface RegionImports {
  readonly slow: SlowAccess;
  readonly runs: StringRuns;
  readonly settleFlags: number;
  readonly procedure: number;
  readonly regionType: number;
  readonly self: number;
}

/** Modules with one function each, exported as `region`: all alike but for its body. */
export class RegionModules {
  readonly imports: RegionImports;
  readonly #head: Uint8Array;

  /** @param shared whether the memory is a shared one */
  constructor(shared: boolean) {
    const module = new ModuleBuilder();
    const regionType = module.typeIndex(REGION_SIGNATURE);
    module.importMemory("jit", "memory", RAM_BASE / WASM_PAGE, shared);
    module.importTable("jit", "regions");
    const imports = {
      slow: importSupport(module),
      runs: importRuns(module),
      settleFlags: module.importFunction("jit", "settleFlags", { parameters: [], results: [] }),
      procedure: module.importFunction("jit", "procedure", {
        parameters: ["i32"],
        results: ["i32"],
      }),
      regionType,
    };
    const self = module.addFunction(REGION_SIGNATURE);
    module.exportFunction("region", self);
    this.imports = { ...imports, self };
    this.#head = module.head();
  }

  /** @param body made with {@link imports} */
  module(body: Uint8Array): Uint8Array<ArrayBuffer> {
    return joined(this.#head, [body]);
  }
}

/** The function that stands for regions that there are not: their code is interpreted. */
export function unlinkedModule(left: bigint): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  const region = module.addFunction(REGION_SIGNATURE);
  const fn = new FunctionBuilder(REGION_SIGNATURE.parameters);
  fn.return(i64.const(left));
  module.define(region, fn.finish());
  module.exportFunction("region", region);
  return module.finish();
}
