import { expect, it } from "vitest";
import { type Region, RegionCache } from "../../../fallback/jit/region.ts";

const region = (address: number, first: number, behind: number): Region =>
  ({
    ...{ address, user: false, exits: [first, behind] },
    ...{ pages: new Map(), body: new Uint8Array(1) },
  }) as unknown as Region;

it("finds the region that leaves by a record, in whatever order regions came and went", () => {
  const cache = new RegionCache();
  const [a, b, c] = [region(1, 160, 320), region(2, 320, 336), region(3, 0, 160)];
  const never = region(4, 160, 160);
  for (const each of [a, b, c, never]) cache.add(each);
  const at = (): (Region | undefined)[] =>
    [0, 144, 160, 304, 320, 336].map((r) => cache.leavingBy(r));
  expect(at()).toEqual([c, c, a, a, b, undefined]);
  cache.remove(a);
  cache.remove(never);
  expect(at()).toEqual([c, c, undefined, undefined, b, undefined]);
  const again = region(1, 336, 352);
  cache.add(again);
  expect(cache.leavingBy(336)).toBe(again);
  cache.clear();
  expect(at().every((found) => found === undefined)).toBe(true);
});
