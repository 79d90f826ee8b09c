import { beforeEach, describe, expect, test } from "vitest";
import { currentIdentity, isIdentity } from "../../../fallback/emission/page-lookup.ts";
import { IdentityPages } from "../../../fallback/memory/identity-pages.ts";
import { RAM_BASE, STATE, TLB_OF_USER } from "../../../fallback/state.ts";
import { FunctionBuilder } from "../../../fallback/wasm/function-builder.ts";
import { ModuleBuilder } from "../../../fallback/wasm/module-builder.ts";

const PAGE = 0x1000;
const CHUNK = 0x20_0000;
const GIB = 0x4000_0000;
const WASM_PAGE = 0x1_0000;

const memory = new WebAssembly.Memory({ initial: RAM_BASE / WASM_PAGE });
const view = new DataView(memory.buffer);
const find = lookup();
let pages: IdentityPages;

beforeEach(() => {
  view.setInt32(STATE.TLB_AT, 0, true);
  pages = new IdentityPages(memory.buffer, false);
});

/** A function (address, bytes, write) that says whether generated code finds an access among the pages. */
function lookup(): (address: bigint, bytes: bigint, write: number) => number {
  const module = new ModuleBuilder();
  module.importMemory("cpu", "memory", RAM_BASE / WASM_PAGE, false);
  const parameters = ["i64", "i64", "i32"] as const;
  const index = module.addFunction({ parameters, results: ["i32"] });
  const fn = new FunctionBuilder(parameters);
  const table = currentIdentity(fn.parameter(2, "i32"));
  fn.return(isIdentity(fn.parameter(0, "i64"), fn.parameter(1, "i64"), table));
  module.define(index, fn.finish());
  module.exportFunction("find", index);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), {
    cpu: { memory },
  });
  return exports.find as ReturnType<typeof lookup>;
}

const reads = (address: bigint | number, bytes = 1): boolean =>
  find(BigInt(address), BigInt(bytes), 0) === 1;
const writes = (address: bigint | number, bytes = 1): boolean =>
  find(BigInt(address), BigInt(bytes), 1) === 1;

test("a page may be read, or written as well, to its last byte", () => {
  pages.add(5 * PAGE, false);
  pages.add(9 * PAGE, true);
  expect([reads(5 * PAGE), writes(5 * PAGE)]).toEqual([true, false]);
  expect([reads(9 * PAGE), writes(9 * PAGE)]).toEqual([true, true]);
  expect([reads(10 * PAGE - 8, 8), reads(10 * PAGE - 7, 8), reads(10 * PAGE)]).toEqual([
    true,
    false,
    false,
  ]);
  expect([pages.has(9 * PAGE, true), pages.has(9 * PAGE, false)]).toEqual([true, false]);
  pages.protect(9 * PAGE);
  expect([reads(9 * PAGE), writes(9 * PAGE)]).toEqual([true, false]);
});

test("nothing is found where no page is, at the ends of the address space either", () => {
  const top = 2n ** 64n - 1n;
  for (const address of [0n, 1n, 0xffffn, BigInt(GIB) - 1n, 2n ** 32n, 2n ** 44n, 2n ** 47n]) {
    expect([address, reads(address, 8), writes(address)]).toEqual([address, false, false]);
  }
  for (const bytes of [1, 2, 8, 32]) expect(reads(top, bytes)).toBe(false);
});

test("nothing is found by the numbers that empty entries have", () => {
  const numbers = [1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 36n - 1n, 2n ** 52n - 1n];
  for (const number of numbers) {
    const address = number * BigInt(PAGE);
    const ways = [
      reads(address),
      writes(address),
      reads(address - 1n, 2),
      reads(address + 0xfffn, 2),
    ];
    expect([number, ...ways]).toEqual([number, false, false, false, false]);
  }
});

test("accesses that begin before the first page and end on it are not found", () => {
  pages.add(0, true);
  expect([reads(0, 8), writes(PAGE - 1)]).toEqual([true, true]);
  expect([reads(2n ** 64n - 1n, 2), writes(2n ** 64n - 4n, 8)]).toEqual([false, false]);
});

test("of two pages with the same place the last one is known", () => {
  pages.add(3 * PAGE, true);
  pages.add(3 * PAGE + GIB, true);
  expect([reads(3 * PAGE), reads(3 * PAGE + GIB)]).toEqual([false, true]);
  expect(reads(2n ** 32n + BigInt(3 * PAGE + GIB))).toBe(false);
});

test("2 MiB are added at once, each page as it may be written", () => {
  pages.addChunk(CHUNK, (number) => number % 2 === 0);
  expect([reads(CHUNK), reads(2 * CHUNK - 1), reads(2 * CHUNK), reads(CHUNK - 1)]).toEqual([
    ...[true, true, false, false],
  ]);
  expect([writes(CHUNK), writes(CHUNK + PAGE)]).toEqual([true, false]);
  pages.protectAll();
  expect([reads(CHUNK), writes(CHUNK)]).toEqual([true, false]);
});

describe("nothing is left", () => {
  test("behind clear", () => {
    for (const address of [0, CHUNK, GIB - PAGE, GIB]) pages.add(address, true);
    pages.clear();
    for (const address of [0, CHUNK, GIB - PAGE, GIB]) expect(reads(address)).toBe(false);
    expect(pages.near(0)).toBe(false);
  });

  test("of the processor that had the memory before", () => {
    pages.add(7 * PAGE, true);
    new IdentityPages(memory.buffer, false);
    expect(reads(7 * PAGE)).toBe(false);
  });
});

test("pages are for the rights that they were added with", () => {
  const user = new IdentityPages(memory.buffer, true);
  user.add(4 * PAGE, true);
  expect(reads(4 * PAGE)).toBe(false);
  view.setInt32(STATE.TLB_AT, TLB_OF_USER, true);
  expect([reads(4 * PAGE), writes(4 * PAGE)]).toEqual([true, true]);
});

test("what is near is what a page of any size may have in common with them", () => {
  pages.add(8 * GIB, false);
  expect([pages.near(7 * GIB), pages.near(9 * GIB)]).toEqual([true, true]);
  expect([pages.near(7 * GIB - PAGE), pages.near(9 * GIB + PAGE), pages.near(-GIB)]).toEqual([
    ...[false, false, false],
  ]);
});
