import { describe, expect, it } from "vitest";
import { i32 } from "../../../fallback/wasm/expression.ts";
import { FunctionBuilder } from "../../../fallback/wasm/function-builder.ts";
import {
  countOptimised,
  machineCodeOf,
  moduleOfMachineCode,
  takesMachineCode,
} from "../../../fallback/wasm/machine-code.ts";
import { ModuleBuilder } from "../../../fallback/wasm/module-builder.ts";
import { allowMachineCode, optimisingAll } from "../../support/optimised.ts";

allowMachineCode();

/** A module with two functions, `one` and `two`, which return 1 and 2. */
function moduleOfTwo(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  for (const [index, name] of ["one", "two"].entries()) {
    const fn = new FunctionBuilder([]);
    fn.return(i32.const(index + 1));
    fn.unreachable();
    const added = module.addFunction({ parameters: [], results: ["i32"] });
    module.define(added, fn.finish());
    module.exportFunction(name, added);
  }
  return module.finish();
}

type Two = Record<"one" | "two", () => number>;
const start = (module: WebAssembly.Module) =>
  new WebAssembly.Instance(module).exports as unknown as Two;

describe.skipIf(!takesMachineCode())("machine code of a module", () => {
  const bytes = moduleOfTwo();
  const module = new WebAssembly.Module(bytes);
  const { one, two } = start(module);

  it("is none as long as nothing is optimised", () => {
    expect(countOptimised([one, two])).toBe(0);
    expect(machineCodeOf(module, [one, two])).toBeUndefined();
  });

  it("has what is optimised, and leaves the rest to be compiled", () => {
    optimisingAll(one);
    expect(countOptimised([one, two])).toBe(1);
    const code = machineCodeOf(module, [one, two]) as Uint8Array<ArrayBuffer>;
    const again = start(moduleOfMachineCode(bytes, code) as WebAssembly.Module);
    expect([countOptimised([again.one]), countOptimised([again.two])]).toEqual([1, 0]);
    expect([again.one(), again.two()]).toEqual([1, 2]);
  });

  it("is not taken from another V8", () => {
    const code = machineCodeOf(module, [one]) as Uint8Array<ArrayBuffer>;
    for (const at of [0, 4, 8, 12]) {
      const other = code.slice();
      other[at] = (other[at] ?? 0) ^ 1;
      expect(moduleOfMachineCode(bytes, other)).toBeUndefined();
    }
    expect(moduleOfMachineCode(bytes, new Uint8Array(3))).toBeUndefined();
  });
});
