import { RAM_BASE } from "../state.ts";
import { joined, ModuleBuilder } from "../wasm/module-builder.ts";
import { REGION_SIGNATURE } from "./protocol.ts";
import { type Support, supportOf } from "./support.ts";

const WASM_PAGE = 65536;

/** What the functions of all modules have in common. */
export interface RegionCommons extends Support {
  /** Index of the type of regions. */
  readonly regionType: number;
  /** Index of the first region's function. */
  readonly self: number;
}

/** Modules of regions: all alike but for the functions' number and bodies. */
export class RegionModules {
  readonly commons: RegionCommons;
  readonly #shared: boolean;
  /** By the functions' number. */
  readonly #heads = new Map<number, Uint8Array>();

  /** @param shared whether the memory is a shared one */
  constructor(shared: boolean) {
    this.#shared = shared;
    const { commons, head } = begin(shared, 1);
    this.commons = commons;
    this.#heads.set(1, head);
  }

  /**
   * The first function is exported as `region`, others under names of their own behind it.
   * @param bodies made with {@link commons}, but that each one's own index counts on from `self`
   */
  module(bodies: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
    const { length } = bodies;
    const head = this.#heads.get(length) ?? begin(this.#shared, length).head;
    this.#heads.set(length, head);
    return joined(head, bodies);
  }
}

/** Everything but the bodies of a module with so many functions. */
function begin(shared: boolean, functions: number): { commons: RegionCommons; head: Uint8Array } {
  const module = new ModuleBuilder();
  const regionType = module.typeIndex(REGION_SIGNATURE);
  module.importMemory("jit", "memory", RAM_BASE / WASM_PAGE, shared);
  module.importTable("jit", "regions");
  const support = supportOf(module);
  const self = module.addFunction(REGION_SIGNATURE);
  module.exportFunction("region", self);
  for (let number = 1; number < functions; number++) {
    module.exportFunction(`region${number}`, module.addFunction(REGION_SIGNATURE));
  }
  return { commons: { ...support, regionType, self }, head: module.head() };
}
