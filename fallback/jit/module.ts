import { RAM_BASE } from "../state.ts";
import { joined, ModuleBuilder } from "../wasm/module-builder.ts";
import { REGION_SIGNATURE } from "./protocol.ts";
import { type Support, supportOf } from "./support.ts";

const WASM_PAGE = 65536;

/** What the functions of all modules have in common. */
export interface RegionCommons extends Support {
  /** Index of the type of regions. */
  readonly regionType: number;
  /** Index of the region's own function. */
  readonly self: number;
}

/** Modules with one function each, exported as `region`: all alike but for its body. */
export class RegionModules {
  readonly commons: RegionCommons;
  readonly #head: Uint8Array;

  /** @param shared whether the memory is a shared one */
  constructor(shared: boolean) {
    const module = new ModuleBuilder();
    const regionType = module.typeIndex(REGION_SIGNATURE);
    module.importMemory("jit", "memory", RAM_BASE / WASM_PAGE, shared);
    module.importTable("jit", "regions");
    const support = supportOf(module);
    const self = module.addFunction(REGION_SIGNATURE);
    module.exportFunction("region", self);
    this.commons = { ...support, regionType, self };
    this.#head = module.head();
  }

  /** @param body made with {@link commons} */
  module(body: Uint8Array): Uint8Array<ArrayBuffer> {
    return joined(this.#head, [body]);
  }
}
