import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, onTestFinished, test } from "vitest";
import { CODE, machine, runFor } from "./machine.ts";

/** More than may import one table, twice. */
const REGIONS = 12_500;

/** References to the regions that are made from now on. */
function watchRegions(): WeakRef<WebAssembly.Instance>[] {
  const made: WeakRef<WebAssembly.Instance>[] = [];
  const { Instance } = WebAssembly;
  WebAssembly.Instance = new Proxy(Instance, {
    construct(target, [module, imports]) {
      const instance = new target(module, imports);
      if (instance.exports.region0 !== undefined) made.push(new WeakRef(instance));
      return instance;
    },
  });
  onTestFinished(() => {
    WebAssembly.Instance = Instance;
  });
  return made;
}

test("regions that are given up are gone some time", async () => {
  // add eax, 3; mov ecx, 2000; again: dec ecx; jnz again; hlt
  const m = machine([0x83, 0xc0, 3, 0xb9, 0xd0, 0x07, 0, 0, 0xff, 0xc9, 0x75, 0xfc, 0xf4], 3);
  const { cpu } = m;
  const regions = watchRegions();
  for (let n = 0; n < REGIONS; n++) {
    expect(cpu.executeOne(cpu.liveCode.translateOne())).toBeUndefined();
    cpu.processor.rip = BigInt(CODE);
  }
  expect(cpu.readRegisters().rax).toBe(BigInt(3 * REGIONS));
  expect(regions.length).toBeGreaterThanOrEqual(REGIONS);
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  await new Promise((resolve) => setTimeout(resolve));
  collect();
  const left = regions.filter((region) => region.deref() !== undefined);
  expect(left.length).toBeLessThan(REGIONS / 2);
  while (!runFor(m, 10_000));
  expect(cpu.notes[0]?.[1]).toMatch(/[1-9]\d\.\d % of them in regions/);
}, 60_000);

test("regions that share a module are gone with all others", () => {
  const m = machine([0x83, 0xc0, 3, 0xf4], 3);
  const { cpu } = m;
  const two = [cpu.liveCode.translateOne(), cpu.liveCode.translateOne()];
  for (const region of two) {
    expect(cpu.executeOne(region)).toBeUndefined();
    cpu.processor.rip = BigInt(CODE);
  }
  expect(cpu.readRegisters().rax).toBe(6n);
  const third = cpu.liveCode.translateOne();
  cpu.reset();
  expect(() => cpu.executeOne(third)).toThrow("the region is gone");
});
