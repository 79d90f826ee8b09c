import { expect, onTestFinished, test } from "vitest";
import { PACK_SIZE } from "../../../fallback/jit/module.ts";
import { Packs } from "../../../fallback/jit/packs.ts";
import type { Region } from "../../../fallback/jit/region.ts";
import { machine, runFor } from "./machine.ts";

const at = (position: number) => ({ position }) as Region;

test("a pack is full when each position is taken", () => {
  const packs = new Packs();
  for (let n = 0; n < PACK_SIZE - 1; n++) {
    expect(packs.position).toBe(n);
    expect(packs.add(at(n))).toBeUndefined();
  }
  const last = at(packs.position);
  expect(packs.add(last)?.[PACK_SIZE - 1]).toBe(last);
  expect(packs.position).toBe(0);
});

test("of two regions for one position the second goes into another pack", () => {
  const packs = new Packs();
  packs.add(at(1));
  packs.add(at(1));
  expect(packs.position).toBe(0);
  packs.clear();
  for (let n = 0; n < PACK_SIZE - 1; n++) packs.add(at(n));
  expect(packs.add(at(0))).toBeUndefined();
  expect(packs.add(at(PACK_SIZE - 1))).toHaveLength(PACK_SIZE);
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

test("regions without loops come to share a module, and do what they did", () => {
  const functions = PACK_SIZE + 8;
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
  const sizes = watchInstances();
  const m = machine([...start, ...calls, ...loop, ...bodies], 3);
  while (!runFor(m, 10_000));
  expect(m.cpu.readRegisters().rax).toBe(BigInt(200 * 30 * functions));
  // One is the last region's own, behind functions that nobody calls.
  expect(sizes.filter((size) => size === PACK_SIZE).length).toBeGreaterThan(1);
});
