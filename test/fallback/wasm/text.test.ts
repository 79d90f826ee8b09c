import { expect, test } from "vitest";
import { i32, i64, operation, select } from "../../../fallback/wasm/expression.ts";
import { callResult, FunctionBuilder } from "../../../fallback/wasm/function-builder.ts";
import { ModuleBuilder } from "../../../fallback/wasm/module-builder.ts";
import { OPERATIONS } from "../../../fallback/wasm/operations.ts";
import { f32x4, i8x16, i16x8 } from "../../../fallback/wasm/simd.ts";
import { moduleText } from "../../../fallback/wasm/text.ts";

/** The text of a function with a parameter of type i32. */
function text(build: (fn: FunctionBuilder, imported: number) => void): string[] {
  const module = new ModuleBuilder();
  module.importMemory("a", "memory", 1, true);
  module.importTable("a", "table");
  const imported = module.importFunction("a", "helper", { parameters: ["i32"], results: ["i64"] });
  const index = module.addFunction({ parameters: ["i32"], results: [] });
  const fn = new FunctionBuilder(["i32"]);
  build(fn, imported);
  module.define(index, fn.finish());
  const bytes = module.finish();
  // Throws where it is not valid.
  new WebAssembly.Module(bytes);
  const [lines = []] = moduleText(bytes, {
    placeName: (offset) => (offset === 16 ? "here" : undefined),
  });
  return lines;
}

test("control is indented, calls and places have names", () => {
  const lines = text((fn, imported) => {
    const parameter = fn.parameter(0, "i32");
    fn.block((end) => {
      fn.if(
        parameter,
        () => fn.branch(end),
        () => fn.store(i32.const(0), callResult("i64", imported, parameter), 16),
      );
    });
    fn.drop(select(parameter, i64.const(-5), i64.load(i32.const(0), 16)));
  });
  expect(lines).toEqual([
    ...["block", "  local.get 0", "  if", "    br 1", "  else", "    i32.const 0"],
    ...["    local.get 0", "    call $helper", "    i64.store offset=0x10 ;; here", "  end", "end"],
    ...["i64.const -5", "i32.const 0", "i64.load offset=0x10 ;; here", "local.get 0", "select"],
    "drop",
  ]);
});

test("a place is not named where it is relative to something", () => {
  const lines = text((fn) => fn.drop(i64.load(fn.parameter(0, "i32"), 16)));
  expect(lines).toContain("i64.load offset=0x10");
});

test("vectors have lanes, bytes and opcodes of two bytes", () => {
  const lines = text((fn) => {
    const vector = fn.let(i8x16.splat(fn.parameter(0, "i32")));
    fn.drop(i16x8.extractLaneU(i16x8.add(vector, i8x16.const(1)), 3));
    fn.drop(f32x4.sqrt(vector));
  });
  const ones = Array.from({ length: 16 }, () => 1).join(" ");
  expect(lines).toEqual([
    ...["(local v128)", "local.get 0", "i8x16.splat", "local.tee 1"],
    ...[`v128.const ${ones}`, "i16x8.add", "i16x8.extract_lane_u 3", "drop"],
    ...["local.get 1", "f32x4.sqrt", "drop"],
  ]);
});

test("operations are called as the specification does", () => {
  const names = [...OPERATIONS.values()].map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names)
    expect(name).toMatch(/^(([if]\d+(x\d+)?|v128)\.[a-z0-9_]+|drop|select)$/);
  expect(names).toEqual(
    expect.arrayContaining(["i64.extend_i32_u", "i64.load32_s", "i64.extend8_s", "i32.wrap_i64"]),
  );
});

test("code that we do not write is refused", () => {
  const unknown = operation("i64", 0xc5, [i64.const(0)]);
  const module = new ModuleBuilder();
  const index = module.addFunction({ parameters: [], results: [] });
  const fn = new FunctionBuilder([]);
  fn.drop(unknown);
  module.define(index, fn.finish());
  expect(() => moduleText(module.finish())).toThrow("no name for the operation c5");
});
