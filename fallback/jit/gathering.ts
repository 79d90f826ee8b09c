import type { KeptRegion } from "./kept-regions.ts";
import type { KeptModule } from "./loaded-module.ts";
import { PACK_SIZE, type RegionModules } from "./module.ts";
import { FIRST_PACKS } from "./packs.ts";

/**
 * Puts regions without loops into modules that they share, as far as V8 has to compile them anew in any case: those of
 * which there is no machine code. Others stay as they are, unless most of what their module has is of no
 * use any more, or there are too many with a module of their own.
 * @param modules asked for where there is anything to put together: for that the JIT's code is loaded
 */
export function gather(regions: readonly KeptRegion[], modules: () => RegionModules): KeptRegion[] {
  const used = new Map<KeptModule, number>();
  for (const { module } of regions) used.set(module, (used.get(module) ?? 0) + 1);
  const alone = regions.filter(({ loops, module }) => !loops && module.regions === 1);
  const tooMany =
    alone.filter(({ module }) => module.code !== undefined).length > FIRST_PACKS * PACK_SIZE;
  const isLoose = ({ loops, module }: KeptRegion): boolean => {
    if (loops) return false;
    const isWorn = 2 * (used.get(module) ?? 0) < module.regions;
    return module.code === undefined || isWorn || (tooMany && module.regions === 1);
  };
  const packed = packsOf(regions.filter(isLoose)).flatMap((pack) => together(pack, modules()));
  return [...regions.filter((region) => !isLoose(region)), ...packed];
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
  modules: RegionModules,
): readonly KeptRegion[] {
  const regions = pack.filter((region) => region !== undefined);
  const bodies = pack.map((region) => region?.body);
  const bytes = modules.module(bodies);
  const module: KeptModule = {
    ...{ bytes, code: undefined, optimised: 0, regions: regions.length },
    usesX87: regions.some(({ usesX87 }) => usesX87),
  };
  return regions.map((region) => ({
    ...region,
    module,
    body: modules.bodyAt(region.position, bytes, bodies),
  }));
}
