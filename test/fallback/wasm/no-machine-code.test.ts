import { expect, it } from "vitest";
import {
  countOptimised,
  machineCodeOf,
  moduleOfMachineCode,
  takesMachineCode,
} from "../../../fallback/wasm/machine-code.ts";

it("where V8's functions for tests may not be called there is no machine code", () => {
  const bytes = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  const module = new WebAssembly.Module(bytes);
  expect(takesMachineCode()).toBe(false);
  expect(countOptimised([() => 1])).toBe(0);
  expect(machineCodeOf(module, [() => 1])).toBeUndefined();
  expect(moduleOfMachineCode(bytes, new Uint8Array(100))).toBeUndefined();
});
