import { RAM_BASE } from "../state.ts";
import { joined, ModuleBuilder } from "../wasm/module-builder.ts";
import { REGION_SIGNATURE } from "./protocol.ts";
import { type Support, supportCalls, supportOf } from "./support.ts";

const WASM_PAGE = 65536;

/** Regions that share a module, once there are so many. */
export const PACK_SIZE = 32;

/** What the functions of all modules have in common. */
export interface RegionCommons extends Support {
  /** Index of the type of regions. */
  readonly regionType: number;
  /** Index of the function at position 0. */
  readonly first: number;
}

/** In the place of a function that nobody calls: no locals, `unreachable`, `end`. */
const ABSENT = Uint8Array.of(3, 0, 0x00, 0x0b);

/**
 * Modules of regions. A region's function has the same position in whichever module it is: its
 * body may stand in one of its own, behind functions that nobody calls, and later in one with others.
 */
export class RegionModules {
  readonly commons: RegionCommons;
  readonly #module: ModuleBuilder;
  /** How many functions it has for regions by now. */
  #functions = 0;
  /** Bodies of what comes before the regions. */
  readonly #calls: readonly Uint8Array[];
  /** By the number of functions: all before the code, where one is exported, or all of them. */
  readonly #headsOfOne: (Uint8Array | undefined)[] = [];
  readonly #headsOfAll: (Uint8Array | undefined)[] = [];

  /** @param shared whether the memory is a shared one */
  constructor(shared: boolean) {
    const { module, commons, calls } = begin(shared);
    this.#module = module;
    this.commons = commons;
    this.#calls = calls;
  }

  /** A region in a module of its own. */
  moduleOf(body: Uint8Array, position: number): Uint8Array<ArrayBuffer> {
    this.#headsOfOne[position] ??= this.#head(position + 1, position);
    const bodies = this.#calls.slice();
    for (let before = 0; before < position; before++) bodies.push(ABSENT);
    bodies.push(body);
    return joined(this.#headsOfOne[position], bodies);
  }

  /** @param bodies by position, made with {@link commons} */
  module(bodies: readonly (Uint8Array | undefined)[]): Uint8Array<ArrayBuffer> {
    const { length } = bodies;
    this.#headsOfAll[length] ??= this.#head(length, 0);
    const regions = Array.from(bodies, (body) => body ?? ABSENT);
    return joined(this.#headsOfAll[length], [...this.#calls, ...regions]);
  }

  /** Where the region at a position is in a {@link module} that has been made of its body and those of others. */
  bodyAt(
    position: number,
    module: Uint8Array,
    bodies: readonly (Uint8Array | undefined)[],
  ): Uint8Array {
    let start = module.length;
    for (let at = bodies.length - 1; at >= position; at--) start -= (bodies[at] ?? ABSENT).length;
    return module.subarray(start, start + (bodies[position] ?? ABSENT).length);
  }

  /** @param exported the first that is: V8 makes something of each that is exported, for each module */
  #head(functions: number, exported: number): Uint8Array {
    const module = this.#module;
    for (; this.#functions < functions; this.#functions++) {
      module.exportFunction(exportName(this.#functions), module.addFunction(REGION_SIGNATURE));
    }
    return module.head(this.#functions - functions, [exported, functions]);
  }
}

/** A module with all that comes before its regions, and the bodies of that. */
function begin(shared: boolean): {
  module: ModuleBuilder;
  commons: RegionCommons;
  calls: readonly Uint8Array[];
} {
  const module = new ModuleBuilder();
  const regionType = module.typeIndex(REGION_SIGNATURE);
  module.importMemory("jit", "memory", RAM_BASE / WASM_PAGE, shared);
  module.importTable("jit", "regions");
  const calls = supportCalls(module);
  const indices = calls.map(({ index }) => index);
  const commons = { ...supportOf(module, indices), regionType, first: calls.length };
  return { module, commons, calls: calls.map(({ body }) => body) };
}

/** Under which a module exports the region at a position. */
export const exportName = (position: number): string => `region${position}`;
