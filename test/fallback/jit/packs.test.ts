import { expect, onTestFinished, test } from "vitest";
import { PACK_SIZE } from "../../../fallback/jit/module.ts";
import { FIRST_PACKS, type Pack, Packs } from "../../../fallback/jit/packs.ts";
import type { Region } from "../../../fallback/jit/region.ts";
import type { Translations } from "../../../src/core/translations.ts";
import { machine, runFor } from "./machine.ts";

const at = (position: number) => ({ position }) as Region;

/** Takes a region in for each position, and returns what comes of the last. */
function fill(packs: Packs): readonly Pack[] {
  let last: readonly Pack[] = [];
  for (let n = 0; n < PACK_SIZE; n++) {
    expect([packs.position, last]).toEqual([n, []]);
    last = packs.add(at(n));
  }
  return last;
}

test("full packs wait until there are some, and later ones do not", () => {
  const packs = new Packs();
  for (let n = 1; n < FIRST_PACKS; n++) expect(fill(packs)).toEqual([]);
  expect(fill(packs)).toHaveLength(FIRST_PACKS);
  expect(fill(packs)).toHaveLength(1);
});

test("of two regions for one position the second goes into another pack", () => {
  const packs = new Packs();
  for (let n = 1; n <= FIRST_PACKS; n++) packs.add(at(PACK_SIZE - 1));
  for (let n = 0; n < FIRST_PACKS * (PACK_SIZE - 1) - 1; n++) {
    expect(packs.add(at(packs.position))).toEqual([]);
  }
  expect(packs.add(at(packs.position))).toHaveLength(FIRST_PACKS);
  expect(packs.position).toBe(0);
});

/** How many regions each instance that is made from now on has. */
function watchInstances(): number[] {
  const sizes: number[] = [];
  const { Instance } = WebAssembly;
  WebAssembly.Instance = new Proxy(Instance, {
    construct(target, [module, imports]) {
      const instance = new target(module, imports);
      const names = Object.keys(instance.exports);
      sizes.push(names.filter((name) => name.startsWith("region")).length);
      return instance;
    },
  });
  onTestFinished(() => {
    WebAssembly.Instance = Instance;
  });
  return sizes;
}

/** More functions than are packed at once, each called 200 times, until HLT. */
function manyFunctions(functions: number): number[] {
  // Too large to be translated with the caller: 30 times inc eax; ret.
  const body = [...Array.from({ length: 30 }, () => [0xff, 0xc0]).flat(), 0xc3];
  // mov ecx, 200; again: call each; dec ecx; jnz again; hlt
  const start = [0xb9, 200, 0, 0, 0];
  const end = start.length + 5 * functions + 2 + 6 + 1;
  const call = (n: number) => {
    const next = start.length + 5 * (n + 1);
    const distance = end + n * body.length - next;
    return [0xe8, distance & 0xff, (distance >> 8) & 0xff, 0, 0];
  };
  const back = -(5 * functions + 2 + 6);
  const calls = Array.from({ length: functions }, (_, n) => call(n)).flat();
  const loop = [0xff, 0xc9, 0x0f, 0x85, back & 0xff, (back >> 8) & 0xff, 0xff, 0xff, 0xf4];
  const bodies = Array.from({ length: functions }, () => body).flat();
  return [...start, ...calls, ...loop, ...bodies];
}

const FUNCTIONS = FIRST_PACKS * PACK_SIZE + 8;

test("regions without loops come to share a module, and do what they did", () => {
  const sizes = watchInstances();
  const m = machine(manyFunctions(FUNCTIONS), 3);
  while (!runFor(m, 10_000));
  expect(m.cpu.readRegisters().rax).toBe(BigInt(200 * 30 * FUNCTIONS));
  expect(sizes.filter((size) => size === PACK_SIZE).length).toBe(FIRST_PACKS);
  // A region's own module exports nothing else, though there may be functions before it.
  expect(sizes.filter((size) => size === 1).length).toBeGreaterThanOrEqual(FUNCTIONS);
  expect(new Set(sizes)).toEqual(new Set([0, 1, PACK_SIZE]));
});

/** What a run keeps for the next. */
function keptOf(code: readonly number[]): Translations {
  let kept: Translations | undefined;
  const m = machine(code, 3, undefined, {
    keep: (made) => {
      kept = made;
    },
  });
  while (!runFor(m, 10_000));
  m.cpu.close();
  return kept as Translations;
}

test("those of an earlier run share modules from the first that is needed on", () => {
  const code = manyFunctions(FUNCTIONS);
  const kept = keptOf(code);
  const sizes = watchInstances();
  const m = machine(code, 3, undefined, { kept });
  while (!runFor(m, 10_000));
  expect(m.cpu.readRegisters().rax).toBe(BigInt(200 * 30 * FUNCTIONS));
  expect(new Map(m.cpu.notes).get("jit")).toMatch(/^10\d regions of an earlier run; [01] regions/);
  // What has loops has one of its own.
  expect(sizes.filter((size) => size > 0).length).toBeLessThanOrEqual(FIRST_PACKS + 4);
});

test("with one that was damaged none of its module is taken", () => {
  const code = manyFunctions(FUNCTIONS);
  const { text, bytes } = keptOf(code);
  const damaged = { text, bytes: bytes.slice() };
  damaged.bytes.fill(0xff, bytes.length >> 1, (bytes.length >> 1) + 2000);
  const m = machine(code, 3, undefined, { kept: damaged });
  while (!runFor(m, 10_000));
  expect(m.cpu.readRegisters().rax).toBe(BigInt(200 * 30 * FUNCTIONS));
  expect(new Map(m.cpu.notes).get("jit")).toMatch(
    /^7\d regions of an earlier run; [3-9]\d regions/,
  );
});
