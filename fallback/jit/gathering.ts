import type { KeptRegion } from "./kept-regions.ts";
import type { KeptModule } from "./loaded-module.ts";
import { PACK_SIZE, type RegionModules } from "./module.ts";

/**
 * Puts regions without loops that have a module of their own into modules that they share, and those that V8 has to compile
 * anew in any case, since there is no machine code of their module. Others stay as they are, unless most of what their module
 * has is of no use any more.
 * @param modules asked for where there is anything to put together: for that the JIT's code is loaded
 */
export function gather(regions: readonly KeptRegion[], modules: () => RegionModules): KeptRegion[] {
  const used = new Map<KeptModule, number>();
  for (const { module } of regions) used.set(module, (used.get(module) ?? 0) + 1);
  const isLoose = ({ loops, module }: KeptRegion): boolean => {
    if (loops) return false;
    const isWorn = 2 * (used.get(module) ?? 0) < module.regions;
    return module.code === undefined || module.regions === 1 || isWorn;
  };
  const packs = packsOf(regions.filter(isLoose)).map((pack) => together(pack, modules));
  return [...regions.filter((region) => !isLoose(region)), ...packs.flat()];
}

/** By position, as many as share a module. */
function packsOf(regions: readonly KeptRegion[]): (KeptRegion | undefined)[][] {
  const packs: (KeptRegion | undefined)[][] = [];
  const counts: number[] = [];
  for (const region of regions) {
    const nth = counts[region.position] ?? 0;
    counts[region.position] = nth + 1;
    const pack = packs[nth] ?? Array.from({ length: PACK_SIZE });
    packs[nth] = pack;
    pack[region.position] = region;
  }
  return packs;
}

function together(
  pack: readonly (KeptRegion | undefined)[],
  modules: () => RegionModules,
): readonly KeptRegion[] {
  const regions = pack.filter((region) => region !== undefined);
  if (regions.length === 1 && regions[0]?.module.regions === 1) return regions;
  const bodies = pack.map((region) => region?.body);
  const bytes = modules().module(bodies);
  const module: KeptModule = {
    ...{ bytes, code: undefined, optimised: 0, regions: regions.length },
    usesX87: regions.some(({ usesX87 }) => usesX87),
  };
  return regions.map((region) => ({
    ...region,
    module,
    body: modules().bodyAt(region.position, bytes, bodies),
  }));
}
