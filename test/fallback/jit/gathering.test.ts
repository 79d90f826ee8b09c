import { expect, test } from "vitest";
import { gather } from "../../../fallback/jit/gathering.ts";
import type { KeptRegion } from "../../../fallback/jit/kept-regions.ts";
import type { KeptModule } from "../../../fallback/jit/loaded-module.ts";
import { PACK_SIZE, RegionModules } from "../../../fallback/jit/module.ts";

const regionModules = new RegionModules(false);
const modules = (): RegionModules => regionModules;
/** No locals, `i64.const` and a byte, `end`. */
const bodyOf = (n: number): Uint8Array => Uint8Array.of(4, 0, 0x42, n, 0x0b);

/** @param regions of which the module was made, @param code whether there is machine code of it */
const moduleOf = (regions: number, code: boolean): KeptModule => ({
  bytes: new Uint8Array(),
  code: code ? new Uint8Array(8) : undefined,
  optimised: code ? 1 : 0,
  regions,
  usesX87: false,
});

const region = (n: number, module: KeptModule, loops = false): KeptRegion =>
  ({
    position: n % PACK_SIZE,
    loops,
    module,
    body: bodyOf(n & 63),
    usesX87: n === 3,
  }) as KeptRegion;

const modulesOf = (regions: readonly KeptRegion[]) => new Set(regions.map(({ module }) => module));

test("regions without machine code come to share modules, by position, and loops do not", () => {
  const alone = Array.from({ length: 40 }, (_, n) => region(n, moduleOf(1, false)));
  const loop = region(0, moduleOf(1, false), true);
  const gathered = gather([...alone, loop], modules);
  expect(gathered).toContain(loop);
  const shared = modulesOf(gathered.filter((one) => one !== loop));
  expect([...shared].map(({ regions, usesX87 }) => [regions, usesX87])).toEqual([
    [PACK_SIZE, true],
    [8, false],
  ]);
  for (const { module, body, position } of gathered) {
    if (module === loop.module) continue;
    expect(body.buffer).toBe(module.bytes.buffer);
    expect(body[3]).toBe(position + (module.regions === 8 ? PACK_SIZE : 0));
    expect(() => new WebAssembly.Module(module.bytes)).not.toThrow();
  }
});

test("modules with machine code stay, unless most of them is of no use", () => {
  const [used, worn] = [moduleOf(4, true), moduleOf(5, true)];
  const stay = [0, 1].map((n) => region(n, used));
  const go = [2, 3].map((n) => region(n, worn));
  const gathered = gather([...stay, ...go], modules);
  expect(gathered.slice(0, 2)).toEqual(stay);
  expect(modulesOf(gathered.slice(2)).size).toBe(1);
  expect(gathered.at(-1)?.module).not.toBe(worn);
});

test("modules of one region are put together in spite of their machine code", () => {
  const alone = (count: number) =>
    Array.from({ length: count }, (_, n) => region(n, moduleOf(1, true)));
  expect(modulesOf(gather(alone(2), modules)).size).toBe(1);
  const two = gather(alone(PACK_SIZE + 1), modules);
  expect([...modulesOf(two)].map(({ regions, code }) => [regions, code?.length])).toEqual([
    [PACK_SIZE, undefined],
    // There is nothing to put it together with.
    [1, 8],
  ]);
});
